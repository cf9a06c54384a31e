"""Stage transfer: what is copied, widened, new and dropped, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.convert.report import Source
from pix2seq_d.convert.transfer import transfer
from pix2seq_d.models import Pix2SeqD

SMALL = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))
WHOLE = ("encoder", "pyramid", "decoder")
INPUT = "params/decoder/input/kernel"


def changed(**changes):
    return dataclasses.replace(SMALL, **changes)


def source_of(config, *, name="source", seed=0):
    """A whole model with weights and an average of its own."""
    variables = jax.device_get(random_variables(Pix2SeqD(config), seed=seed))
    ema = jax.tree.map(lambda leaf: 2 * leaf, variables)
    parts = tuple(part for part in WHOLE if part in variables["params"])
    return Source(name, variables, ema, parts, config)


def encoder_of(source, *, part="encoder"):
    """Only the encoder, or only its ResNet, of a source."""

    def only(variables):
        trees = {kind: tree["encoder"] for kind, tree in variables.items()}
        if part == "encoder":
            return {kind: {"encoder": tree} for kind, tree in trees.items()}
        return {
            kind: {"encoder": {"resnet": tree["resnet"]}}
            for kind, tree in trees.items()
        }

    return Source("pretrained", only(source.variables), only(source.ema), (part,), None)


def flat(tree):
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in paths
    }


def assert_same(made, expected, *, paths=None):
    made, expected = flat(made), flat(expected)
    paths = made.keys() if paths is None else paths
    assert paths
    for path in paths:
        np.testing.assert_array_equal(made[path], expected[path], err_msg=path)


@pytest.fixture(scope="module")
def source():
    return source_of(SMALL)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(3)
    xt = jnp.asarray(rng.normal(size=(2, 16, 32, 6)), jnp.float32)
    return random_batch(2)["image"], xt, jnp.array([0.3, 0.8])


def x0_of(config, variables, inputs, **extra):
    model = Pix2SeqD(config)

    def run(variables, images, xt, gamma, extra):
        features = model.encode(variables, images)
        return model.denoise(variables, xt, gamma, features, **extra).x0

    return quick_jit(run)(variables, *inputs, extra)


def test_low_resolution_to_high_resolution_is_a_copy(source):
    target = changed(image_size=(64, 128), mask_size=(32, 64))
    made = transfer(source, target)
    assert_same(made.variables, source.variables)
    assert_same(made.ema, source.ema)
    report = made.report
    assert len(report.copied) == len(flat(source.variables))
    assert not (report.widened or report.new or report.dropped)


@pytest.mark.parametrize("frames", [1, 2])
def test_past_masks_of_any_value_change_nothing(source, inputs, frames):
    target = changed(num_cond_frames=frames)
    made = transfer(source, target)
    expected = x0_of(SMALL, source.variables, inputs)
    assert float(jnp.abs(expected).max()) > 0.01
    past = jax.random.normal(jax.random.key(1), (2, 16, 32, 6 * frames))
    for cond_bits in (None, past, 100 * past):
        x0 = x0_of(target, made.variables, inputs, cond_bits=cond_bits)
        np.testing.assert_allclose(x0, expected, atol=1e-6)
    assert made.report.widened == ((INPUT, (1, 1, 14, 8), (1, 1, 14 + 6 * frames, 8)),)
    assert not made.report.new
    assert_same(
        made.variables, source.variables, paths=flat(source.variables).keys() - {INPUT}
    )
    # The average is widened too, from its own values.
    kernel = made.ema["params"]["decoder"]["input"]["kernel"]
    before = source.ema["params"]["decoder"]["input"]["kernel"]
    np.testing.assert_array_equal(kernel[:, :, :14], before)
    assert not kernel[:, :, 14:].any()


def test_the_newest_past_mask_keeps_its_meaning(inputs):
    before, after = changed(num_cond_frames=1), changed(num_cond_frames=2)
    source = source_of(before)
    made = transfer(source, after)
    older, newer = jax.random.normal(jax.random.key(1), (2, 2, 16, 32, 6))
    expected = x0_of(before, source.variables, inputs, cond_bits=newer)
    both = jnp.concatenate([older, newer], axis=-1)  # oldest first
    x0 = x0_of(after, made.variables, inputs, cond_bits=both)
    np.testing.assert_allclose(x0, expected, atol=1e-6)
    turned = jnp.concatenate([newer, older], axis=-1)
    x0 = x0_of(after, made.variables, inputs, cond_bits=turned)
    assert float(jnp.abs(x0 - expected).max()) > 1e-3


def test_self_conditioning_and_past_masks_may_come_together(source, inputs):
    target = changed(num_cond_frames=1, self_conditioning="x")
    made = transfer(source, target)
    expected = x0_of(SMALL, source.variables, inputs)
    estimate, past = jax.random.normal(jax.random.key(1), (2, 2, 16, 32, 6))
    x0 = x0_of(target, made.variables, inputs, x0_self_cond=estimate, cond_bits=past)
    np.testing.assert_allclose(x0, expected, atol=1e-6)


def cross_attention_paths():
    layer = "params/decoder/middle/layer0"
    paths = {f"{layer}/cross_norm/{leaf}" for leaf in ("scale", "bias")}
    return paths | {
        f"{layer}/cross_attention/{part}_{leaf}"
        for part in ("query", "key", "value", "out")
        for leaf in ("kernel", "bias")
    }


def pyramid_paths():
    return {
        f"params/pyramid/block{block}/{part}/{leaf}"
        for block in range(3)
        for part, leaves in (
            ("lateral", ("kernel", "bias")),
            ("lateral_norm", ("scale", "bias")),
            ("merge", ("kernel", "bias")),
            ("merge_norm", ("scale", "bias")),
        )
        for leaf in leaves
    }


def test_an_encoder_and_a_decoder_of_masks_make_a_conditional_model(source):
    masks = source_of(changed(conditioning=()), name="masks", seed=1)
    assert masks.parts == ("decoder",)
    encoder = encoder_of(source)
    made = transfer([encoder, masks], SMALL)
    new = {path for path, _ in made.report.new}
    assert new == cross_attention_paths() | pyramid_paths()
    copied = {path for path, _ in made.report.copied}
    from_encoder = {path for path in copied if path.split("/")[1] == "encoder"}
    assert_same(made.variables, source.variables, paths=from_encoder)
    assert_same(made.variables, masks.variables, paths=copied - from_encoder)
    assert copied | new == set(flat(made.variables))
    assert_same(made.ema, source.ema, paths=from_encoder)
    # New arrays start as those of a fresh model, the same in the average.
    assert_same(made.variables, made.ema, paths=new)
    fresh = Pix2SeqD(SMALL).init(jax.random.key(0))
    assert_same(made.variables, fresh, paths=new)
    text = str(made.report)
    assert "new      decoder/middle/layer*/cross_attention: 8 arrays" in text
    assert "new      decoder/middle/layer*/cross_norm: 2 arrays, 32 numbers" in text
    assert "dropped  nothing" in text
    assert "model.conditioning: () -> ('concat', 'cross_attention')" in text


def test_a_resnet_leaves_the_rest_to_the_next_source(source):
    other = source_of(SMALL, name="other", seed=1)
    made = transfer([encoder_of(source, part="encoder/resnet"), other], SMALL)
    resnet = {p for p in flat(made.variables) if "/encoder/resnet/" in p}
    assert_same(made.variables, source.variables, paths=resnet)
    rest = set(flat(made.variables)) - resnet
    assert_same(made.variables, other.variables, paths=rest)
    assert {path for path, _ in made.report.dropped} == resnet
    assert "  dropped  encoder/resnet: " in str(made.report)

    alone = transfer(encoder_of(source, part="encoder/resnet"), SMALL)
    assert {path for path, _ in alone.report.new} == rest
    lines = [line.split(":")[0] for line in str(alone.report).splitlines()]
    assert "  copied   encoder" in lines
    assert "  new      decoder" in lines
    assert "  new      encoder/layer*" in lines


def test_a_conditional_model_can_become_one_of_masks(source):
    made = transfer(source, changed(conditioning=()))
    dropped = {path for path, _ in made.report.dropped}
    assert cross_attention_paths() | pyramid_paths() <= dropped
    assert set(made.variables["params"]) == {"decoder"}
    assert not made.report.new


def test_another_ratio_of_mask_to_image_needs_other_blocks(source):
    # A mask as large as C2: the last block of the pyramid is not made.
    wide = dataclasses.replace(SMALL.pyramid, dim=16)  # as wide as C2
    source = source_of(changed(mask_size=(8, 16), pyramid=wide))
    made = transfer(source, changed(pyramid=wide))
    block0 = {path for path in pyramid_paths() if "block0" in path}
    assert {path for path, _ in made.report.new} == block0


def test_weights_and_average_share_no_buffer(source):
    shared = dataclasses.replace(source, ema=source.variables)
    made = transfer(shared, SMALL)
    for one, other in zip(
        *map(jax.tree.leaves, (made.variables, made.ema)), strict=True
    ):
        assert isinstance(one, jax.Array)
        assert one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()


def wider_resnet():
    return changed(resnet=dataclasses.replace(SMALL.resnet, width=0.125))


def deeper_encoder(num_layers=2):
    encoder = dataclasses.replace(SMALL.encoder, num_layers=num_layers)
    return changed(encoder=encoder)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (
            wider_resnet(),
            ["stem/conv/kernel has shape (7, 7, 3, 4)", "(7, 7, 3, 8)", "resnet.width"],
        ),
        (
            deeper_encoder(),
            ["it has no params/encoder/layer1", "(16,)", "model.encoder.num_layers"],
        ),
        (
            deeper_encoder(0),
            ["no place for params/encoder/layer0", "model.encoder.num_layers"],
        ),
        (
            with_decoder(SMALL, transformer_dim=32),
            ["(1, 1, 8, 16)", "(1, 1, 8, 32)", "model.decoder.transformer_dim"],
        ),
        (
            with_decoder(SMALL, in_strides=2),
            ["(1, 1, 14, 8)", "(2, 2, 14, 8)", "model.decoder.in_strides"],
        ),
        (
            changed(prediction="x"),
            ["decoder/output/kernel has shape (1, 1, 8, 16)", "model.prediction"],
        ),
        (
            changed(pyramid=dataclasses.replace(SMALL.pyramid, dim=16)),
            ["pyramid/block0/lateral/kernel", "model.pyramid.dim", "more differ)"],
        ),
        (
            changed(bits_per_channel=4),
            ["decoder/input/kernel", "(1, 1, 16, 8)", "change model.bits_per_channel"],
        ),
        (
            changed(mask_size=(8, 16)),
            ["decoder/input/kernel", "(1, 1, 22, 8)", "model.mask_size to the same"],
        ),
    ],
)
def test_what_does_not_fit_is_named(source, target, parts):
    with pytest.raises(ValueError, match=r"^source does not fit") as caught:
        transfer(source, target)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [dict(num_cond_frames=2), dict(self_conditioning="eps")]
)
def test_inputs_are_never_taken_away(fields):
    (field,) = fields
    with pytest.raises(ValueError, match=rf"the model needs .*change model\.{field}"):
        transfer(source_of(changed(**fields)), SMALL)


def test_an_encoder_is_no_use_to_a_model_of_masks(source):
    masks = changed(conditioning=())
    with pytest.raises(ValueError, match=r"pretrained: .*change model\.conditioning"):
        transfer([encoder_of(source), source_of(masks)], masks)
