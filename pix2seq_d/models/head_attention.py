"""Attention of one head after another, whose scores a TPU's chip holds.

With FlashAttention's gradients (Dao et al., arXiv 2205.14135; log-sum-exp as of Dao,
arXiv 2307.08691): the backward pass makes the weights from scores and log-sum-exp,
without a softmax. Ours: sums over keys are a product with a column of ones, for a TPU
sums rows slowly; and the result is kept in float32 for D, which has to cancel against
dO V^T where keys have much in common.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

_TILE = 8  # rows of a TPU's tile

_contract = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def head_by_head(
    query: jax.Array, key: jax.Array, value: jax.Array, parts: tuple[int, int]
) -> jax.Array:
    """softmax(q k^T / sqrt(head_dim)) v, the softmax in float32.

    Equal to `jax.nn.dot_product_attention` up to rounding. It has no forward-mode
    derivative.

    Args:
      query: [B, L, heads, head_dim].
      key: [B, M, heads, head_dim].
      value: as `key`.
      parts: blocks of queries, one after another, of which only one has its scores
        [B, l, M] of a head in memory, l a multiple of 8, rather fewer than that many;
        of the forward pass, and of the backward pass, which has gradients beside them.
    Returns:
      [B, L, heads, head_dim].
    Source: FlashAttention, above; heads and blocks are ours.
    """
    return _forward(query, key, value, parts)[0]


def _forward(
    query: jax.Array, key: jax.Array, value: jax.Array, parts: tuple[int, int]
) -> tuple[jax.Array, Any]:
    def head(arrays: tuple[jax.Array, ...]) -> Any:
        query, key, value = arrays
        block = functools.partial(_attend, key=key, value=value)
        found = jax.lax.map(block, _cut(query, parts[0]))
        made, logs = (_joined(x, query.shape[1]) for x in found)
        return made, logs[..., 0]

    made, logs = jax.lax.map(head, tuple(map(_heads, (query, key, value))))
    made = jnp.moveaxis(made, 0, 2)
    return made.astype(value.dtype), (query, key, value, made, logs)


def _backward(
    parts: tuple[int, int], kept: Any, back: jax.Array
) -> tuple[jax.Array, ...]:
    query, key, value, made, logs = kept

    def head(arrays: tuple[jax.Array, ...]) -> Any:
        query, key, value, made, back, logs = arrays
        block = functools.partial(_gradients, key=key, value=value)
        zeros = jnp.zeros(key.shape, jnp.float32)

        def step(sums: Any, rows: Any) -> Any:
            of_query, *more = block(*rows)
            return [a + b for a, b in zip(sums, more, strict=True)], of_query

        rows = query, made, back, logs[..., None]
        rows = tuple(_cut(x, parts[1]) for x in rows)
        sums, of_query = jax.lax.scan(step, [zeros, zeros], rows)
        of_query = _joined(of_query, query.shape[1])
        return of_query, *(x.astype(key.dtype) for x in sums)

    arrays = *map(_heads, (query, key, value, made, back)), logs
    found = jax.lax.map(head, arrays)
    return tuple(jnp.moveaxis(x, 0, 2) for x in found)


head_by_head.defvjp(_forward, _backward)


def _attend(
    query: jax.Array, *, key: jax.Array, value: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """[B, l, H] -> the same in float32, and log-sum-exp [B, l, 1] of the scores."""
    scores = _contract("blh,bmh->blm", query, key) / math.sqrt(query.shape[-1])
    largest = jnp.max(scores, axis=-1, keepdims=True)
    weights = jnp.exp(scores - largest).astype(value.dtype)
    ones = jnp.ones((*value.shape[:2], 1), value.dtype)
    made = _contract("blm,bmh->blh", weights, jnp.concatenate([value, ones], axis=-1))
    made, total = made[..., :-1], made[..., -1:]
    return made / total, largest + jnp.log(total)


def _gradients(
    query: jax.Array,
    made: jax.Array,
    back: jax.Array,
    logs: jax.Array,
    *,
    key: jax.Array,
    value: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of query, and of key and value in float32, to be added up.

    P = exp(S - log-sum-exp), D = rows of dO O, dV = P^T dO, dS = P (dO V^T - D),
    dQ = dS K, dK = dS^T Q.
    """
    scale, dtype = 1 / math.sqrt(query.shape[-1]), query.dtype
    scores = _contract("blh,bmh->blm", query, key) * scale
    weights = jnp.exp(scores - logs)
    dots = jnp.sum(made * back.astype(jnp.float32), axis=-1, keepdims=True)
    of_scores = weights * (_contract("blh,bmh->blm", back, value) - dots)
    of_scores = _written(of_scores).astype(dtype)
    of_value = _contract("blm,blh->bmh", weights.astype(dtype), back)
    of_query = (_contract("blm,bmh->blh", of_scores, key) * scale).astype(dtype)
    of_key = _contract("blm,blh->bmh", of_scores, query) * scale
    return of_query, of_key, of_value


def _written(x: jax.Array) -> jax.Array:
    """x, which a TPU writes in float32.

    On the chip that takes it a quarter of the time of bfloat16, and products round what
    they take; its compiler would round before, through anything but other bits.
    """
    bits = jax.lax.optimization_barrier(jax.lax.bitcast_convert_type(x, jnp.int32))
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def _heads(x: jax.Array) -> jax.Array:
    """[B, L, heads, H] -> [heads, B, L, H]."""
    return jnp.moveaxis(x, 2, 0)


def _cut(x: jax.Array, parts: int) -> jax.Array:
    """[B, L, H] -> [at most `parts`, B, l, H].

    Rows of zeros fill the last of several; they give no gradients, for their dO is
    zero.
    """
    batch, length, width = x.shape
    size = length
    if parts > 1:
        size = math.ceil(length / parts / _TILE) * _TILE
        parts = math.ceil(length / size)
    x = jnp.pad(x, ((0, 0), (0, parts * size - length), (0, 0)))
    return jnp.moveaxis(x.reshape(batch, parts, size, width), 1, 0)


def _joined(x: jax.Array, length: int) -> jax.Array:
    """Undoes `_cut`."""
    _, batch, _, width = x.shape
    return jnp.moveaxis(x, 0, 1).reshape(batch, -1, width)[:, :length]
