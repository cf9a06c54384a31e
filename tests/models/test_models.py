"""The whole model: counts, names, shapes, start, conditioning, modes, dtypes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d import analog_bits
from pix2seq_d.diffusion import loss, process
from pix2seq_d.models import (
    Features,
    ModelConfig,
    Pix2SeqD,
    parameter_count,
    variable_shapes,
)
from pix2seq_d.models.encoder import ImageEncoder

CONV, NORM = ("kernel", "bias"), ("scale", "bias")
ATTENTION = [f"{p}_{k}" for p in ("query", "key", "value", "out") for k in CONV]

MODEL = Pix2SeqD(TINY)
encode, denoise = quick_jit(MODEL.encode), quick_jit(MODEL.denoise)


def paths(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in leaves]


def shapes_of(model):
    return variable_shapes(model.config)


def noisy_mask(size, *, config=TINY, seed=1):
    shape = (size, *config.mask_size, config.num_bits)
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.fixture(scope="module")
def variables():
    return random_variables(MODEL)


@pytest.fixture(scope="module")
def images():
    return random_batch(2)["image"]


@pytest.fixture(scope="module")
def features(variables, images):
    return encode(variables, images)


@pytest.fixture(scope="module")
def denoised(variables, features):
    return denoise(variables, noisy_mask(2), jnp.array([0.3, 0.8]), features)


@pytest.mark.parametrize(
    ("frames", "decoder", "total"),
    [(0, 43_589_888, 94_492_480), (2, 43_593_984, 94_496_576)],
)
def test_parameter_counts_of_the_paper(frames, decoder, total):
    params = shapes_of(Pix2SeqD(ModelConfig(num_cond_frames=frames)))["params"]
    counts = {name: parameter_count(part) for name, part in params.items()}
    expected = {"encoder": 46_898_752, "pyramid": 4_003_840, "decoder": decoder}
    assert counts == expected
    assert parameter_count(params) == total


def expected_names():
    """Every parameter of TINY: checkpoints are read by these names."""
    modules = {"encoder/resnet/stem/conv": ["kernel"], "encoder/resnet/stem/norm": NORM}
    for group in (1, 2, 3):
        for part in ("conv1", "conv2", "conv3", "shortcut"):
            prefix = f"encoder/resnet/group{group}_block0/{part}"
            modules |= {f"{prefix}/conv": ["kernel"], f"{prefix}/norm": NORM}
    for norm in ("input_norm", "output_norm"):
        modules[f"encoder/{norm}"] = NORM
    modules |= {
        "encoder/input": CONV,
        "encoder/layer0/attention_norm": NORM,
        "encoder/layer0/attention": ATTENTION,
        "encoder/layer0/mlp_norm": NORM,
        "encoder/layer0/mlp/in": CONV,
        "encoder/layer0/mlp/out": CONV,
    }
    for block in range(3):
        for part, leaves in (("lateral", CONV), ("merge", CONV)):
            modules[f"pyramid/block{block}/{part}"] = leaves
            modules[f"pyramid/block{block}/{part}_norm"] = NORM
    blocks = ("down0_block0", "down1_block0")
    blocks += ("up0_block0", "up0_block1", "up1_block0", "up1_block1")
    for block in blocks:
        for part in ("norm1", "norm2"):
            modules[f"decoder/{block}/{part}"] = NORM
        for part in ("conv1", "conv2", "time"):
            modules[f"decoder/{block}/{part}"] = CONV
        if block != "down0_block0":  # the only one that keeps its width
            modules[f"decoder/{block}/skip"] = CONV
    for part in ("time0", "time1", "input", "output"):
        modules[f"decoder/{part}"] = CONV
    for part in ("down0_resample", "up1_resample"):
        modules[f"decoder/{part}"] = CONV
    for norm in ("input_norm", "output_norm"):
        modules[f"decoder/{norm}"] = modules[f"decoder/middle/{norm}"] = NORM
    for part in ("input", "output", "time"):
        modules[f"decoder/middle/{part}"] = CONV
    layer = "decoder/middle/layer0"
    for part in ("self", "cross"):
        modules[f"{layer}/{part}_norm"] = NORM
        modules[f"{layer}/{part}_attention"] = ATTENTION
    modules |= {f"{layer}/mlp_norm": NORM, f"{layer}/mlp/in": CONV}
    modules[f"{layer}/mlp/out"] = CONV
    return {f"{module}/{leaf}" for module, leaves in modules.items() for leaf in leaves}


def test_parameter_names_are_frozen():
    variables = shapes_of(MODEL)
    assert set(paths(variables["params"])) == expected_names()
    stats = {
        f"{path.removesuffix('/scale')}/{leaf}"
        for path in expected_names()
        if path.startswith("encoder/resnet") and path.endswith("/scale")
        for leaf in ("mean", "var")
    }
    assert set(paths(variables["batch_stats"])) == stats


def test_a_fresh_model_knows_nothing():
    fresh = MODEL.init(jax.random.key(0))
    batch = random_batch(2)
    gamma = jnp.array([0.3, 0.8])
    made = denoise(fresh, noisy_mask(2), gamma, encode(fresh, batch["image"]))
    assert float(jnp.abs(made.x0).max()) < 1e-3 * TINY.bit_scale
    x0 = analog_bits.encode(jnp.asarray(batch["labels"]), 3, TINY.bit_scale)
    weights = loss.instance_weights(jnp.asarray(batch["labels"][..., 1]), 6, 0.2)
    np.testing.assert_allclose(
        loss.softmax_xent(made.logits, x0, weights), np.full(2, np.log(8)), rtol=0.01
    )
    resnet = fresh["params"]["encoder"]["resnet"]
    for group in (1, 2, 3):
        block = resnet[f"group{group}_block0"]
        assert not block["conv3"]["norm"]["scale"].any()
        assert (block["conv2"]["norm"]["scale"] == 1).all()
    kernels = jax.tree_util.tree_leaves_with_path(fresh["params"])
    for path, leaf in kernels:
        if path[-1].key.endswith("kernel"):
            assert float(jnp.std(leaf)) > 0, jax.tree_util.keystr(path)
        elif path[-1].key.endswith("bias"):
            assert not leaf.any(), jax.tree_util.keystr(path)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_samplers_estimate_is_that_of_denoise(images, stride):
    model = Pix2SeqD(with_decoder(TINY, in_strides=stride))
    variables = random_variables(model)
    features = encode(variables, images)
    inputs = variables, noisy_mask(2), jnp.array([0.3, 0.8]), features
    expected = quick_jit(model.denoise)(*inputs).x0
    assert float(jnp.std(expected)) > 0.01
    np.testing.assert_allclose(quick_jit(model.estimate)(*inputs), expected, atol=1e-6)


def test_shapes_of_features_and_estimates(features, denoised):
    assert features.tokens.shape == (2, 2 * 4, 16)
    assert features.fused.shape == (2, 16, 32, 8)
    assert denoised.output is None
    assert denoised.logits.shape == (2, 16, 32, 2, 8)
    assert denoised.x0.shape == (2, 16, 32, 6)
    assert denoised.logits.dtype == denoised.x0.dtype == jnp.float32


def test_the_estimate_is_the_expectation_under_the_logits(denoised):
    shares = jax.nn.softmax(denoised.logits[1, 5, 7], axis=-1)
    bits = [[(code >> i) & 1 for i in range(3)] for code in range(8)]
    expected = 0.1 * (2 * (shares @ np.array(bits, np.float32)) - 1)
    np.testing.assert_allclose(denoised.x0[1, 5, 7], expected.ravel(), atol=1e-6)
    assert float(jnp.abs(denoised.x0).max()) > 0.01


@pytest.mark.parametrize("in_strides", [1, 2])
def test_input_strides_cut_the_mask_into_patches(in_strides):
    config = with_decoder(TINY, in_strides=in_strides)
    model = Pix2SeqD(config)
    shapes = shapes_of(model)
    decoder = shapes["params"]["decoder"]
    assert decoder["input"]["kernel"].shape == (in_strides, in_strides, 6 + 8, 8)
    assert decoder["output"]["kernel"].shape == (1, 1, 8, 16 * in_strides**2)
    features = Features(jnp.zeros((2, 8, 16)), jnp.zeros((2, 16, 32, 8)))
    made = jax.eval_shape(model.denoise, shapes, noisy_mask(2), jnp.ones(2), features)
    assert made.logits.shape == (2, 16, 32, 2, 8)


@pytest.mark.parametrize(("stem_stride", "tokens"), [(4, 2 * 4), (2, 4 * 8)])
def test_the_stem_stride_sets_the_strides_of_the_encoder(stem_stride, tokens):
    resnet = dataclasses.replace(TINY.resnet, stem_stride=stem_stride)
    config = dataclasses.replace(TINY, resnet=resnet)
    encoder = ImageEncoder(resnet, TINY.encoder)
    images = jnp.zeros((1, 32, 64, 3))
    ((c2, c3), last), _ = jax.eval_shape(
        lambda key: encoder.init_with_output(key, images, train=False),
        jax.random.key(0),
    )
    s = stem_stride
    assert c2.shape == (1, 32 // s, 64 // s, 16)
    assert c3.shape == (1, 16 // s, 32 // s, 32)
    assert last.shape == (1, 8 // s, 16 // s, 16)
    model = Pix2SeqD(config)
    shapes = shapes_of(model)
    features = jax.eval_shape(model.encode, shapes, images)
    assert features.tokens.shape == (1, tokens, 16)
    # At stride 2 the first maps have the mask's size: no last pyramid block.
    assert features.fused.shape == (1, 16, 32, 8 if s == 4 else 16)
    assert ("block0" in shapes["params"]["pyramid"]) == (s == 4)


def test_an_unconditional_model_is_a_decoder():
    config = dataclasses.replace(TINY, conditioning=())
    model = Pix2SeqD(config)
    shapes = shapes_of(model)
    assert set(shapes["params"]) == {"decoder"}
    assert not jax.tree.leaves(shapes["batch_stats"])
    assert not any("cross" in path for path in paths(shapes))
    features = model.encode(shapes, jnp.ones((3, 32, 64, 3)))
    assert features.tokens.shape == (3, 0, 16)
    np.testing.assert_array_equal(features.fused, np.zeros((3, 16, 32, 8)))
    made, _ = model.encode_train(
        shapes, jnp.ones((3, 32, 64, 3)), key=jax.random.key(0)
    )
    assert made.fused.shape == (3, 16, 32, 8)


@pytest.mark.parametrize("used", ["concat", "cross_attention"])
def test_a_model_depends_only_on_what_it_is_conditioned_on(used, features):
    model = Pix2SeqD(dataclasses.replace(TINY, conditioning=(used,)))
    variables = random_variables(model)
    has_cross = any("cross_attention" in path for path in paths(variables))
    assert has_cross == (used == "cross_attention")
    assert set(variables["params"]) == {"encoder", "pyramid", "decoder"}
    run = quick_jit(model.denoise)
    xt, gamma = noisy_mask(2), jnp.full(2, 0.5)
    other = {
        "concat": Features(features.tokens, features.fused + 1),
        "cross_attention": Features(features.tokens[:, ::-1] + 1, features.fused),
    }
    plain = run(variables, xt, gamma, features).x0
    for name, changed in other.items():
        difference = jnp.abs(run(variables, xt, gamma, changed).x0 - plain).max()
        assert (float(difference) > 1e-4) == (name == used)


def test_both_conditions_matter_in_the_full_model(variables, features, denoised):
    for changed in (
        Features(features.tokens + 1, features.fused),
        Features(features.tokens, features.fused + 1),
    ):
        made = denoise(variables, noisy_mask(2), jnp.array([0.3, 0.8]), changed)
        assert float(jnp.abs(made.x0 - denoised.x0).max()) > 1e-4


def test_every_example_has_its_own_noise_level(variables, features, denoised):
    made = denoise(variables, noisy_mask(2), jnp.array([0.3, 0.1]), features)
    np.testing.assert_array_equal(made.x0[0], denoised.x0[0])
    assert float(jnp.abs(made.x0[1] - denoised.x0[1]).max()) > 1e-4


def test_past_masks_are_more_input_channels(features):
    model = Pix2SeqD(dataclasses.replace(TINY, num_cond_frames=2))
    variables = random_variables(model)
    kernel = variables["params"]["decoder"]["input"]["kernel"]
    assert kernel.shape == (1, 1, 6 + 8 + 2 * 6, 8)
    run = quick_jit(model.denoise)
    xt, gamma = noisy_mask(2), jnp.full(2, 0.5)
    past = jnp.full((2, 16, 32, 12), -TINY.bit_scale)
    plain = run(variables, xt, gamma, features).x0
    np.testing.assert_array_equal(run(variables, xt, gamma, features, past).x0, plain)
    # The past masks are the last channels: a kernel of 0 there blinds the model.
    kernel = kernel.at[:, :, 14:].set(0)
    decoder = variables["params"]["decoder"] | {
        "input": variables["params"]["decoder"]["input"] | {"kernel": kernel}
    }
    blind = variables | {"params": variables["params"] | {"decoder": decoder}}
    for weights, sees in ((variables, True), (blind, False)):
        empty = run(weights, xt, gamma, features, past).x0
        full = run(weights, xt, gamma, features, past.at[0, 3:9].set(0.1)).x0
        assert (float(jnp.abs(empty - full)[0].max()) > 1e-4) == sees
        np.testing.assert_array_equal(empty[1], full[1])


def test_self_conditioning_adds_channels_after_the_noisy_mask(features):
    config = dataclasses.replace(TINY, self_conditioning="x", num_cond_frames=1)
    model = Pix2SeqD(config)
    variables = random_variables(model)
    decoder = variables["params"]["decoder"]
    kernel = decoder["input"]["kernel"]
    assert kernel.shape == (1, 1, 6 + 6 + 8 + 6, 8)
    run = quick_jit(model.denoise)
    xt, gamma = noisy_mask(2), jnp.full(2, 0.5)
    plain = run(variables, xt, gamma, features).x0
    nothing = run(variables, xt, gamma, features, x0_self_cond=jnp.zeros_like(xt)).x0
    np.testing.assert_allclose(nothing, plain, atol=1e-6)
    estimate = noisy_mask(2, seed=9)
    made = run(variables, xt, gamma, features, x0_self_cond=estimate).x0
    assert float(jnp.abs(made - plain).max()) > 1e-3
    # With the rows of mask and estimate exchanged they trade places.
    order = jnp.array([*range(6, 12), *range(6), *range(12, 26)])
    turned = decoder | {"input": decoder["input"] | {"kernel": kernel[:, :, order]}}
    turned = variables | {"params": variables["params"] | {"decoder": turned}}
    swapped = run(turned, estimate, gamma, features, x0_self_cond=xt).x0
    np.testing.assert_allclose(swapped, made, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "prediction", "estimate"),
    [
        ("none", "x", "none"),
        ("x", "eps", "x"),
        ("eps", "x", "eps"),
        ("auto", "eps", "eps"),
        ("auto", "v", "x"),
        ("auto", "x_softmax_xent", "x"),
    ],
)
def test_auto_feeds_back_what_is_predicted(kind, prediction, estimate):
    config = dataclasses.replace(TINY, self_conditioning=kind, prediction=prediction)
    assert config.self_cond_estimate == estimate


def test_an_estimate_without_self_conditioning_is_refused(variables, features):
    with pytest.raises(ValueError, match=r"model\.self_conditioning='none'; leave it"):
        MODEL.denoise(
            variables, noisy_mask(2), jnp.ones(2), features, x0_self_cond=noisy_mask(2)
        )


def test_an_example_does_not_depend_on_its_batch(variables, images, features):
    alone = encode(variables, images[1:])
    np.testing.assert_allclose(alone.tokens[0], features.tokens[1], atol=1e-4)
    np.testing.assert_allclose(alone.fused[0], features.fused[1], atol=1e-4)
    swapped = encode(variables, images[::-1])
    np.testing.assert_allclose(swapped.tokens[0], features.tokens[1], atol=1e-4)
    xt, gamma = noisy_mask(2), jnp.array([0.3, 0.8])
    turned = Features(features.tokens[::-1], features.fused[::-1])
    np.testing.assert_allclose(
        denoise(variables, xt[::-1], gamma[::-1], turned).x0[::-1],
        denoise(variables, xt, gamma, features).x0,
        atol=1e-5,
    )


def test_uint8_images_are_float_images_times_255(variables, images, features):
    pixels = np.round(images * 255).astype(np.uint8)
    made = encode(variables, pixels)
    exact = encode(variables, pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(made.tokens, exact.tokens, atol=1e-5)
    np.testing.assert_allclose(made.fused, exact.fused, atol=1e-5)


def test_training_encodes_with_the_statistics_of_the_batch(variables, images, features):
    train = quick_jit(MODEL.encode_train)
    made, stats = train(variables, images, key=jax.random.key(0))
    assert float(jnp.abs(made.tokens - features.tokens).max()) > 1e-3
    # No dropout in TINY: the key does not matter.
    again, _ = train(variables, images, key=jax.random.key(1))
    np.testing.assert_array_equal(again.tokens, made.tokens)

    old, new = variables["batch_stats"], stats
    assert jax.tree.structure(old) == jax.tree.structure(new)
    changed = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()) > 1e-5, old, new)
    assert all(jax.tree.leaves(changed))
    # The stem by hand: moving = 0.9 old + 0.1 batch.
    stem = variables["params"]["encoder"]["resnet"]["stem"]["conv"]["kernel"]
    x = jax.lax.conv_general_dilated(
        images,
        stem,
        (2, 2),
        ((3, 3), (3, 3)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    before, after = (s["encoder"]["resnet"]["stem"]["norm"] for s in (old, new))
    for name, value in (("mean", x.mean((0, 1, 2))), ("var", x.var((0, 1, 2)))):
        expected = 0.9 * before[name] + 0.1 * value
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rates", [dict(dropout=0.5), dict(drop_path=0.5)])
def test_the_encoder_drops_only_in_training(rates, images):
    # The backbone is left out: only the transformer drops.
    config = dataclasses.replace(TINY.encoder, **rates)
    encoder = ImageEncoder(TINY.resnet, config)
    weights = random_variables(MODEL)
    trees = {name: part["encoder"] for name, part in weights.items()}

    @quick_jit
    def run(key):
        (_, tokens), _ = encoder.apply(
            trees, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        return tokens

    first = run(jax.random.key(0))
    np.testing.assert_array_equal(first, run(jax.random.key(0)))
    others = [run(jax.random.key(seed)) for seed in (1, 2, 3, 4)]
    assert any(float(jnp.abs(first - other).max()) > 1e-3 for other in others)
    model = Pix2SeqD(dataclasses.replace(TINY, encoder=config))
    # Without a key the rates do not matter.
    np.testing.assert_allclose(
        quick_jit(model.encode)(weights, images).tokens,
        encode(weights, images).tokens,
        atol=1e-6,
    )


def test_the_decoder_drops_only_with_a_key(variables, features, denoised):
    model = Pix2SeqD(with_decoder(TINY, dropout=0.5))
    run = quick_jit(model.denoise)
    xt, gamma = noisy_mask(2), jnp.array([0.3, 0.8])
    first, second = (
        run(variables, xt, gamma, features, key=jax.random.key(seed)).x0
        for seed in (0, 1)
    )
    assert float(jnp.abs(first - second).max()) > 1e-3
    plain = run(variables, xt, gamma, features).x0
    np.testing.assert_allclose(plain, denoised.x0, atol=1e-6)


def test_bfloat16_computes_but_does_not_store(variables, images, features, denoised):
    model = Pix2SeqD(TINY, dtype=jnp.bfloat16)
    shapes = shapes_of(model)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    made = quick_jit(model.encode)(variables, images)
    assert made.tokens.dtype == made.fused.dtype == jnp.bfloat16
    run = quick_jit(model.denoise)
    output = run(variables, noisy_mask(2), jnp.array([0.3, 0.8]), made)
    assert output.logits.dtype == output.x0.dtype == jnp.float32
    scale = float(jnp.abs(denoised.logits).max())
    error = float(jnp.abs(output.logits - denoised.logits).max())
    assert 1e-6 * scale < error < 0.1 * scale
    train = jax.eval_shape(
        lambda v: model.encode_train(v, images, key=jax.random.key(0))[1], shapes
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(train)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("prediction", ["x", "eps", "v", "x_sigmoid_xent"])
def test_other_predictions_have_one_output_per_bit(prediction):
    config = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))
    model = Pix2SeqD(
        dataclasses.replace(config, prediction=prediction, conditioning=())
    )
    shapes = shapes_of(model)
    kernel = shapes["params"]["decoder"]["output"]["kernel"]
    assert kernel.shape == (1, 1, 8, 6)
    # An output layer that ignores its input gives a known output.
    shapes = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    output = jnp.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    shapes["params"]["decoder"]["output"]["bias"] = output
    xt, gamma = noisy_mask(2), jnp.array([0.3, 0.8])
    features = model.encode(shapes, jnp.zeros((2, 32, 64, 3)))
    made = quick_jit(model.denoise)(shapes, xt, gamma, features)
    raw = jnp.broadcast_to(output, xt.shape)
    assert made.logits is None
    np.testing.assert_allclose(made.output, raw, atol=1e-6)
    expected = {
        "x": raw,
        "eps": process.x0_from_eps(xt, raw, gamma=gamma),
        "v": process.x0_from_v(xt, raw, gamma=gamma),
        "x_sigmoid_xent": 0.1 * (2 / (1 + np.exp(-raw)) - 1),
    }
    np.testing.assert_allclose(made.x0, expected[prediction], atol=1e-5)
