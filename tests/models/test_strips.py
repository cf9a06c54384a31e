"""Images in strips of rows: the network's results are those of whole images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_variables

from pix2seq_d.models import Pix2SeqD, strips
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.models.strips import Strips

# Eight strips of a multiple of the strides: 16 in the encoder, 2 in the decoder.
HIGH = dataclasses.replace(TINY, image_size=(128, 32), mask_size=(32, 8))


@pytest.mark.parametrize(("above", "below"), [(0, 0), (1, 1), (0, 1), (3, 2)])
def test_strips_see_rows_of_their_neighbours_and_zeros_outside(above, below):
    image = np.arange(2 * 12 * 5 * 3, dtype=np.float32).reshape(2, 12, 5, 3) + 1
    cut = strips.cut(jnp.asarray(image), 4)
    assert cut.shape == (8, 3, 5, 3)
    np.testing.assert_array_equal(strips.join(cut, 4), image)
    found = strips.with_neighbours(cut, 4, above=above, below=below)
    padded = np.pad(image, ((0, 0), (above, below), (0, 0), (0, 0)))
    for k in range(8):
        start = 3 * (k % 4)
        rows = padded[k // 4, start : start + 3 + above + below]
        np.testing.assert_array_equal(found[k], rows)


@pytest.mark.parametrize(
    ("devices", "images", "height", "stride", "number"),
    [
        (1, 1, 512, 8, 8),
        (1, 7, 512, 8, 8),
        (1, 8, 512, 8, 1),  # fill the tiles as they are
        (16, 16, 512, 8, 8),
        (16, 128, 512, 8, 1),
        (1, 1, 32, 8, 1),  # half a row at the bottom
        (1, 1, 64, 8, 8),
    ],
)
def test_few_images_of_a_device_are_cut(devices, images, height, stride, number):
    assert Strips(devices).number(images, height, stride=stride) == number


# Fields of the config, and whether in training or not: half a minute of compiling each,
# so both of the first alone.
VARIANTS = {
    "stem stride 4": ({}, (False, True)),
    "stem stride 2": ({"resnet": {"stem_stride": 2}}, (True,)),
    "symmetric pool, stride in 1x1": (
        {"resnet": {"stem_pool": "symmetric", "stride_in_1x1": True}},
        (True,),
    ),
    "decoder at half the mask, dropout": (
        {"decoder": {"in_strides": 2, "dropout": 0.5}, "mask_size": (64, 16)},
        (True,),
    ),
    "past masks": ({"num_cond_frames": 2}, (True,)),
    "mask of rows that are not cut": ({"mask_size": (8, 2)}, (False,)),
}


def changed(fields):
    """`HIGH` with other fields, of its parts where they are dictionaries."""
    parts = {
        name: dataclasses.replace(getattr(HIGH, name), **value)
        if isinstance(value, dict)
        else value
        for name, value in fields.items()
    }
    return dataclasses.replace(HIGH, **parts)


@pytest.mark.parametrize(
    ("variant", "train"),
    [(name, train) for name, (_, modes) in VARIANTS.items() for train in modes],
)
def test_a_model_in_strips_is_the_model(variant, train):
    config = changed(VARIANTS[variant][0])
    whole = Pix2SeqD(config, remat="blocks" if train else "none")
    cut = dataclasses.replace(whole, strips=Strips(1))
    variables = random_variables(whole)
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.uniform(keys[0], (2, *config.image_size, 3))
    xt = jax.random.normal(keys[1], (2, *config.mask_size, config.num_bits))
    gamma = jnp.asarray([0.2, 0.8])
    weights = jax.random.normal(keys[2], xt.shape)

    def run(model):
        def loss(params):
            given = {**variables, "params": params}
            stats = {}
            if train:
                made, stats = model.encode_train(given, images, key=keys[0])
            else:
                made = model.encode(given, images)
            key = keys[1] if train else None
            x0 = model.denoise(given, xt, gamma, made, key=key).x0
            return jnp.sum(weights * x0), (x0, made, stats)

        function = quick_jit(jax.value_and_grad(loss, has_aux=True))
        (_, results), gradients = function(variables["params"])
        return results, gradients

    (results, gradients), (expected, right) = run(cut), run(whole)
    for found, other in zip(
        jax.tree.leaves(results), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-4)
    # Sums in another order: by float32 1e-7 a sum, times the network's depth.
    size = max(float(jnp.linalg.norm(g)) for g in jax.tree.leaves(right))
    for found, other in zip(
        jax.tree.leaves(gradients), jax.tree.leaves(right), strict=True
    ):
        away = float(jnp.linalg.norm(found - other))
        assert away < 1e-4 * (float(jnp.linalg.norm(other)) + 1e-3 * size)


def test_bfloat16_is_as_exact_in_strips():
    exact = Pix2SeqD(HIGH)
    variables = random_variables(exact)
    keys = jax.random.split(jax.random.key(0), 2)
    images = jax.random.uniform(keys[0], (1, *HIGH.image_size, 3))
    xt = jax.random.normal(keys[1], (1, *HIGH.mask_size, HIGH.num_bits))

    def logits(model):
        def run(xt):
            features = model.encode(variables, images)
            return model.denoise(variables, xt, jnp.full(1, 0.5), features).logits

        return np.asarray(quick_jit(run)(xt))

    rounded = dataclasses.replace(exact, dtype=jnp.bfloat16)
    right = logits(exact)
    whole, cut = (
        np.linalg.norm(logits(model) - right) / np.linalg.norm(right)
        for model in (rounded, dataclasses.replace(rounded, strips=Strips(1)))
    )
    assert cut < 1.2 * whole < 0.05


def test_the_same_parameters_are_drawn():
    whole = Pix2SeqD(HIGH)
    cut = dataclasses.replace(whole, strips=Strips(4))
    shapes = [
        jax.eval_shape(model.boxed_init, jax.random.key(0)) for model in (whole, cut)
    ]
    assert shapes[0] == shapes[1]


def test_all_convolutions_of_more_than_a_pixel_take_strips():
    whole = Pix2SeqD(HIGH)
    variables = random_variables(whole)
    images = jnp.zeros((1, *HIGH.image_size, 3))
    xt = jnp.zeros((1, *HIGH.mask_size, HIGH.num_bits))

    def estimate(model):
        features = model.encode(variables, images)
        return model.estimate(variables, xt, jnp.ones(1), features)

    def wide_kernels(model):
        """Batches of convolutions that see neighbours."""
        jaxpr = jax.make_jaxpr(lambda: estimate(model))()
        found = []
        pending = [jaxpr.jaxpr]
        while pending:
            for eqn in pending.pop().eqns:
                if eqn.primitive.name == "conv_general_dilated":
                    images, kernel = (v.aval.shape for v in eqn.invars)
                    if max(kernel[:2]) > 1:
                        found.append(images[0])
                for value in eqn.params.values():
                    inner = getattr(value, "jaxpr", value)
                    if hasattr(inner, "eqns"):
                        pending.append(inner)
        return found

    cut = wide_kernels(dataclasses.replace(whole, strips=Strips(1)))
    assert set(wide_kernels(whole)) == {1}
    assert set(cut) == {8} and len(cut) == len(wide_kernels(whole))


class Chip:
    platform = "tpu"


def test_tpus_take_strips_and_others_do_not():
    assert model_on(TINY, "bfloat16", [Chip(), Chip()]).strips == Strips(2)
    assert model_on(TINY, "bfloat16", jax.devices()).strips is None
