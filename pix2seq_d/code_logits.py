"""Logits over the codes of a group of bits, from the decoder's last features (ours).

The last layer is a product at each place: hidden [..., C] times kernel [C, K * codes].
One matrix of logits for each of the K groups, never an array of all: what is summed
over codes then runs along the last axis of a matrix. By the TPU compiler a decoder step
takes a quarter less; a CPU takes a third of the time for it (docs/performance.md).
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits


def by_group(
    hidden: jax.Array, kernel: jax.Array, bias: jax.Array, *, num_codes: int
) -> Iterator[jax.Array]:
    """Yields the logits of a group after another.

    Args:
      hidden: [..., C], before the last layer.
      kernel: [C, K * num_codes] of the last layer.
      bias: [K * num_codes].
      num_codes: of a group, 2**n.
    Yields:
      [places, num_codes], places in order.
    """
    rows = hidden.reshape(-1, hidden.shape[-1])
    groups = kernel.shape[-1] // num_codes
    # Not by indexing, whose gradients are padded and summed, over devices, too.
    parts = jnp.split(kernel, groups, axis=-1), jnp.split(bias, groups)
    for group_kernel, group_bias in zip(*parts, strict=True):
        yield rows @ group_kernel + group_bias


def expected_bits(
    hidden: jax.Array, kernel: jax.Array, bias: jax.Array, *, num_codes: int
) -> jax.Array:
    """E[bits] under the softmax of every group's logits.

    Args:
      hidden: as of `by_group`.
      kernel: likewise.
      bias: likewise.
      num_codes: likewise.
    Returns:
      [..., K * n] in [0, 1].
    Source: spec 2.4.
    """
    table = analog_bits.bit_table(num_codes, hidden.dtype)
    # A column of ones: the product sums the denominator, too.
    table = jnp.concatenate([table, jnp.ones_like(table[:, :1])], axis=1)
    bits = []
    for logits in by_group(hidden, kernel, bias, num_codes=num_codes):
        most = jnp.max(logits, axis=-1, keepdims=True)
        sums = jnp.exp(logits - most) @ table
        bits.append(sums[:, :-1] / sums[:, -1:])
    return jnp.concatenate(bits, axis=-1).reshape(*hidden.shape[:-1], -1)
