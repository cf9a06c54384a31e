"""Attention's kernels: XLA's, and cuDNN's, which keeps no scores in memory."""

from typing import Literal

import jax
import jax.numpy as jnp

Kernel = Literal["xla", "cudnn"]


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, kernel: Kernel
) -> jax.Array:
    """softmax(q k^T / sqrt(head_dim)) v of each head, the softmax in float32.

    Args:
      query: [B, L, heads, head_dim].
      key: [B, M, heads, head_dim].
      value: as `key`.
      kernel: `xla` has the scores [B, heads, L, M] in memory; `cudnn` never, and wants
        bfloat16 on an NVIDIA GPU: ask `attention_choice.best`.
    Returns:
      [B, L, heads, head_dim].
    """
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
