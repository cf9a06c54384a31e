"""GELU: exact to rounding, with its gradients, in float32 and bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from pix2seq_d.models.gelu import erf, gelu

X = np.concatenate([np.linspace(-8, 8, 20001), [-1e30, 1e30]])


def test_erf_and_its_slope():
    x = jnp.asarray(X, jnp.float32)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(erf(x), scipy.special.erf(exact), atol=5e-7, rtol=0)
    slope = jax.vmap(jax.grad(erf))(x[:-2])
    right = 2 / np.sqrt(np.pi) * np.exp(-(exact[:-2] ** 2))
    np.testing.assert_allclose(slope, right, atol=3e-7, rtol=0)


# bfloat16: rounded once, which is half of the last of 8 bits.
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 0), ("bfloat16", 2**-8)])
def test_gelu_and_its_slope(dtype, rtol):
    x = jnp.asarray(X[:-2], dtype)
    exact = np.asarray(x, np.float64)
    found = gelu(x)
    assert found.dtype == dtype
    phi = scipy.special.ndtr(exact)
    close = {"atol": 2e-6, "rtol": rtol}
    np.testing.assert_allclose(np.asarray(found, np.float64), exact * phi, **close)
    slope = jax.vmap(jax.grad(lambda x: gelu(x).astype(jnp.float32)))(x)
    right = phi + exact * np.exp(-(exact**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(np.asarray(slope, np.float64), right, **close)
