"""Nearest-neighbour upsampling, in the form that suits a device (ours).

A TPU's compiler writes repeated maps, and sums their gradients, in three to seven times
the cycles that the memory needs. Where no gradient is taken it makes the sum of four
maps with zeros between their pixels within the convolution that follows; where one is,
the map is wanted in memory, and a convolution of its own writes it in half the cycles;
the sum of every other pixel, the gradient, is made within the convolution before
(docs/performance.md).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp


def upsample(x: jax.Array, factor: int, *, convolved: bool) -> jax.Array:
    """Repeats each pixel `factor` times along rows and columns.

    It has no forward-mode derivative.

    Args:
      x: [B, H, W, C].
      factor: >= 1.
      convolved: whether a convolution takes the map as it is, neither another added nor
        rows of neighbouring strips; only then a TPU gains by another form, where no
        gradient is taken.
    Returns:
      [B, factor H, factor W, C], of the dtype of `x`.
    """
    made: Any = _upsample(x, factor, convolved)
    return made


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _upsample(x: jax.Array, factor: int, convolved: bool) -> jax.Array:
    repeated = functools.partial(_repeated, factor=factor)
    if factor != 2 or not convolved:
        return repeated(x)
    return jax.lax.platform_dependent(x, tpu=_from_zeros, default=repeated)


def _forward(x: jax.Array, factor: int, convolved: bool) -> tuple[jax.Array, None]:
    repeated = functools.partial(_repeated, factor=factor)
    # The gradient of the convolution that follows wants the map itself. Products of a
    # TPU would round others than bfloat16.
    if factor != 2 or not convolved or x.dtype != jnp.bfloat16:
        return repeated(x), None
    made = jax.lax.platform_dependent(x, tpu=_by_convolution, default=repeated)
    return made, None


def _backward(
    factor: int, convolved: bool, _: None, gradient: jax.Array
) -> tuple[jax.Array]:
    del convolved
    summed = functools.partial(_summed, factor=factor)
    if factor != 2:
        return (summed(gradient),)
    made = jax.lax.platform_dependent(gradient, tpu=_of_every_other, default=summed)
    return (made,)


_upsample.defvjp(_forward, _backward)


def _repeated(x: jax.Array, factor: int) -> jax.Array:
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(
        x[:, :, None, :, None, :], (batch, height, factor, width, factor, channels)
    )
    return x.reshape(batch, height * factor, width * factor, channels)


def _summed(x: jax.Array, factor: int) -> jax.Array:
    """[B, factor H, factor W, C] -> [B, H, W, C]."""
    batch, height, width, channels = x.shape
    shape = batch, height // factor, factor, width // factor, factor, channels
    return jnp.sum(x.reshape(shape), axis=(2, 4))


def _from_zeros(x: jax.Array) -> jax.Array:
    """The same as `_repeated` by 2, each pixel a sum of it and three zeros."""

    def at(row: int, column: int) -> jax.Array:
        sides = (0, 0, 0), (row, 1 - row, 1), (column, 1 - column, 1), (0, 0, 0)
        return jax.lax.pad(x, jnp.zeros((), x.dtype), sides)

    return at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)


def _by_convolution(x: jax.Array) -> jax.Array:
    """The same as `_repeated` by 2: ones slide over pixels with zeros between them."""
    channels = x.shape[-1]
    return jax.lax.conv_general_dilated(
        x,
        jnp.ones((2, 2, 1, channels), x.dtype),
        window_strides=(1, 1),
        padding=((1, 1), (1, 1)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )


def _of_every_other(x: jax.Array) -> jax.Array:
    """The same as `_summed` by 2."""
    exact = x.astype(jnp.float32)  # sums are rounded once
    return sum(
        (exact[:, row::2, column::2] for row in (0, 1) for column in (0, 1)),
        start=jnp.zeros((), jnp.float32),
    ).astype(x.dtype)
