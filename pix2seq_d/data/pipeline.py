"""Training batches with tf.data, for images of any size.

tf.data runs the workers, keeps their order and reads ahead. What flows through it are
numbers: every worker writes its example straight into its row of the batch, for at
1024 pixels an image is 12 MB, and copies cost more than the resizing.
"""

import functools
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from pix2seq_d.data import augment, order, transforms
from pix2seq_d.data.augment import FLIP_ONLY, Augmentation
from pix2seq_d.data.buffers import Buffers
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.reader import Reader
from pix2seq_d.data.source import Source
from pix2seq_d.data.workers import num_cpus
from pix2seq_d.instance_ids import COCO, IdRule

import tensorflow as tf  # isort: skip - after transforms, which quietens it

Batch = dict[str, np.ndarray]


class _UnderWay:
    """Batches that workers are filling, by step; each is begun by its first row.

    Args:
      share: examples in a batch.
      image_size: (H, W).
      mask_size: (h, w).
      num_past: F.
    """

    def __init__(
        self,
        share: int,
        image_size: Sequence[int],
        mask_size: Sequence[int],
        num_past: int,
    ) -> None:
        self._images = Buffers((share, *image_size, 3), np.float32)
        self._labels = Buffers((share, *mask_size, 2 * num_past + 2), np.int32)
        self._arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()

    def row(self, step: int, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory of an example: image [H, W, 3], labels [h, w, 2 (F + 1)]."""
        with self._lock:
            if step not in self._arrays:
                self._arrays[step] = self._images.take(), self._labels.take()
            image, labels = self._arrays[step]
        return image[row], labels[row]

    def finish(self, step: int) -> Batch:
        """The batch, which is no longer under way."""
        with self._lock:
            image, labels = self._arrays.pop(step)
        batch = {"image": image, "labels": labels[..., -2:]}
        if labels.shape[-1] > 2:
            batch["past"] = labels[..., :-2]
        return batch


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
    num_workers: int | None = None,
    read_timeout_s: float = 600.0,
    place: Callable[[Batch], Any] = dict,
) -> Generator[Any, None, None]:
    """Endless training batches; batch k is a pure function of (seed, k).

    Args:
      source: labelled images, or `Clips`.
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
      process_count: processes that read; each gets an equal share of the batch.
      num_workers: examples made at once; None: one for each CPU that this process
        may use. It does not change the batches.
      read_timeout_s: how long a batch may take.
      place: called on every batch a step ahead, in a thread; puts it on devices.

    Returns:
      Generator of what `place` makes of dicts with `image` float32 [B, H, W, 3] in
      [0, 1] and `labels` int32 [B, h, w, 2] (semantic, instance), B being this
      process's share; for clips also `past` int32 [B, h, w, 2 F], oldest first.

    Raises:
      ValueError: at once for a bad argument; from the generator, whatever the
        source raises, as it raised it.
      TimeoutError: a batch took too long; the message says what is being read.
    Source: spec 5.3.
    """

    def positions(step: int) -> np.ndarray:
        return order.batch_positions(
            step,
            batch_size=batch_size,
            process_index=process_index,
            process_count=process_count,
        )

    # Bad arguments fail here, not in a worker.
    share = len(positions(start_step))
    order.locate(positions(start_step), num_examples=len(source), seed=seed)
    draw = functools.partial(
        augment.draw,
        augmentation=augmentation,
        image_size=image_size,
        mask_size=mask_size,
        max_instances=max_instances,
        num_past=num_past,
    )
    transform = functools.partial(
        transforms.train_image,
        colors=augmentation.color_jitter > 0,
        method="bicubic" if num_past else "bilinear",
    )
    reader = Reader(source, max_instances=max_instances, rule=rule)

    under_way = _UnderWay(share, image_size, mask_size, num_past)
    # By running number. An exception must not cross TensorFlow, which would wrap it
    # in a stack dump: the consumer raises it.
    failures: dict[int, BaseException] = {}

    def make(number: np.int64) -> np.int64:
        step, row = divmod(int(number), share)
        try:
            image, labels = under_way.row(step, row)
            epoch, index = order.locate(
                positions(step)[row], num_examples=len(source), seed=seed
            )
            arrays, _ = reader.read(int(index))
            drawn = draw(
                augment.stream(seed, int(epoch), int(index)),
                original=arrays.image.shape,
                id_range=arrays.numbering.id_range,
            )
            transform(arrays.image, drawn.image, out=image)
            arrays.masks(drawn.labels, out=labels)
        except BaseException as error:
            failures[int(number)] = error
        return number

    def batches() -> Generator[Any, None, None]:
        dataset = tf.data.Dataset.counter(start=start_step * share)
        dataset = dataset.map(
            lambda number: tf.numpy_function(make, [number], tf.int64),
            num_parallel_calls=num_workers or num_cpus(),
            deterministic=True,
        )
        dataset = dataset.batch(share, drop_remainder=True).prefetch(1)
        try:
            for numbers in dataset.as_numpy_iterator():
                if failed := failures.keys() & set(numbers.tolist()):
                    raise failures[min(failed)]
                yield place(under_way.finish(int(numbers[0]) // share))
        finally:
            reader.report()

    # `prefetch` also closes the iterator before Python shuts down, after which
    # TensorFlow would wait for ever for its calls into Python.
    return prefetch(
        batches(), depth=1, timeout_s=read_timeout_s, waits_for=reader.under_way
    )
