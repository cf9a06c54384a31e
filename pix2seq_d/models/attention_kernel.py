"""Attention's kernels: XLA's, whole or in blocks, and cuDNN's."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

# Bytes of float32 scores that stay on a TPU chip, with room for others: its 128 MB hold
# blocks of 67 MB in some programs, in others not (docs/performance.md).
_ON_CHIP = 40e6
_MOST = 256  # queries of a block: more gain nothing
_LEAST = 3  # 8 queries, whether they fit or not


@dataclasses.dataclass(frozen=True)
class Blocks:
    """XLA's kernel for one block of queries after another.

    The scores of a block stay on the chip; the backward pass makes them again.

    Attributes:
      devices: number of them that a batch is split over.
    """

    devices: int

    def queries(self, batch: int, queries: int, *, heads: int, keys: int) -> int:
        """How many of the queries of a batch one block has: all, or a power of two."""
        fitting = int(_ON_CHIP / (4 * -(-batch // self.devices) * heads * keys))
        if queries <= fitting:
            return queries
        return min(_MOST, 1 << max(fitting.bit_length() - 1, _LEAST))

    def is_alone(self, batch: int) -> bool:
        """Whether each of several devices has at most one example of a batch."""
        return self.devices > 1 and batch <= self.devices


Kernel = Literal["xla", "cudnn"] | Blocks


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, kernel: Kernel
) -> jax.Array:
    """softmax(q k^T / sqrt(head_dim)) v of each head, the softmax in float32.

    Args:
      query: [B, L, heads, head_dim].
      key: [B, M, heads, head_dim].
      value: as `key`.
      kernel: `xla` has the scores [B, heads, L, M] in memory, `Blocks` a part of them;
        `cudnn` none, and wants bfloat16 on an NVIDIA GPU: ask `attention_choice.best`.
    Returns:
      [B, L, heads, head_dim].
    """
    if isinstance(kernel, Blocks):
        _, keys, heads, _ = key.shape
        size = kernel.queries(*query.shape[:2], heads=heads, keys=keys)
        if size < query.shape[1]:
            by_blocks = _by_heads if kernel.is_alone(len(query)) else _by_blocks
            return by_blocks(query, key, value, size=size)
        kernel = "xla"
    if kernel == "xla":
        return jax.nn.dot_product_attention(query, key, value)
    # JAX has cuDNN's gradients for even lengths only, and the time token makes the
    # decoder's odd. Queries of zeros are cut off again; keys of zeros are masked.
    length, seen = query.shape[1], key.shape[1]
    query, key, value = (
        jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0)))
        for x in (query, key, value)
    )
    # JAX does not split this over devices; its numbers are all the same.
    lengths = jnp.full(len(key), seen, jnp.int32) if seen % 2 else None
    made = jax.nn.dot_product_attention(
        query, key, value, key_value_seq_lengths=lengths, implementation="cudnn"
    )
    return made[:, :length]


def _by_heads(
    query: jax.Array, key: jax.Array, value: jax.Array, *, size: int
) -> jax.Array:
    """`_by_blocks` whose examples are the heads.

    Where a batch split over devices leaves one example to each, the TPU compiler does
    not see in time that this axis has length 1, and its softmax takes several times as
    long (docs/performance.md).
    """
    batch, length, heads, head_dim = query.shape
    made = _by_blocks(
        *(
            x.swapaxes(1, 2).reshape(batch * heads, -1, 1, head_dim)
            for x in (query, key, value)
        ),
        size=size,
    )
    return made.reshape(batch, heads, length, head_dim).swapaxes(1, 2)


def _by_blocks(
    query: jax.Array, key: jax.Array, value: jax.Array, *, size: int
) -> jax.Array:
    # So that the gradients of all blocks are summed in float32.
    exact = key.astype(jnp.float32), value.astype(jnp.float32)

    @jax.checkpoint
    def block(queries: jax.Array) -> jax.Array:
        rounded = (x.astype(queries.dtype) for x in exact)
        return jax.nn.dot_product_attention(queries, *rounded)

    batch, length, *rest = query.shape
    whole = length // size * size
    blocks = query[:, :whole].reshape(batch, -1, size, *rest)
    made = jax.lax.map(block, jnp.moveaxis(blocks, 1, 0))
    made = jnp.moveaxis(made, 0, 1).reshape(batch, whole, *rest)
    if whole == length:
        return made
    return jnp.concatenate([made, block(query[:, whole:])], axis=1)
