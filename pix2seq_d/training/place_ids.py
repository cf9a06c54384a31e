"""Instance ids that say where an object is, for images (ours).

Ids drawn at random are nothing that can be seen in an image: a network has to learn
first that the pixels of an object agree on one, and that only the noise says on which.
Here every id has a place in the image, and an object takes the free one that is
nearest to its centre.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def places(max_instances: int) -> np.ndarray:
    """Where each id belongs: a grid of 2^r x 2^c, 2^(r + c) >= max_instances.

    The lower c bits of an id are its column, the upper r its row, both in Gray code,
    so that ids of neighbouring places differ in one bit.

    Args:
      max_instances: number of instance ids, 0 included.
    Returns:
      [max_instances, 2] float32, (y, x) in (0, 1); a square grid or twice as wide.
    """
    bits = (max_instances - 1).bit_length()
    row_bits, col_bits = bits // 2, (bits + 1) // 2
    ids = np.arange(max_instances)
    row, col = _from_gray(ids >> col_bits), _from_gray(ids & (2**col_bits - 1))
    found = [(row + 0.5) / 2**row_bits, (col + 0.5) / 2**col_bits]
    return np.stack(found, axis=-1).astype(np.float32)


def _from_gray(code: np.ndarray) -> np.ndarray:
    """The number that a Gray code of at most 16 bits stands for."""
    for shift in (1, 2, 4, 8):
        code = code ^ (code >> shift)
    return code


def place_batch(labels: jax.Array, *, max_instances: int) -> jax.Array:
    """`place` of every example, [B, h, w, 2] int32 -> the same."""
    return jax.vmap(functools.partial(place, max_instances=max_instances))(labels)


def place(labels: jax.Array, *, max_instances: int) -> jax.Array:
    """Gives the objects of a mask new ids, by the places of their centres.

    The largest chooses first. Id 0 stays, and no object takes it.

    Args:
      labels: [h, w, 2] int32 (semantic, instance), instance below `max_instances`.
      max_instances: number of instance ids, 0 included.
    Returns:
      [h, w, 2] int32; equal ids stay equal, different ones different.
    """
    height, width, _ = labels.shape
    ids = labels[..., 1]
    row, col = jnp.indices((height, width))
    # Whole numbers, whose sum is the same in any order.
    each = jnp.stack([jnp.ones_like(row), row, col], axis=-1).reshape(-1, 3)
    sums = jnp.zeros((max_instances, 3), jnp.int32).at[ids.ravel()].add(each)
    area = sums[:, 0].at[0].set(0)
    mean = sums[:, 1:] / jnp.maximum(sums[:, :1], 1)
    center = (mean + 0.5) / jnp.array([height, width])
    grid = jnp.asarray(places(max_instances))

    def choose(taken: jax.Array, id_: jax.Array) -> tuple[jax.Array, jax.Array]:
        distance = jnp.sum((grid - center[id_]) ** 2, axis=-1)
        chosen = jnp.argmin(jnp.where(taken, jnp.inf, distance))
        is_there = area[id_] > 0
        return taken.at[chosen].max(is_there), jnp.where(is_there, chosen, 0)

    largest_first = jnp.argsort(-area)
    _, chosen = jax.lax.scan(choose, jnp.arange(max_instances) == 0, largest_first)
    new_id = jnp.zeros(max_instances, labels.dtype).at[largest_first].set(chosen)
    return jnp.stack([labels[..., 0], new_id[ids]], axis=-1)
