"""Attention's kernels: XLA's, of all heads or one by one, and cuDNN's."""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from pix2seq_d.models.head_attention import head_by_head

# Bytes of float32 scores that stay in the 128 MB on a TPU's chip, with room for others:
# of all heads, whose softmax has several such arrays, and of one, whose backward pass
# has two (docs/performance.md).
_OF_ALL = 40e6
_OF_ONE = 70e6


@dataclasses.dataclass(frozen=True)
class ByHead:
    """One head after another, where the scores of all would not stay on a TPU's chip.

    The backward pass makes the scores again.

    Attributes:
      devices: number of them that a batch is split over.
    """

    devices: int

    def parts(
        self, batch: int, queries: int, *, heads: int, keys: int
    ) -> tuple[int, int] | None:
        """Blocks of queries of a head, forward and backward; None: all heads at once.

        Args:
          batch: examples, on all devices.
          queries: of an example.
          heads: number of them.
          keys: of an example.
        """
        one = 4 * -(-batch // self.devices) * queries * keys
        if heads * one <= _OF_ALL:
            return None
        return math.ceil(one / _OF_ONE), math.ceil(2 * one / _OF_ONE)


Kernel = Literal["xla", "cudnn"] | ByHead


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, kernel: Kernel
) -> jax.Array:
    """softmax(q k^T / sqrt(head_dim)) v of each head, the softmax in float32.

    Args:
      query: [B, L, heads, head_dim].
      key: [B, M, heads, head_dim].
      value: as `key`.
      kernel: `xla` has the scores [B, heads, L, M] in memory, `ByHead` those of a head
        or of some of its queries; `cudnn` none, and wants bfloat16 on an NVIDIA GPU:
        ask `attention_choice.best`.
    Returns:
      [B, L, heads, head_dim].
    """
    if isinstance(kernel, ByHead):
        _, keys, heads, _ = key.shape
        parts = kernel.parts(*query.shape[:2], heads=heads, keys=keys)
        if parts is not None:
            made: Any = head_by_head(query, key, value, parts)
            return made
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
