"""Integers <-> analog bits, least significant bit first (spec 1.3, 1.4)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


def int_to_bits(x: jax.Array, num_bits: int) -> jax.Array:
    """bit_i = (x >> i) mod 2, i = 0 ... num_bits - 1.

    Args:
      x: int [...], values in [0, 2**num_bits).
      num_bits: number of bits per integer.
    Returns:
      [..., num_bits] int32 in {0, 1}, least significant bit first.
    Source: spec 1.3.
    """
    x = jnp.asarray(x)
    shifts = np.arange(num_bits, dtype=np.int32)
    return ((x[..., None].astype(jnp.int32) >> shifts) & 1).astype(jnp.int32)


def bits_to_int(x: jax.Array) -> jax.Array:
    """sum_i [x_i > 0] 2**i: each bit is thresholded on its own, strictly above 0.

    Args:
      x: [..., n] bits in {0, 1} or analog bits of any scale, n <= 30.
    Returns:
      [...] int32 in [0, 2**n).
    Source: spec 1.4.
    """
    x = jnp.asarray(x)
    powers = np.left_shift(1, np.arange(x.shape[-1], dtype=np.int32))
    return jnp.sum((x > 0) * powers, axis=-1, dtype=jnp.int32)


def encode(
    labels: jax.Array, bits_per_channel: int = 8, scale: float = 0.1
) -> jax.Array:
    """Integer channels -> analog bits (2 bit - 1) scale, channel by channel.

    Args:
      labels: int [..., C], values in [0, 2**bits_per_channel).
      bits_per_channel: bits of every channel.
      scale: the analog value of a set bit, the paper's b.
    Returns:
      [..., C * bits_per_channel] float32 in {-scale, +scale}; the bits of
      channel 0 come first.
    Source: spec 1.3.
    """
    bits = int_to_bits(labels, bits_per_channel)
    analog = (2.0 * bits.astype(jnp.float32) - 1.0) * scale
    return analog.reshape(*analog.shape[:-2], -1)


def decode(x: jax.Array, bits_per_channel: int = 8) -> jax.Array:
    """Analog bits -> integer channels; the inverse of `encode` at any scale.

    Args:
      x: float [..., C * bits_per_channel].
      bits_per_channel: bits of every channel.
    Returns:
      [..., C] int32 in [0, 2**bits_per_channel).
    Raises:
      ValueError: the last axis is not a multiple of `bits_per_channel`.
    Source: spec 1.4.
    """
    x = jnp.asarray(x)
    if x.shape[-1] % bits_per_channel:
        raise ValueError(
            f"the last axis holds {x.shape[-1]} bits, not a multiple of "
            f"bits_per_channel={bits_per_channel}"
        )
    return bits_to_int(x.reshape(*x.shape[:-1], -1, bits_per_channel))


def bit_table(num_codes: int, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """T[k] = the bits of code k, [num_codes, n]; num_codes is 2**n."""
    return int_to_bits(jnp.arange(num_codes), (num_codes - 1).bit_length()).astype(
        dtype
    )


def expected_bits(probabilities: jax.Array) -> jax.Array:
    """E[bits] = p T, T[k] the bits of code k: softmax over codes -> bit marginals.

    Args:
      probabilities: [..., 2**n] float, sums to 1 over the last axis.
    Returns:
      [..., n] of the same dtype, in [0, 1].
    Source: spec 2.4.
    """
    return probabilities @ bit_table(probabilities.shape[-1], probabilities.dtype)
