"""Evaluation and prediction: every image whole, in order, in batches of one shape.

`fit_image` and `fit_labels` are the way into the network, `restore` the way out.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np
from PIL import Image

from pix2seq_d import panoptic
from pix2seq_d.data import order
from pix2seq_d.data.prefetch import prefetch
from pix2seq_d.data.source import Source
from pix2seq_d.data.workers import ordered_map
from pix2seq_d.instance_ids import COCO, IdRule, number

PAD_VALUE = 0.3  # of images; spec 5.3, step 6

Batch = dict[str, np.ndarray]
T = TypeVar("T")


def fit_size(original: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
    """Largest (h, w) of the original's aspect that fits `size`, rounded.

    scale = min(size / original), h = round(scale H), w = round(scale W), at
    least 1. Source: spec 5.3, evaluation.
    """
    scale = min(size[0] / original[0], size[1] / original[1])
    height, width = (max(1, round(scale * n)) for n in original[:2])
    return height, width


def fit_image(
    image: np.ndarray, size: Sequence[int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Fits an image into `size`: bilinear with antialias, then padding.

    Args:
      image: [H, W, 3] uint8 RGB.
      size: (height, width) of the network's input.

    Returns:
      fitted: [*size, 3] float32 in [0, 1], 0.3 below and right of the content.
      unpadded: (h, w) of the content.

    Raises:
      ValueError: the image is not [H, W, 3] uint8.
    Source: spec 5.3, evaluation; equals tf.image.resize(antialias=True).
    """
    check_image(image)
    unpadded = fit_size(image.shape, size)
    fitted = np.full((*size, 3), PAD_VALUE, np.float32)
    content = fitted[: unpadded[0], : unpadded[1]]
    if image.shape[:2] == unpadded:
        np.divide(image, np.float32(255), out=content)
        return fitted, unpadded
    for channel in range(3):
        # Mode F: PIL would round an 8-bit image to 1/255 after each pass.
        plane = Image.fromarray(image[..., channel].astype(np.float32))
        plane = plane.resize((unpadded[1], unpadded[0]), Image.Resampling.BILINEAR)
        content[..., channel] = np.asarray(plane) / np.float32(255)
    return fitted, unpadded


def check_image(image: np.ndarray) -> None:
    """Raises ValueError unless the image is uint8 [H, W, 3] and not empty."""
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or 0 in image.shape
    ):
        raise ValueError(
            f"an image must be uint8 [H, W, 3], got {image.dtype} {image.shape}"
        )


def fit_labels(
    labels: np.ndarray, image_size: Sequence[int], mask_size: Sequence[int]
) -> np.ndarray:
    """Label maps of the image `fit_image` makes, at mask size, all nearest.

    Args:
      labels: [H, W, C] int, at the image's original size.
      image_size: (height, width) of the network's input.
      mask_size: (h, w) of the masks.

    Returns:
      [h, w, C] of the same dtype, 0 in the padding.
    """
    height, width = fit_size(labels.shape, image_size)
    fitted = np.zeros((*image_size, *labels.shape[2:]), labels.dtype)
    fitted[:height, :width] = panoptic.resize_nearest(labels, (height, width))
    return panoptic.resize_nearest(fitted, mask_size)


def restore(
    labels: np.ndarray,
    *,
    image_size: Sequence[int],
    unpadded: Sequence[int],
    original: Sequence[int],
) -> np.ndarray:
    """Predicted masks -> the original image's grid.

    Args:
      labels: [h, w, ...] at mask size.
      image_size: (height, width) of the network's input.
      unpadded: (height, width) of the content inside it.
      original: (H, W) of the image as it was read.

    Returns:
      [H, W, ...] of the same dtype.
    Source: spec 6.1, steps 2 and 3.
    """
    whole = panoptic.resize_nearest(labels, image_size)
    content = whole[: int(unpadded[0]), : int(unpadded[1])]
    return panoptic.resize_nearest(content, (int(original[0]), int(original[1])))


def content_of_mask(
    mask_size: Sequence[int], *, image_size: Sequence[int], unpadded: Sequence[int]
) -> tuple[int, int]:
    """How many rows and columns of a mask, from the first, `restore` may show.

    Args:
      mask_size: (h, w).
      image_size: as of `restore`.
      unpadded: likewise.
    """
    rows, columns = (
        int(panoptic.nearest_index(mask, image)[int(content) - 1]) + 1
        for mask, image, content in zip(mask_size, image_size, unpadded, strict=True)
    )
    return rows, columns


def magnification(
    mask_size: Sequence[int],
    *,
    image_size: Sequence[int],
    unpadded: Sequence[int],
    original: Sequence[int],
) -> Fraction:
    """Pixels of the original for each of the mask's that `restore` shows.

    Args:
      mask_size: (h, w).
      image_size: as of `restore`, as all that follow.
      unpadded: likewise.
      original: likewise.
    """
    shown = 1
    for mask, image, content, side in zip(
        mask_size, image_size, unpadded, original, strict=True
    ):
        index = panoptic.nearest_index(mask, image)
        shown *= len(np.unique(index[panoptic.nearest_index(int(content), int(side))]))
    return Fraction(math.prod(map(int, original)), shown)


def share(
    total: int, *, batch_size: int, process_index: int, process_count: int
) -> list[int]:
    """One process's images, a contiguous part of every global batch.

    The processes together have each image once; their shares are equally long, so
    that all make the same number of batches. One process has them in order.

    Args:
      total: images 0 ... total - 1 are taken.
      batch_size: rows of a global batch, over all processes.
      process_index: this process, in [0, process_count).
      process_count: processes that evaluate.

    Returns:
      Indices into the source; -1 stands for padding in the last batch.

    Raises:
      ValueError: the batch cannot be split evenly, or the process is out of range.
    """
    indices: list[int] = []
    for batch in range(-(-total // batch_size)):
        positions = order.batch_positions(
            batch,
            batch_size=batch_size,
            process_index=process_index,
            process_count=process_count,
        )
        indices += np.where(positions < total, positions, -1).tolist()
    return indices


def eval_batches(
    source: Source,
    *,
    image_size: Sequence[int],
    mask_size: Sequence[int],
    max_instances: int,
    batch_size: int,
    rule: IdRule = COCO,
    indices: Iterable[int] | None = None,
    num_workers: int = 4,
) -> Generator[Batch, None, None]:
    """One pass over a source, with the truth.

    Args:
      source: labelled images of any size.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      batch_size: rows of every batch.
      rule: which segments get instance ids.
      indices: examples to take, as of `share`, -1 for a padding row; None takes all
        in order.
      num_workers: threads that read and resize.

    Returns:
      Generator of dicts: those of `image_batches` and `labels` int32
      [B, h, w, 2] (semantic, instance), 0 in padding.
    """
    indices = range(len(source)) if indices is None else indices

    def load(index: int) -> Batch:
        if index < 0:
            return _padding(image_size, labels=np.zeros((*mask_size, 2), np.int32))
        example = source[index]
        truth = example.panoptic
        numbering = number(
            [truth], source.label_space, max_instances=max_instances, rule=rule
        )
        labels = numbering.labels(truth.ids)
        row = _row(index, example.image, image_size)
        return row | {"labels": fit_labels(labels, image_size, mask_size)}

    return prefetch(
        _batches(indices, load, batch_size=batch_size, num_workers=num_workers), depth=1
    )


def image_batches(
    images: Iterable[tuple[int, np.ndarray]],
    *,
    image_size: Sequence[int],
    batch_size: int,
    num_workers: int = 4,
) -> Generator[Batch, None, None]:
    """Batches of plain images, in order.

    Args:
      images: (index >= 0, uint8 [H, W, 3]) pairs; read lazily, in a thread.
      image_size: (H, W) of the network's input.
      batch_size: rows of every batch.
      num_workers: threads that resize.

    Returns:
      Generator of dicts with `image` float32 [B, H, W, 3] in [0, 1], `weight`
      float32 [B] (1, and 0 for the padding rows of the last batch), `index`
      int32 [B] (-1 for padding), `unpadded` int32 [B, 2] (content inside the
      network's image) and `original` int32 [B, 2] (size as read).
    """

    def load(item: tuple[int, np.ndarray]) -> Batch:
        return _row(*item, image_size)

    return prefetch(
        _batches(images, load, batch_size=batch_size, num_workers=num_workers), depth=1
    )


def _row(index: int, image: np.ndarray, image_size: Sequence[int]) -> Batch:
    fitted, unpadded = fit_image(image, image_size)
    return {
        "image": fitted,
        "weight": np.array(1.0, np.float32),
        "index": np.array(index, np.int32),
        "unpadded": np.array(unpadded, np.int32),
        "original": np.array(image.shape[:2], np.int32),
    }


def _padding(image_size: Sequence[int], **arrays: np.ndarray) -> Batch:
    return {
        "image": np.full((*image_size, 3), PAD_VALUE, np.float32),
        "weight": np.array(0.0, np.float32),
        "index": np.array(-1, np.int32),
        "unpadded": np.array(image_size, np.int32),
        "original": np.array(image_size, np.int32),
        **arrays,
    }


def _batches(
    items: Iterable[T],
    load: Callable[[T], Batch],
    *,
    batch_size: int,
    num_workers: int,
) -> Generator[Batch, None, None]:
    """Loads items in threads, a batch ahead, and stacks them in order."""
    rows: list[Batch] = []
    loaded = ordered_map(load, items, num_workers=num_workers, ahead=batch_size)
    with contextlib.closing(loaded):
        for row in loaded:
            rows.append(row)
            if len(rows) == batch_size:
                yield _stack(rows)
                rows = []
    if rows:
        image_size = rows[0]["image"].shape[:2]
        extra = {k: np.zeros_like(v) for k, v in rows[0].items() if k == "labels"}
        padding = _padding(image_size, **extra)
        yield _stack(rows + [padding] * (batch_size - len(rows)))


def _stack(rows: list[Batch]) -> Batch:
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
