"""Training batches with tf.data, for images of any size."""

import contextlib
import functools
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from pix2seq_d.data import augment, order, reading, transforms
from pix2seq_d.data.augment import FLIP_ONLY, Augmentation, ImageDraw
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.source import Source
from pix2seq_d.instance_ids import COCO, IdRule

import tensorflow as tf  # isort: skip - after transforms, which quietens it

# JAX owns the accelerators. TensorFlow refuses the setting once it has used one,
# and then it is too late anyway.
with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")

Batch = dict[str, np.ndarray]

# Of what `read` hands to TensorFlow: image, masks, and the fields of ImageDraw.
_TYPES = (
    *(tf.uint8, tf.int32),
    *(tf.int32, tf.int32, tf.bool, tf.bool, tf.int32, tf.float32, tf.bool),
)
_SHAPES = ((2,), (2,), (), (), (4,), (4,), ())


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
      num_workers: examples made at once; None takes the number of CPUs. It does
        not change the batches.
      place: called on every batch a step ahead, in a thread; puts it on devices.

    Returns:
      Generator of what `place` makes of dicts with `image` float32 [B, H, W, 3] in
      [0, 1] and `labels` int32 [B, h, w, 2] (semantic, instance), B being this
      process's share; for clips also `past` int32 [B, h, w, 2 F], oldest first.

    Raises:
      ValueError: at once for a bad argument; from the generator, whatever the
        source raises, as it raised it.
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
    # By running number. An exception must not cross TensorFlow, which would wrap
    # it in a stack dump: the worker hands on a black pixel, the consumer raises.
    failures: dict[int, Exception] = {}
    draw = functools.partial(
        augment.draw,
        augmentation=augmentation,
        image_size=image_size,
        mask_size=mask_size,
        max_instances=max_instances,
        num_past=num_past,
    )

    def read(number: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            step, row = divmod(int(number), share)
            epoch, index = (
                int(v)
                for v in order.locate(
                    positions(step)[row], num_examples=len(source), seed=seed
                )
            )
            arrays = reading.read(
                source[index],
                source.label_space,
                max_instances=max_instances,
                rule=rule,
            )
            image, rng = arrays.image, augment.stream(seed, epoch, index)
            drawn = draw(rng, original=image.shape, id_range=arrays.numbering.id_range)
            return image, arrays.masks(drawn.labels), *drawn.image
        except Exception as error:
            failures[int(number)] = error
            black = np.zeros((1, 1, 3), np.uint8)
            void = np.zeros((*mask_size, 2 * num_past + 2), np.int32)
            drawn = draw(augment.stream(0, 0, 0), original=(1, 1), id_range=0)
            return black, void, *drawn.image

    def make(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, labels, *drawn = tf.numpy_function(read, [number], _TYPES)
        shaped = [tf.ensure_shape(x, s) for x, s in zip(drawn, _SHAPES, strict=True)]
        image = transforms.train_image(
            tf.ensure_shape(image, (None, None, 3)),
            ImageDraw(*shaped),
            image_size=image_size,
            colors=augmentation.color_jitter > 0,
            method="bicubic" if num_past else "bilinear",
        )
        return image, tf.ensure_shape(labels, (*mask_size, 2 * num_past + 2))

    def batches() -> Generator[Any, None, None]:
        dataset = tf.data.Dataset.counter(start=start_step * share)
        dataset = dataset.map(
            make,
            num_parallel_calls=num_workers or os.cpu_count() or 1,
            deterministic=True,
        )
        dataset = dataset.batch(share, drop_remainder=True).prefetch(2)
        number = start_step * share
        for image, labels in dataset.as_numpy_iterator():
            failed = failures.keys() & set(range(number, number + share))
            if failed:
                raise failures[min(failed)]
            batch = {"image": image, "labels": labels[..., -2:]}
            if num_past:
                batch["past"] = labels[..., :-2]
            yield place(batch)
            number += share

    # `prefetch` also closes the iterator before Python shuts down, after which
    # TensorFlow would wait for ever for its calls into Python.
    return prefetch(batches(), depth=1)
