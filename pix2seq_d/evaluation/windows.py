"""Matches and misses of a window: some frames of a video taken as one volume."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.matching import match

# A truth thing with instance 0 is no match, no miss and an excuse (mcahny/vps), or
# a segment like any other (deeplab2).
Crowd = Literal["crowd", "segment"]

_VOID = -1  # in place of every label of the ignore class; below all labels


def evaluated_classes(coding: LabelCoding) -> np.ndarray:
    """[C] int64, the classes without the ignore label, rising."""
    classes = np.arange(coding.num_classes)
    return classes[classes != coding.ignore_label]


def count_window(
    tables: Sequence[LabelOverlap], *, coding: LabelCoding, crowd: Crowd
) -> Counts:
    """Counts of the volume that some frames make; one label is one segment.

    Args:
      tables: shared pixels of each frame.
      coding: of the labels.
      crowd: how a truth thing with instance 0 counts.
    Returns:
      Counts of `evaluated_classes`.
    """
    joined = np.concatenate([[t.truth, t.found, t.pixels] for t in tables], axis=1)
    truth, rows = _segments(joined[0], coding)
    found, columns = _segments(joined[1], coding)
    shape = len(truth) + 1, len(found) + 1
    # bincount sums in float64, exact to 2**53.
    shared = np.bincount(rows * shape[1] + columns, joined[2], shape[0] * shape[1])
    classes = evaluated_classes(coding)
    truth_class, found_class = (
        np.searchsorted(classes, labels // coding.label_divisor)
        for labels in (truth, found)
    )
    is_crowd = coding.is_thing[classes][truth_class]
    is_crowd &= (truth % coding.label_divisor == 0) & (crowd == "crowd")
    matching = match(
        shared.astype(np.int64).reshape(shape),
        truth_class=truth_class,
        found_class=found_class,
        crowd=is_crowd,
    )
    return matching.counts(truth_class, found_class, num_categories=len(classes))


def _segments(labels: np.ndarray, coding: LabelCoding) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels but void, and each entry's row: 0 for void, then by label."""
    void = labels // coding.label_divisor == coding.ignore_label
    present, rows = np.unique(np.where(void, _VOID, labels), return_inverse=True)
    if present[0] == _VOID:
        return present[1:], rows
    return present, rows + 1
