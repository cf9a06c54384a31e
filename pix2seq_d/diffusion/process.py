"""The forward process and the conversions between x0, eps and v (spec 2.1, 2.3)."""

import jax
import jax.numpy as jnp

# Below the 1 - gamma of the plain cosine at any t in float32, 1.2e-7; the schedules
# that are clipped reach 0, where the noise is no number.
_LEAST_NOISE = 1e-7


def broadcast_gamma(gamma: jax.Array, ndim: int) -> jax.Array:
    """[B] -> [B, 1, ..., 1] with `ndim` axes."""
    return gamma.reshape(gamma.shape + (1,) * (ndim - gamma.ndim))


def q_sample(x0: jax.Array, eps: jax.Array, *, gamma: jax.Array) -> jax.Array:
    """Noises clean bits to level gamma: sqrt(gamma) x0 + sqrt(1 - gamma) eps.

    Args:
      x0: [B, h, w, K] float32, analog bits.
      eps: [B, h, w, K] float32, standard normal.
      gamma: [B] float32 in [0, 1]; 1 means no noise.
    Returns:
      xt: [B, h, w, K] float32.
    Source: spec 2.1.
    """
    gamma = broadcast_gamma(gamma, x0.ndim)
    return jnp.sqrt(gamma) * x0 + jnp.sqrt(1 - gamma) * eps


def eps_from_x0(xt: jax.Array, x0: jax.Array, *, gamma: jax.Array) -> jax.Array:
    """The noise that leads from x0 to xt: (xt - sqrt(gamma) x0) / sqrt(1 - gamma).

    Args:
      xt: [B, h, w, K] float32.
      x0: [B, h, w, K] float32.
      gamma: [B] float32 in [0, 1]; 1 - gamma counts as _LEAST_NOISE at least.
    Returns:
      eps: [B, h, w, K] float32.
    Source: spec 3.1.
    """
    gamma = broadcast_gamma(gamma, xt.ndim)
    noise = jnp.maximum(1 - gamma, _LEAST_NOISE)
    return (xt - jnp.sqrt(gamma) * x0) / jnp.sqrt(noise)


def x0_from_eps(xt: jax.Array, eps: jax.Array, *, gamma: jax.Array) -> jax.Array:
    """x0 = (xt - sqrt(1 - gamma) eps) / sqrt(gamma); shapes as `eps_from_x0`.

    Source: spec 2.3, row eps.
    """
    gamma = broadcast_gamma(gamma, xt.ndim)
    return (xt - jnp.sqrt(1 - gamma) * eps) / jnp.sqrt(gamma)


def x0_from_v(xt: jax.Array, v: jax.Array, *, gamma: jax.Array) -> jax.Array:
    """x0 = sqrt(gamma) xt - sqrt(1 - gamma) v; shapes as `eps_from_x0`.

    Source: spec 2.3, row v.
    """
    gamma = broadcast_gamma(gamma, xt.ndim)
    return jnp.sqrt(gamma) * xt - jnp.sqrt(1 - gamma) * v
