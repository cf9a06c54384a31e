"""Training batches for datasets that fit in memory, without TensorFlow.

For sources whose images already have the network's size: no resizing, no colour
change, only the random flip and the random instance ids. Decoded examples stay
in memory, so every epoch after the first costs array copies only.
"""

from collections.abc import Generator, Iterator, Sequence

import numpy as np

from pix2seq_d import panoptic
from pix2seq_d.data import order
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.source import Source

Batch = dict[str, np.ndarray]


def train_batches(
    source: Source,
    *,
    image_size: Sequence[int],
    mask_size: Sequence[int],
    max_instances: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    flip: float = 0.5,
    stuff_ids: bool = True,
    process_index: int = 0,
    process_count: int = 1,
    cache_bytes: int = 8 << 30,
) -> Generator[Batch, None, None]:
    """Endless training batches; batch k is a pure function of (seed, k).

    Args:
      source: labelled images, all of size `image_size`.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      batch_size: examples per global batch, over all processes.
      seed: seed of order and augmentation.
      start_step: number of the first batch; costs nothing.
      flip: probability of the horizontal flip.
      stuff_ids: whether stuff segments get instance ids, see `panoptic.to_channels`.
      process_index: this process.
      process_count: processes that read; each gets an equal share of the batch.
      cache_bytes: decoded examples kept at most; the rest is read every epoch.

    Returns:
      Generator of dicts with `image` uint8 [B, H, W, 3] and `labels` int32
      [B, h, w, 2] (semantic, instance), B being this process's share. Closing
      it ends its thread.

    Raises:
      ValueError: at once for a bad argument; from the iterator, for an image of
        another size and whatever the source raises.
    Source: spec 5.3, steps 4 and 7; spec 1.1, id mode `random`.
    """

    # Called once here so that bad arguments fail at the call, not in the thread.
    def positions(step: int) -> np.ndarray:
        return order.batch_positions(
            step,
            batch_size=batch_size,
            process_index=process_index,
            process_count=process_count,
        )

    order.locate(positions(start_step), num_examples=len(source), seed=seed)
    reader = _Reader(source, tuple(image_size), max_instances, stuff_ids, cache_bytes)

    def make() -> Iterator[Batch]:
        step = start_step
        while True:
            epochs, indices = order.locate(
                positions(step), num_examples=len(source), seed=seed
            )
            images = np.empty((len(indices), *image_size, 3), np.uint8)
            labels = np.empty((len(indices), *mask_size, 2), np.int32)
            for row, (epoch, index) in enumerate(zip(epochs, indices, strict=True)):
                images[row], labels[row] = augment(
                    *reader.read(int(index)),
                    seed=order.example_seed(seed, int(epoch), int(index)),
                    mask_size=mask_size,
                    max_instances=max_instances,
                    flip=flip,
                )
            yield {"image": images, "labels": labels}
            step += 1

    return prefetch(make(), depth=2)


def augment(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    seed: np.ndarray,
    mask_size: Sequence[int],
    max_instances: int,
    flip: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Random flip, masks to mask size, random instance ids.

    Args:
      image: [H, W, 3] uint8.
      labels: [H, W, 2] int, (semantic, instance), instance < max_instances.
      seed: [2] uint32.
      mask_size: (h, w).
      max_instances: number of instance ids, 0 included.
      flip: probability of the horizontal flip.

    Returns:
      image [H, W, 3] uint8 and labels [h, w, 2] int32, where the instance ids
      went through a random permutation of 1 ... max_instances - 1.
    """
    rng = np.random.default_rng(seed)
    if rng.random() < flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    # After the flip (spec 5.3): nearest sampling is not symmetric, and the masks
    # must sit on the same pixels of a flipped and an unflipped image.
    small = panoptic.resize_nearest(labels, mask_size).astype(np.int32)
    new_id = np.zeros(max_instances, np.int32)
    new_id[1:] = 1 + rng.permutation(max_instances - 1)
    small[..., 1] = new_id[small[..., 1]]
    return image, small


class _Reader:
    """Reads examples of one size and keeps them, up to a byte budget."""

    def __init__(
        self,
        source: Source,
        image_size: tuple[int, ...],
        max_instances: int,
        stuff_ids: bool,
        cache_bytes: int,
    ) -> None:
        self._source = source
        self._image_size = image_size
        self._max_instances = max_instances
        self._stuff_ids = stuff_ids
        self._free_bytes = cache_bytes
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        largest = max(source.label_space.num_classes, max_instances) - 1
        self._label_dtype = np.min_scalar_type(largest)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image [H, W, 3] uint8 and labels [H, W, 2] of the smallest int type."""
        kept = self._cache.get(index)
        if kept is not None:
            return kept
        example = self._source[index]
        if example.image.shape[:2] != self._image_size:
            have = "x".join(map(str, example.image.shape[:2]))
            want = "x".join(map(str, self._image_size))
            raise ValueError(
                f"{example.file_name}: the image is {have}, the network takes {want}: "
                "set model.image_size to it, or data.loader='tf', which resizes"
            )
        labels = panoptic.to_channels(
            example.panoptic,
            self._source.label_space,
            max_instances=self._max_instances,
            stuff_ids=self._stuff_ids,
        ).astype(self._label_dtype)
        size = example.image.nbytes + labels.nbytes
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._cache[index] = example.image, labels
        return example.image, labels
