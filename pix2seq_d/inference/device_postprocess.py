"""The majority vote on the device, at mask size, as if at the original's size.

Restoring a mask to the original image repeats or leaves out its rows and columns and
does nothing else. So the votes at the original's size are those of the mask, each
pixel counted as often as it is shown, rows[y] columns[x] times. The large map is
made once, after the vote, and the vote can be compiled behind the sampler.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.data.evaluation import restore
from pix2seq_d.labels import VOID


def times_shown(
    mask_size: Sequence[int],
    *,
    image_size: Sequence[int],
    unpadded: Sequence[int],
    original: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """How often `restore` shows each row and each column of a mask.

    Args:
      mask_size: (h, w) of the mask.
      image_size: (height, width) of the network's input.
      unpadded: (height, width) of the content inside it.
      original: (H, W) of the image as it was read.
    Returns:
      rows [h], columns [w] int32 >= 0; 0 in the padding. They sum to H and W.
    """
    rows, columns = (
        np.bincount(
            restore(
                np.arange(mask_size[axis])[:, None],
                image_size=(image_size[axis], 1),
                unpadded=(unpadded[axis], 1),
                original=(original[axis], 1),
            )[:, 0],
            minlength=mask_size[axis],
        ).astype(np.int32)
        for axis in (0, 1)
    )
    return rows, columns


@functools.partial(jax.jit, static_argnames=("num_classes", "num_ids"))
def majority_vote(
    labels: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    *,
    num_classes: int,
    num_ids: int,
    min_area: int,
) -> jax.Array:
    """`postprocess.majority_vote` of masks as they will be shown, bit for bit.

    Args:
      labels: [B, h, w, 2] int32, semantic in [0, num_classes), instance in
        [0, num_ids), which is not checked.
      rows: [B, h] int32, how often each row is shown.
      columns: [B, w] int32, how often each column is shown.
      num_classes: number of semantic ids, void included.
      num_ids: number of instance ids, 0 included.
      min_area: smallest segment in shown pixels; smaller ones become void.
    Returns:
      [B, h, w, 2] int32; what is not shown may differ, as void.
    Source: spec 6.1, step 4.
    """

    def vote(labels: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        semantic, instance = labels[..., 0], labels[..., 1]
        shown = rows[:, None] * columns
        votes = jnp.zeros((num_ids, num_classes), jnp.int32)
        votes = votes.at[instance, semantic].add(shown)
        small = votes.sum(axis=1) < min_area
        winner = jnp.where(small, VOID, votes.argmax(axis=1).astype(jnp.int32))
        voted = winner[instance]
        return jnp.stack([voted, jnp.where(voted == VOID, 0, instance)], -1)

    return jax.vmap(vote)(labels, rows, columns)
