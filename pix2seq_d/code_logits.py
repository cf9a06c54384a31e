"""Logits over the codes of a group of bits, from the decoder's last features (ours).

The last layer is a product at each place: hidden [..., C] times kernel [C, K * codes].
One matrix of logits for each of the K groups, never an array of all: what is summed
over codes then runs along the last axis of a matrix. By the TPU compiler a decoder step
takes a quarter less; a CPU takes a third of the time for it (docs/performance.md).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from pix2seq_d import analog_bits

# Logits of a device in a slice: 34 MB of each of two groups stay in the 128 MB on a
# TPU's chip (docs/performance.md).
AT_ONCE = 2**24


def num_slices(
    hidden: Sequence[int], num_logits: int, *, devices: int, at_once: int = AT_ONCE
) -> int:
    """Into how many slices of rows the logits of a map are to be cut.

    Args:
      hidden: (B, h, w, C), shape of the map before the last layer.
      num_logits: of a place, all groups.
      devices: that the images are split over.
      at_once: logits of a device in a slice.
    Returns:
      The least divisor of h for which it suffices, or h.
    """
    batch, height, width, _ = hidden
    logits = -(-batch // devices) * height * width * num_logits
    # Heights are small: trying each number is cheap.
    return next(
        (k for k in range(1, height) if height % k == 0 and logits <= k * at_once),
        height,
    )


def rows(x: jax.Array, *, index: jax.Array, slices: int) -> jax.Array:
    """Slice `index` of the rows of [B, H, ...]: [B, H / slices, ...]."""
    number = x.shape[1] // slices
    return jax.lax.dynamic_slice_in_dim(x, index * number, number, axis=1)


def with_rows(x: jax.Array, part: jax.Array, *, index: jax.Array) -> jax.Array:
    """`x` [B, H, ...] with `part` as its slice `index`."""
    start = index * part.shape[1]
    return jax.lax.dynamic_update_slice_in_dim(x, part, start, axis=1)


def by_group(
    kernel: jax.Array, bias: jax.Array, *, num_codes: int
) -> list[tuple[jax.Array, jax.Array]]:
    """The last layer cut into those of its groups.

    Args:
      kernel: [C, K * num_codes].
      bias: [K * num_codes].
      num_codes: of a group, 2**n.
    Returns:
      Kernel [C, num_codes] and bias [num_codes] of each.
    """
    groups = kernel.shape[-1] // num_codes
    # Not by indexing, whose gradients are padded and summed, over devices, too.
    parts = jnp.split(kernel, groups, axis=-1), jnp.split(bias, groups)
    return list(zip(*parts, strict=True))


def expected_bits(
    hidden: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    *,
    num_codes: int,
    slices: int = 1,
) -> jax.Array:
    """E[bits] under the softmax of every group's logits.

    Args:
      hidden: [B, h, w, C], before the last layer.
      kernel: [C, K * num_codes] of the last layer.
      bias: [K * num_codes].
      num_codes: of a group, 2**n.
      slices: of rows, a divisor of h, that are taken one after another.
    Returns:
      [B, h, w, K * n] in [0, 1].
    Source: spec 2.4.
    """
    table = analog_bits.bit_table(num_codes, hidden.dtype)
    # A column of ones: the product sums the denominator, too.
    table = jnp.concatenate([table, jnp.ones_like(table[:, :1])], axis=1)
    groups = by_group(kernel, bias, num_codes=num_codes)

    def of_rows(hidden: jax.Array) -> jax.Array:
        places = hidden.reshape(-1, hidden.shape[-1])
        bits = []
        for group_kernel, group_bias in groups:
            logits = places @ group_kernel + group_bias
            most = jnp.max(logits, axis=-1, keepdims=True)
            sums = jnp.exp(logits - most) @ table
            bits.append(sums[:, :-1] / sums[:, -1:])
        return jnp.concatenate(bits, axis=-1).reshape(*hidden.shape[:-1], -1)

    if slices == 1:
        return of_rows(hidden)

    def step(made: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        part = of_rows(rows(hidden, index=index, slices=slices))
        return with_rows(made, part, index=index), None

    num_bits = len(groups) * (table.shape[1] - 1)
    start = jnp.zeros((*hidden.shape[:-1], num_bits), hidden.dtype)
    return jax.lax.scan(step, start, jnp.arange(slices))[0]
