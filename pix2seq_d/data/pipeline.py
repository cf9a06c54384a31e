"""Training batches with tf.data, for images of any size.

tf.data runs the workers, keeps their order and reads ahead. What flows through it are
numbers: every worker writes its example straight into its row of the batch, for at
1024 pixels an image is 12 MB, and copies cost more than the resizing.
"""

import functools
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pix2seq_d.data import augment, decoded, order, reading, transforms
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
      parts: shape and type of each part of an example, by name.
    """

    def __init__(
        self, share: int, parts: Mapping[str, tuple[Sequence[int], npt.DTypeLike]]
    ) -> None:
        self._buffers = {
            name: Buffers((share, *shape), dtype)
            for name, (shape, dtype) in parts.items()
        }
        self._batches: dict[int, Batch] = {}
        self._lock = threading.Lock()

    def row(self, step: int, row: int) -> Batch:
        """Memory of an example, to be filled."""
        with self._lock:
            if step not in self._batches:
                self._batches[step] = {k: b.take() for k, b in self._buffers.items()}
            batch = self._batches[step]
        return {name: array[row, ...] for name, array in batch.items()}

    def finish(self, step: int) -> Batch:
        """The batch, which is no longer under way; `past` of `labels` by itself."""
        with self._lock:
            batch = self._batches.pop(step)
        labels = batch["labels"]
        batch["labels"] = labels[..., -2:]
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
    decoded_size: Sequence[int] | None = None,
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
      decoded_size: (H, W), at least `image_size` is taken; None makes whole batches
        here. Else images up to that size are left as they are decoded, and
        `device_pipeline` makes the batch of them; larger ones are resized here and
        rounded to whole levels.
      place: called on every batch a step ahead, in a thread; puts it on devices.

    Returns:
      Generator of what `place` makes of dicts with `image` float32 [B, H, W, 3] in
      [0, 1] and `labels` int32 [B, h, w, 2] (semantic, instance), B being this
      process's share; for clips also `past` int32 [B, h, w, 2 F], oldest first.
      With `decoded_size` `image` is uint8 [B, H', W', 3], each in the upper left
      corner of arbitrary content, labels have the smallest type, and there are
      `original` int32 [B, 2], (height, width) of each, and the fields of `ImageDraw`.

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
    method = "bicubic" if num_past else "bilinear"
    reader = Reader(source, max_instances=max_instances, rule=rule)

    label_shape = (*mask_size, 2 * num_past + 2)
    if decoded_size is None:
        parts = {
            "image": ((*image_size, 3), np.float32),
            "labels": (label_shape, np.int32),
        }
    else:
        room = np.maximum(decoded_size, image_size).tolist()
        label_type = reading.label_type(source.label_space, max_instances)
        parts = {"labels": (label_shape, label_type), **decoded.parts(room)}
    under_way = _UnderWay(share, parts)
    # By running number. An exception must not cross TensorFlow, which would wrap it
    # in a stack dump: the consumer raises it.
    failures: dict[int, BaseException] = {}

    def make(number: np.int64) -> np.int64:
        step, row = divmod(int(number), share)
        try:
            out = under_way.row(step, row)
            epoch, index = order.locate(
                positions(step)[row], num_examples=len(source), seed=seed
            )
            arrays, _ = reader.read(int(index))
            drawn = draw(
                augment.stream(seed, int(epoch), int(index)),
                original=arrays.image.shape,
                id_range=arrays.numbering.id_range,
            )
            if decoded_size is None:
                transforms.train_image(
                    arrays.image,
                    drawn.image,
                    out=out["image"],
                    colors=augmentation.color_jitter > 0,
                    method=method,
                )
            else:
                decoded.put(
                    arrays.image,
                    drawn.image,
                    out=out,
                    image_size=image_size,
                    method=method,
                )
            arrays.masks(drawn.labels, out=out["labels"])
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
