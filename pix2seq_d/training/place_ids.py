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
    """Where each id belongs: a grid, as many columns as rows or about twice as many.

    The upper half of an id's bits is its row, the lower its column. Rows, and the
    columns of each row, are in the order of their Gray codes, so that ids of
    neighbouring places differ in one bit where `max_instances` is a power of two;
    else rows and columns that are missing leave their place to the others.

    Args:
      max_instances: number of instance ids, 0 included.
    Returns:
      [max_instances, 2] float32, (y, x) in (0, 1), shares of height and width.
    """
    width = 2 ** (((max_instances - 1).bit_length() + 1) // 2)
    found = np.zeros((max_instances, 2), np.float32)
    rows = sorted(range(-(-max_instances // width)), key=_from_gray)
    for y, row in enumerate(rows):
        columns = min(width, max_instances - row * width)
        for x, column in enumerate(sorted(range(columns), key=_from_gray)):
            at = row * width + column
            found[at] = (y + 0.5) / len(rows), (x + 0.5) / columns
    return found


def _from_gray(code: int) -> int:
    """The number that a Gray code of at most 16 bits stands for."""
    for shift in (1, 2, 4, 8):
        code ^= code >> shift
    return code


def place(labels: jax.Array, *, max_instances: int) -> jax.Array:
    """Gives the objects of masks new ids, by the places of their centres.

    The largest of a mask chooses first, of equal ones the lower id; distances are in
    shares of height and width. Id 0 stays, and no object takes it.

    Args:
      labels: [B, h, w, 2] int32 (semantic, instance), instance below `max_instances`.
      max_instances: number of instance ids, 0 included.
    Returns:
      [B, h, w, 2] int32; equal ids of a mask stay equal, different ones different.
    """
    ids = labels[..., 1]
    area, center = jax.vmap(functools.partial(_measure, max_instances=max_instances))(
        ids
    )
    # As many turns as the mask with most objects needs. One number for all masks: by
    # one of its own each turn would ask all devices whether any goes on.
    turns = jnp.max(jnp.sum(area > 0, axis=-1))
    new_id = jax.vmap(_choose, in_axes=(0, 0, None))(area, center, turns)
    new = jnp.take_along_axis(new_id, ids.reshape(len(ids), -1), axis=-1)
    return jnp.stack([labels[..., 0], new.reshape(ids.shape)], axis=-1)


def _measure(ids: jax.Array, *, max_instances: int) -> tuple[jax.Array, jax.Array]:
    """Sizes and centres of a mask's objects.

    Args:
      ids: [h, w] int32, below `max_instances`.
      max_instances: number of instance ids, 0 included.
    Returns:
      Of each id its pixels, of id 0 none, [max_instances] int32; its centre (y, x) in
      shares of height and width, [max_instances, 2] float32.
    """
    height, width = ids.shape
    row, col = jnp.indices((height, width))
    # Whole numbers, whose sum is the same in any order.
    each = jnp.stack([jnp.ones_like(row), row, col], axis=-1).reshape(-1, 3)
    sums = jnp.zeros((max_instances, 3), jnp.int32).at[ids.ravel()].add(each)
    mean = sums[:, 1:] / jnp.maximum(sums[:, :1], 1)
    return sums[:, 0].at[0].set(0), (mean + 0.5) / jnp.array([height, width])


def _choose(area: jax.Array, center: jax.Array, turns: jax.Array) -> jax.Array:
    """The new id of each id, 0 of those that are not there.

    Args:
      area: [max_instances] int32, pixels; 0 of an id that is not there.
      center: [max_instances, 2] float32, (y, x) in (0, 1).
      turns: [] int32, at least the number of ids that are there.
    Returns:
      [max_instances] int32.
    """
    grid = jnp.asarray(places(len(area)))
    largest_first = jnp.argsort(-area)

    def choose(
        turn: jax.Array, made: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        taken, new_id = made
        id_ = largest_first[turn]
        distance = jnp.sum((grid - center[id_]) ** 2, axis=-1)
        chosen = jnp.argmin(jnp.where(taken, jnp.inf, distance))
        is_there = area[id_] > 0
        new_id = new_id.at[id_].set(jnp.where(is_there, chosen, 0))
        return taken.at[chosen].max(is_there), new_id

    start = jnp.arange(len(area)) == 0, jnp.zeros(len(area), jnp.int32)
    return jax.lax.fori_loop(0, turns, choose, start)[1]
