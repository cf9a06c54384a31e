"""Convolutions as products: equal to XLA's, and taken where they should be."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.models import convolution
from pix2seq_d.models.convolution import has_avx512
from pix2seq_d.models.layers import conv
from pix2seq_d.models.resnet import ConvNorm

TOLERANCE = 1e-5  # of the largest: sums of up to 2,400 numbers in another order


@pytest.fixture(autouse=True)
def without_avx512(monkeypatch):
    monkeypatch.setattr(convolution, "has_avx512", lambda: False)


def plain(x, kernel, strides, padding, **_):
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def results(function, x, kernel, gradient, strides, padding):
    """Output and gradients."""
    out, back = jax.vjp(lambda x, k: function(x, k, strides, padding), x, kernel)
    return out, *back(gradient)


@pytest.mark.parametrize(
    ("kernel", "channels", "stride", "padding"),
    [
        (1, (33, 40), 1, "SAME"),
        (1, (33, 40), 2, "SAME"),
        (3, (33, 40), 1, "SAME"),
        (3, (40, 33), 1, ((0, 0), (1, 1))),  # strips
        (3, (33, 40), 1, ((1, 1), (1, 1))),
        (3, (33, 40), 1, "VALID"),
        (3, (33, 40), 1, ((2, 0), (1, 2))),
        (5, (32, 32), 1, "SAME"),
        (1, (33, 40), 1, ((1, 1), (0, 2))),
        (3, (33, 40), 1, ((3, 3), (1, 1))),
        (3, (33, 40), 1, ((0, 4), (1, 1))),
        (3, (33, 40), 1, ((-1, 0), (1, 1))),
        (3, (8, 40), 1, "SAME"),
        (3, (33, 40), 2, "SAME"),
        (2, (33, 40), 2, "SAME"),
        (2, (33, 40), 1, "SAME"),
    ],
)
def test_it_is_xlas_convolution(kernel, channels, stride, padding):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape, np.float32)

    x, weights = draw(2, 10, 12, channels[0]), draw(kernel, kernel, *channels)
    strides = (stride, stride)
    shape = jax.eval_shape(lambda: plain(x, weights, strides, padding)).shape
    arguments = x, weights, draw(*shape), strides, padding
    found = results(convolution.convolve, *arguments)
    for one, other in zip(found, results(plain, *arguments), strict=True):
        assert one.shape == other.shape
        assert jnp.abs(one - other).max() < TOLERANCE * jnp.abs(other).max()


def test_rectangular_kernels():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 6, 9, 32), np.float32)
    weights = rng.standard_normal((3, 5, 32, 32), np.float32)
    gradient = rng.standard_normal((2, 6, 9, 32), np.float32)
    arguments = x, weights, gradient, (1, 1), "SAME"
    found, wanted = (
        results(convolution.convolve, *arguments),
        results(plain, *arguments),
    )
    for one, other in zip(found, wanted, strict=True):
        assert jnp.abs(one - other).max() < TOLERANCE * jnp.abs(other).max()


def test_gradients_keep_their_dtype():
    x = jnp.ones((2, 8, 8, 32), jnp.bfloat16)
    for kernel in (1, 3):
        weights = jnp.ones((kernel, kernel, 32, 32), jnp.bfloat16)
        found = results(convolution.convolve, x, weights, x, (1, 1), "SAME")
        assert {one.dtype for one in found} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize(
    ("channels", "kernel", "wanted"),
    [
        # Forward, and gradients of input and kernel.
        (32, 3, {"cpu": (2, 9), "cuda": (3, 0), "tpu": (3, 0)}),
        (31, 3, {"cpu": (3, 0), "cuda": (3, 0), "tpu": (3, 0)}),
        (31, 1, {"cpu": (0, 3), "cuda": (3, 0), "tpu": (3, 0)}),
    ],
)
def test_only_cpus_take_products(platform, channels, kernel, wanted):
    x = jax.ShapeDtypeStruct((2, 8, 8, channels), jnp.float32)
    weights = jax.ShapeDtypeStruct((kernel, kernel, channels, channels), jnp.float32)

    def step(x, weights):
        return results(convolution.convolve, x, weights, x, (1, 1), "SAME")

    traced = jax.jit(step).trace(x, weights)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    found = text.count("stablehlo.convolution"), text.count("stablehlo.dot_general")
    assert found == wanted[platform]


@pytest.mark.parametrize(
    "option",
    [
        {"rhs_dilation": (2, 2)},
        {"lhs_dilation": (1, 2)},
        {"feature_group_count": 2},
        {"precision": "highest"},
    ],
)
def test_what_it_cannot_do_is_refused(option):
    x, weights = jnp.ones((2, 8, 8, 32)), jnp.ones((3, 3, 32, 32))
    with pytest.raises(ValueError, match="no dilation, groups or precision"):
        convolution.convolve(x, weights, (1, 1), "SAME", **option)


def test_with_avx512_kernels_larger_than_1x1_are_xlas(monkeypatch):
    monkeypatch.setattr(convolution, "has_avx512", lambda: True)
    x, weights = jnp.ones((2, 8, 8, 32)), jnp.ones((3, 3, 32, 32))

    def step(x, weights):
        return results(convolution.convolve, x, weights, x, (1, 1), "SAME")

    text = jax.jit(step).lower(x, weights).as_text()
    assert text.count("stablehlo.convolution") == 3
    assert "stablehlo.dot_general" not in text


def test_this_cpus_instructions_are_known():
    flags = Path("/proc/cpuinfo")
    text = flags.read_text().split() if flags.exists() else []
    assert has_avx512() == ("avx512f" in text)


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(lambda: conv(32, 3, "a", jnp.float32), id="layers.conv"),
        pytest.param(lambda: ConvNorm(32, 3), id="resnet"),
    ],
)
def test_the_networks_convolutions_are_these(layer):
    x = jnp.ones((2, 8, 8, 32))
    train = {"train": True} if isinstance(layer(), ConvNorm) else {}
    variables = layer().init(jax.random.key(0), x, **train)

    def loss(params):
        states = {"mutable": ["batch_stats"]} if train else {}
        out = layer().apply({**variables, "params": params}, x, **train, **states)
        return jax.tree.leaves(out)[-1].sum()

    text = jax.jit(jax.grad(loss)).lower(variables["params"]).as_text()
    assert text.count("stablehlo.dot_general") == 9
