"""The softmax loss that makes its gradients beside it, against autodiff's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d import analog_bits, code_logits
from pix2seq_d.diffusion import hidden_loss, loss
from pix2seq_d.models.layers import depth_to_space
from pix2seq_d.sharding import mesh as meshes

CODES = 8
SIZE = (4, 8, 4)


def _inputs(stride):
    rng = np.random.default_rng(0)
    batch, height, width = SIZE
    channels = stride**2 * 2 * CODES
    x0 = analog_bits.encode(jnp.asarray(rng.integers(0, CODES, (*SIZE, 2))), 3)
    weights = jnp.asarray(rng.uniform(0.5, 2, SIZE), jnp.float32)
    shapes = (batch, height // stride, width // stride, 5), (5, channels), (channels,)
    arrays = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]
    return arrays, x0, weights


def _of_hidden(hidden, kernel, bias, *, x0, weights, **settings):
    return hidden_loss.softmax_xent_of_hidden(
        hidden, x0, weights, kernel=kernel, bias=bias, num_codes=CODES, **settings
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("at_once", [1, 520, 2**24])
@pytest.mark.parametrize("devices", [1, 2])
def test_loss_and_gradients_are_those_of_all_logits(stride, at_once, devices):
    arrays, x0, weights = _inputs(stride)

    def whole(hidden, kernel, bias):
        logits = depth_to_space(hidden @ kernel + bias, stride)
        logits = logits.reshape(*SIZE, 2, CODES)
        return jnp.mean(loss.softmax_xent(logits, x0, weights))

    made = functools.partial(
        _of_hidden, x0=x0, weights=weights, at_once=at_once, devices=devices
    )
    # Thrice: what comes from behind the loss has to reach the gradients.
    both = [
        jax.jit(jax.value_and_grad(lambda *x, f=f: 3 * f(*x), argnums=(0, 1, 2)))
        for f in (made, whole)
    ]
    (value, gradients), (expected, expected_gradients) = (f(*arrays) for f in both)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for found, right in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)


def test_codes_that_are_sure_have_finite_losses():
    arrays, x0, weights = _inputs(1)
    hidden, kernel, bias = arrays
    made, gradients = jax.value_and_grad(
        functools.partial(_of_hidden, x0=x0, weights=weights), argnums=(0, 1, 2)
    )(1e4 * hidden, kernel, bias)
    assert np.isfinite(made) and made > 1e3
    assert all(np.isfinite(x).all() for x in gradients)


def test_logits_of_a_large_mask_are_never_there_as_a_whole():
    # 256 x 256 pixels have 134 MB of them, a slice half of one group's.
    shapes = [(1, 256, 256, 8), (1, 256, 256, 16), (1, 256, 256), (8, 512), (512,)]
    hidden, x0, weights, kernel, bias = (
        jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes
    )

    def total(hidden, kernel, bias, x0, weights):
        return hidden_loss.softmax_xent_of_hidden(
            hidden, x0, weights, kernel=kernel, bias=bias, num_codes=256
        )

    gradient = jax.jit(jax.grad(total, argnums=(0, 1, 2)))
    compiled = gradient.lower(hidden, kernel, bias, x0, weights).compile()
    analysis = compiled.memory_analysis()
    assert analysis.temp_size_in_bytes < 256 * 256 * 512 * 4


@pytest.mark.parametrize(
    ("images", "devices", "at_once", "slices"),
    [(1, 1, 64, 1), (2, 1, 64, 2), (2, 2, 64, 1), (3, 2, 64, 2), (1, 1, 9, 6)],
)
def test_slices_have_the_logits_of_a_device_at_most(images, devices, at_once, slices):
    made = code_logits.num_slices(
        (images, 6, 2, 5), 5, devices=devices, at_once=at_once
    )
    assert made == slices


def test_expected_bits_by_slices_are_those_of_the_whole():
    (hidden, kernel, bias), _, _ = _inputs(1)
    expected = jax.nn.softmax((hidden @ kernel + bias).reshape(*SIZE, 2, CODES))
    expected = analog_bits.expected_bits(expected).reshape(*SIZE, -1)
    for slices in (1, 4):
        made = code_logits.expected_bits(
            hidden, kernel, bias, num_codes=CODES, slices=slices
        )
        np.testing.assert_allclose(made, expected, atol=1e-6)


def test_sums_by_product_are_sums():
    # A TPU's, run on this machine.
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, CODES)), jnp.float32)
    codes, places = hidden_loss._codes_by_product(x), hidden_loss._places_by_product(x)
    np.testing.assert_allclose(codes, x.sum(axis=-1), atol=1e-5)
    np.testing.assert_allclose(places, x.sum(axis=1), atol=1e-5)


def test_devices_exchange_nothing_for_a_slice():
    devices = jax.devices()[:4]
    over = meshes.over_batch(meshes.make_mesh(devices))
    (hidden, kernel, bias), x0, weights = _inputs(1)
    made = functools.partial(_of_hidden, at_once=260, devices=4)
    gradient = jax.jit(jax.value_and_grad(made, argnums=(0, 1, 2)))
    whole = gradient(hidden, kernel, bias, x0=x0, weights=weights)
    hidden, x0, weights = jax.device_put((hidden, x0, weights), over)
    compiled = gradient.lower(hidden, kernel, bias, x0=x0, weights=weights).compile()
    text = compiled.as_text()
    loop = [line for line in text.splitlines() if "/while/body/" in line]
    assert len(loop) > 10 and "all-reduce" in text
    moves = "all-reduce(", "all-gather(", "all-to-all(", "collective-permute("
    assert not [line for line in loop for move in moves if move in line]
    split = compiled(hidden, kernel, bias, x0=x0, weights=weights)
    for found, right in zip(*map(jax.tree.leaves, (split, whole)), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)
