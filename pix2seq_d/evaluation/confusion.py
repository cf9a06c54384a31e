"""Confusion matrices, and the intersection over union of classes."""

import math

import numpy as np

from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap


def confusion_matrix(overlap: LabelOverlap, coding: LabelCoding) -> np.ndarray:
    """Pixels of each pair of classes: rows truth, columns prediction.

    The row of the ignore label is 0: its pixels do not count. Its column is kept,
    for a labelled pixel that is predicted as ignore is missed.

    Returns:
      [coding.size, coding.size] int64.
    """
    size = coding.size
    cell = coding.class_index(overlap.truth) * size + coding.class_index(overlap.found)
    # bincount sums in float64, exact to 2**53.
    matrix = np.bincount(cell, overlap.pixels, size * size).astype(np.int64)
    matrix = matrix.reshape(size, size)
    matrix[coding.ignore_index] = 0
    return matrix


def class_iou(confusion: np.ndarray) -> dict[int, float | None]:
    """IoU = TP / (TP + FP + FN) of each class, None where the union is 0.

    Args:
      confusion: [C, C] int64, rows truth, columns prediction.
    """
    hits = confusion.diagonal()
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return {
        c: hit / pixels if pixels else None
        for c, (hit, pixels) in enumerate(
            zip(hits.tolist(), union.tolist(), strict=True)
        )
    }


def mean_iou(iou: dict[int, float | None]) -> float | None:
    """Mean over the classes with a union, None if there is none."""
    values = [value for value in iou.values() if value is not None]
    return math.fsum(values) / len(values) if values else None
