"""Upsampling, and the form that a TPU gets, against repeated pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.models import upsampling


def _map(dtype):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(2, 4, 6, 3)), dtype)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("convolved", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pixels_are_repeated_and_their_gradients_summed(factor, convolved, dtype):
    x = _map(dtype)
    made, pull = jax.vjp(
        lambda x: upsampling.upsample(x, factor, convolved=convolved), x
    )
    expected = np.repeat(np.repeat(x, factor, axis=1), factor, axis=2)
    plain = upsampling.upsample(x, factor, convolved=convolved)
    assert made.dtype == plain.dtype == x.dtype
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(plain, expected)
    back = jnp.arange(made.size, dtype=dtype).reshape(made.shape) / made.size
    (gradient,) = pull(back)
    assert gradient.dtype == x.dtype
    blocks = back.astype(np.float32).reshape(2, 4, factor, 6, factor, 3).sum((2, 4))
    tolerance = 1e-6 if dtype == "float32" else 2**-8
    np.testing.assert_allclose(gradient.astype(jnp.float32), blocks, rtol=tolerance)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("convolved", [True, False])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_training_on_tpus_convolves_where_it_is_exact(
    dtype, factor, convolved, platform
):
    def run(x):
        return jax.vjp(lambda x: upsampling.upsample(x, factor, convolved=convolved), x)

    traced = jax.jit(run).trace(_map(dtype))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    expected = (dtype, factor, convolved, platform) == ("bfloat16", 2, True, "tpu")
    assert ("convolution" in text) == expected


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_a_tpu_computes_is_the_same(dtype):
    # No TPU is here: its functions are run on this machine.
    x = _map(dtype)
    for made in upsampling._from_zeros(x), upsampling._by_convolution(x):
        assert made.dtype == dtype
        np.testing.assert_array_equal(made, upsampling._repeated(x, 2))
    made, expected = upsampling._of_every_other(x), upsampling._summed(x, 2)
    assert made.dtype == expected.dtype == x.dtype
    tolerance = 1e-6 if dtype == "float32" else 2**-7
    made, expected = made.astype(jnp.float32), expected.astype(jnp.float32)
    np.testing.assert_allclose(made, expected, rtol=tolerance, atol=tolerance)
