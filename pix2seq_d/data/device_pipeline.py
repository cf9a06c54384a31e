"""Training batches that the host decodes and the device resizes.

The host sends images as they are decoded, masks and draws; one compiled program does
what `transforms` does. The processor need not touch the pixels again.
"""

import functools
from collections.abc import Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from pix2seq_d.data import device_transforms, pipeline
from pix2seq_d.data.augment import FLIP_ONLY, Augmentation, ImageDraw
from pix2seq_d.data.source import Source
from pix2seq_d.sharding import mesh as meshes

Batch = dict[str, jax.Array]


def train_batches(
    source: Source,
    *,
    image_size: Sequence[int],
    decoded_size: Sequence[int],
    mesh: Mesh,
    augmentation: Augmentation = FLIP_ONLY,
    num_past: int = 0,
    **options: Any,
) -> Generator[Batch, None, None]:
    """Endless training batches; batch k is a pure function of (seed, k).

    Images are equal to those of `in_memory` of float32, bit for bit where
    `decoded_size` is that of its table; so are the masks, always.

    Args:
      source: labelled images, or `Clips`.
      image_size: (H, W) of the network's input.
      decoded_size: largest image that the device resizes, see
        `pipeline.train_batches`.
      mesh: the batch is split over it.
      augmentation: how much examples vary.
      num_past: F, number of past frames of a clip; 0 for images.
      options: others of `pipeline.train_batches`, but for `place`.

    Returns:
      Generator of dicts with `image` float32 [B, H, W, 3] in [0, 1], `labels` int32
      [B, h, w, 2] (semantic, instance); for clips also `past` int32 [B, h, w, 2 F].

    Raises:
      ValueError, TimeoutError: as `pipeline.train_batches`.
    Source: spec 5.3.
    """
    decoded = pipeline.train_batches(
        source,
        image_size=image_size,
        decoded_size=decoded_size,
        augmentation=augmentation,
        num_past=num_past,
        place=functools.partial(meshes.put_batch, mesh=mesh),
        **options,
    )
    split = PartitionSpec(meshes.BATCH_AXES)
    transform = functools.partial(
        transform_batch,
        image_size=tuple(image_size),
        colors=augmentation.color_jitter > 0,
        method="bicubic" if num_past else "bilinear",
    )
    made = jax.jit(
        jax.shard_map(transform, mesh=mesh, in_specs=(split,), out_specs=split)
    )

    def batches() -> Generator[Batch, None, None]:
        # In the consumer's thread: all processes must start programs in one order.
        try:
            for batch in decoded:
                yield made(batch)
        finally:
            decoded.close()

    return batches()


def transform_batch(
    batch: Batch, *, image_size: Sequence[int], colors: bool, method: str
) -> Batch:
    """Resizes, crops, flips, colours and pads every image of a decoded batch.

    Args:
      batch: as of `pipeline.train_batches` with a `decoded_size`.
      image_size: (H, W) of the network's input.
      colors: whether any image's colours change.
      method: `bilinear` or `bicubic`.

    Returns:
      `image` float32 [B, *image_size, 3]; `labels` and `past` int32.
    """

    def one(row: Batch) -> jax.Array:
        return device_transforms.train_image(
            row["image"],
            ImageDraw(*(row[name] for name in ImageDraw._fields)),
            original=row["original"],
            image_size=image_size,
            resizes=True,
            colors=colors,
            method=method,
        )

    names = ("image", "original", *ImageDraw._fields)
    # One by one, not vmapped: sums then are the same to the last bit however many
    # examples a device has, so batches do not depend on the number of devices.
    image = jax.lax.map(one, {name: batch[name] for name in names})
    masks = {
        name: batch[name].astype(jnp.int32)
        for name in ("labels", "past")
        if name in batch
    }
    return {"image": image, **masks}
