"""Training batches with tf.data, for images of any size."""

import contextlib
import os
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from pix2seq_d import panoptic
from pix2seq_d.data import order, transforms
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.source import Source

import tensorflow as tf  # isort: skip - after transforms, which quietens it

# JAX owns the accelerators. TensorFlow refuses the setting once it has used one,
# and then it is too late anyway.
with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")


def train_batches(
    source: Source,
    *,
    image_size: Sequence[int],
    mask_size: Sequence[int],
    max_instances: int,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    scale_jitter: Sequence[float] = (1.0, 1.0),
    color_jitter: float = 0.0,
    flip: float = 0.5,
    stuff_ids: bool = True,
    process_index: int = 0,
    process_count: int = 1,
    num_workers: int | None = None,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Endless training batches; batch k is a pure function of (seed, k).

    Args:
      source: labelled images.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      batch_size: examples per global batch, over all processes.
      seed: seed of order and augmentation.
      start_step: number of the first batch; costs nothing.
      scale_jitter: bounds of the random scale; (1, 1) only fits the image.
      color_jitter: strength of the colour jitter; 0 leaves colours alone.
      flip: probability of the horizontal flip.
      stuff_ids: whether stuff segments get instance ids, see `panoptic.to_channels`.
      process_index: this process.
      process_count: processes that read; each gets an equal share of the batch.
      num_workers: examples made at once; None takes the number of CPUs. It does
        not change the batches.

    Returns:
      Generator of dicts with `image` float32 [B, H, W, 3] in [0, 1] and `labels`
      int32 [B, h, w, 2] (semantic, instance), B being this process's share.

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

    def read(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            step, row = divmod(int(number), share)
            epoch, index = order.locate(
                positions(step)[row], num_examples=len(source), seed=seed
            )
            example = source[int(index)]
            labels = panoptic.to_channels(
                example.panoptic,
                source.label_space,
                max_instances=max_instances,
                stuff_ids=stuff_ids,
            )
            words = order.example_seed(seed, int(epoch), int(index))
            return example.image, labels, words.view(np.int32)
        except Exception as error:
            failures[int(number)] = error
            black = np.zeros((1, 1, 3), np.uint8)
            return black, np.zeros((1, 1, 2), np.int32), np.zeros(2, np.int32)

    def make(number: tf.Tensor) -> transforms.Example:
        image, labels, words = tf.numpy_function(
            read, [number], [tf.uint8, tf.int32, tf.int32]
        )
        example = {
            "image": tf.cast(tf.ensure_shape(image, (None, None, 3)), tf.float32) / 255,
            "labels": tf.ensure_shape(labels, (None, None, 2)),
        }
        return transforms.train_example(
            example,
            seed=tf.ensure_shape(words, (2,)),
            image_size=image_size,
            mask_size=mask_size,
            max_instances=max_instances,
            scale_range=scale_jitter,
            color_strength=color_jitter,
            flip=flip,
        )

    def batches() -> Generator[Any, None, None]:
        dataset = tf.data.Dataset.counter(start=start_step * share)
        dataset = dataset.map(
            make,
            num_parallel_calls=num_workers or os.cpu_count() or 1,
            deterministic=True,
        )
        dataset = dataset.batch(share, drop_remainder=True).prefetch(2)
        number = start_step * share
        for batch in dataset.as_numpy_iterator():
            failed = failures.keys() & set(range(number, number + share))
            if failed:
                raise failures[min(failed)]
            yield batch
            number += share

    # Not for speed: `prefetch` closes the iterator before Python shuts down, after
    # which TensorFlow would wait for ever for its calls into Python.
    return prefetch(batches(), depth=1)
