"""Training batches made on the device from a dataset that fits into its memory.

Everything is decoded once and kept there as uint8; a step sends indices and draws
and gets the augmented batch back. Needs no TensorFlow.
"""

import functools
from collections.abc import Generator, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from pix2seq_d.data import augment, device_transforms, order
from pix2seq_d.data.augment import (
    FLIP_ONLY,
    Augmentation,
    Draw,
    ImageDraw,
    LabelDraw,
)
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.source import Source
from pix2seq_d.data.table import Table, load
from pix2seq_d.data.workers import num_cpus
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.sharding import mesh as meshes


def train_batches(
    source: Source,
    *,
    image_size: Sequence[int],
    mask_size: Sequence[int],
    max_instances: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    augmentation: Augmentation = FLIP_ONLY,
    rule: IdRule = COCO,
    num_past: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    mesh: Mesh | None = None,
    read_timeout_s: float = 600.0,
    num_workers: int | None = None,
    max_bytes: int = 16 << 30,
) -> Generator[dict[str, jax.Array], None, None]:
    """Endless training batches; batch k is a pure function of (seed, k).

    Args:
      source: labelled images of any size, or `Clips`; read at once.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      batch_size: examples per global batch, over all processes.
      seed: seed of order and augmentation.
      start_step: number of the first batch; costs nothing.
      augmentation: how much examples vary.
      rule: which segments get instance ids, and how they are drawn.
      num_past: F, number of past frames of a clip; 0 for images.
      process_index: this process.
      process_count: processes; each sends its share of indices and draws.
      mesh: the batch is split over it, the dataset is on each of its devices; None
        takes the first device.
      read_timeout_s: how long an example may take.
      num_workers: examples read at once; None: one for each CPU.
      max_bytes: of the dataset, decoded and padded to its largest image.

    Returns:
      Generator of dicts with `image` [B, H, W, 3], float32 in [0, 1], or uint8 where
      all images have the network's size and only flip; `labels` int32 [B, h, w, 2]
      (semantic, instance); for clips also `past` int32 [B, h, w, 2 F].

    Raises:
      ValueError: at once for a bad argument, a dataset larger than `max_bytes`, and
        whatever the source raises.
      TimeoutError: an example took too long; the message says which.
    Source: spec 5.3; spec 1.1.
    """

    def positions(step: int) -> np.ndarray:
        return order.batch_positions(
            step,
            batch_size=batch_size,
            process_index=process_index,
            process_count=process_count,
        )

    order.locate(positions(start_step), num_examples=len(source), seed=seed)
    mesh = meshes.make_mesh(jax.local_devices()[:1]) if mesh is None else mesh
    host = load(
        source,
        max_instances=max_instances,
        rule=rule,
        num_workers=num_workers or num_cpus(),
        read_timeout_s=read_timeout_s,
        max_bytes=max_bytes,
    )
    table = jax.tree.map(
        functools.partial(
            jax.make_array_from_process_local_data, meshes.replicated(mesh)
        ),
        host,
    )
    fits = (host.sizes == np.array(image_size)).all()
    # No device needs another's rows; left to itself, XLA would gather them for a loop.
    each, split = PartitionSpec(), PartitionSpec(meshes.BATCH_AXES)
    transform = functools.partial(
        _batch,
        image_size=tuple(image_size),
        resizes=augmentation.scale_jitter != (1.0, 1.0) or not fits,
        colors=augmentation.color_jitter > 0,
        method="bicubic" if num_past else "bilinear",
    )
    make = jax.jit(
        jax.shard_map(
            transform, mesh=mesh, in_specs=(each, split, split), out_specs=split
        )
    )

    def draws() -> Iterator[tuple[np.ndarray, Draw]]:
        step = start_step
        while True:
            epochs, indices = order.locate(
                positions(step), num_examples=len(source), seed=seed
            )
            drawn = [
                augment.draw(
                    augment.stream(seed, int(epoch), int(index)),
                    augmentation=augmentation,
                    original=host.sizes[index].tolist(),
                    image_size=image_size,
                    mask_size=mask_size,
                    id_range=int(host.id_ranges[index]),
                    max_instances=max_instances,
                    num_past=num_past,
                )
                for epoch, index in zip(epochs, indices, strict=True)
            ]
            stacked = jax.tree.map(lambda *values: np.stack(values), *drawn)
            yield indices.astype(np.int32), stacked
            step += 1

    def batches() -> Generator[dict[str, jax.Array], None, None]:
        ahead = prefetch(draws(), depth=2)
        try:
            for drawn in ahead:
                image, labels = make(table, *meshes.put_batch(drawn, mesh))
                batch = {"image": image, "labels": labels[..., -2:]}
                if num_past:
                    batch["past"] = labels[..., :-2]
                yield batch
        finally:
            ahead.close()

    return batches()


def _batch(
    table: Table,
    index: jax.Array,
    draws: Draw,
    *,
    image_size: tuple[int, ...],
    resizes: bool,
    colors: bool,
    method: str,
) -> tuple[jax.Array, jax.Array]:
    """Takes rows of the table and transforms each by its draw."""

    def image(row: tuple[jax.Array, ImageDraw]) -> jax.Array:
        index, draw = row
        return device_transforms.train_image(
            jnp.asarray(table.images)[index],
            draw,
            original=jnp.asarray(table.sizes)[index],
            image_size=image_size,
            resizes=resizes,
            colors=colors,
            method=method,
        )

    def masks(index: jax.Array, draw: LabelDraw) -> jax.Array:
        return device_transforms.masks(jnp.asarray(table.labels)[index], draw)

    rows = (index, draws.image)
    # Where there are sums, one by one: they then are the same to the last bit however
    # many examples a device has, so batches do not depend on the number of devices.
    sums = resizes or colors
    images = jax.lax.map(image, rows) if sums else jax.vmap(image)(rows)
    return images, jax.vmap(masks)(index, draws.labels)
