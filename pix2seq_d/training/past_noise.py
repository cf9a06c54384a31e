"""Errors in the past masks of training clips, such as predictions have (ours).

A model that is trained on true past masks only meets its own mistakes for the first
time when it runs, and hands them on. Each past frame is spoiled by itself.
"""

import jax
import jax.numpy as jnp

from pix2seq_d.config import PastNoiseConfig

# Apart from the examples' own streams, which are numbered from 0 on.
_STREAM = 2**32 - 1


def spoil_batch(
    key: jax.Array,
    past: jax.Array,
    index: jax.Array,
    *,
    noise: PastNoiseConfig,
    max_instances: int,
) -> jax.Array:
    """`spoil` of every example, with a key of its own.

    So neither the number of devices nor of accumulated parts changes the errors.

    Args:
      key: of the step's noise.
      past: [B, h, w, 2 F] int32.
      index: [B] int, names the examples.
      noise: how much.
      max_instances: number of instance ids, 0 included.
    Returns:
      [B, h, w, 2 F] int32.
    """
    root = jax.random.fold_in(key, _STREAM)

    def one(index: jax.Array, past: jax.Array) -> jax.Array:
        own = jax.random.fold_in(root, index)
        return spoil(own, past, noise=noise, max_instances=max_instances)

    return jax.vmap(one)(index, past)


def spoil(
    key: jax.Array, past: jax.Array, *, noise: PastNoiseConfig, max_instances: int
) -> jax.Array:
    """Puts errors into the past masks of one example.

    Args:
      key: of the example.
      past: [h, w, 2 F] int32 (semantic, instance) of F frames.
      noise: how much.
      max_instances: number of instance ids, 0 included.
    Returns:
      [h, w, 2 F] int32. Pixels without instance id are only shifted.
    """
    height, width, channels = past.shape
    frames = past.reshape(height, width, channels // 2, 2)
    keys = jax.random.split(key, channels // 2)

    def one(key: jax.Array, frame: jax.Array) -> jax.Array:
        drop_key, merge_key, pick_key, shift_key = jax.random.split(key, 4)
        ids = jnp.arange(max_instances)
        semantic, instance = frame[..., 0], frame[..., 1]
        count = jnp.zeros(max_instances).at[instance.ravel()].add(1.0)
        # Any pixel of an instance has its class.
        classes = jnp.zeros(max_instances, jnp.int32)
        classes = classes.at[instance.ravel()].max(semantic.ravel())
        is_there = (count > 0) & (ids > 0)
        logits = jnp.where(is_there, 0.0, -jnp.inf)
        # Without any instance all are as likely, and none is looked up.
        logits = jnp.where(is_there.any(), logits, 0.0)
        other = jax.random.categorical(pick_key, logits, shape=(max_instances,))
        merged = jax.random.uniform(merge_key, (max_instances,)) < noise.merge
        merged &= ids > 0
        new_id = jnp.where(merged, other, ids)
        dropped = jax.random.uniform(drop_key, (max_instances,)) < noise.drop
        dropped &= ids > 0
        new_class = jnp.where(merged[instance], classes[new_id[instance]], semantic)
        gone = dropped[instance]
        spoiled = jnp.stack([new_class, new_id[instance]], axis=-1)
        spoiled = jnp.where(gone[..., None], 0, spoiled)
        offset = jax.random.randint(shift_key, (2,), -noise.shift, noise.shift + 1)
        return _moved(spoiled, offset)

    spoiled = jax.vmap(one, in_axes=(0, 2), out_axes=2)(keys, frames)
    return spoiled.reshape(past.shape).astype(past.dtype)


def _moved(frame: jax.Array, offset: jax.Array) -> jax.Array:
    """[h, w, 2] moved down and right by an offset; void where nothing comes from."""
    height, width = frame.shape[:2]
    rows, columns = jnp.arange(height) - offset[0], jnp.arange(width) - offset[1]
    inside = ((rows >= 0) & (rows < height))[:, None] & (
        (columns >= 0) & (columns < width)
    )
    taken = frame[jnp.clip(rows, 0, height - 1)][:, jnp.clip(columns, 0, width - 1)]
    return jnp.where(inside[..., None], taken, 0)
