"""The exact GELU in float32, with an erf of its own.

jax.nn.gelu takes erfc, whose exponential and two quotients cost two to three times as
much, and in bfloat16 a pass over memory more. jax.lax.erf is as fast as what is here,
but jax.export writes it (jax 0.10.2) as an operation that TensorFlow 2.21 cannot read.
"""

import math

import jax
import jax.numpy as jnp

# erf(x) = x P(x^2) / Q(x^2) up to _END, within 2e-8: fitted to scipy's erf by weighted
# least squares. From there on erf is 1 in float32.
_END = 3.93
_P = (2.02699651e-6, 2.87507713e-4, 3.88442622e-3, 5.31085433e-2, 0.193183323)
_P = (*_P, 1.12837902)
_Q = (3.7992316e-5, 1.19140979e-3, 1.52046182e-2, 0.115251256, 0.504535871, 1.0)


@jax.custom_jvp
def erf(x: jax.Array) -> jax.Array:
    """(2 / sqrt pi) int_0^x exp(-t^2) dt, float32, within 5e-7 (ours)."""
    x = jnp.clip(x, -_END, _END)
    square = x * x
    return x * _polynomial(_P, square) / _polynomial(_Q, square)


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    first, *others = coefficients
    found = jnp.full_like(x, first)
    for one in others:
        found = found * x + one
    return found


erf.defjvps(lambda grad, _, x: grad * (2 / math.sqrt(math.pi)) * jnp.exp(-x * x))


def gelu(x: jax.Array) -> jax.Array:
    """x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, of x's dtype (spec 4.3)."""
    y = x.astype(jnp.float32)
    return (y * (0.5 + 0.5 * erf(y * math.sqrt(0.5)))).astype(x.dtype)
