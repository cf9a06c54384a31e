"""Which error every pixel of an image belongs to."""

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.diagnosis import INEXACT
from pix2seq_d.evaluation.error_kinds import KINDS, Errors, find_errors
from pix2seq_d.evaluation.overlap import Overlap, compare, segment_rows
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap

IGNORED, CORRECT = "ignored", "correct"
# The code of an outcome is its position.
OUTCOMES = (IGNORED, CORRECT, INEXACT, *KINDS)
_FIRST_KIND = len(OUTCOMES) - len(KINDS)


def error_map(
    truth: PanopticMap, prediction: PanopticMap, categories: Categories | LabelSpace
) -> np.ndarray:
    """The outcome of every pixel of two maps of one image.

      ignored   void in the truth, or crowd that no error of the prediction lies on;
                PQ does not count it.
      correct   the two segments of the pixel match each other.
      KINDS     one of its segments is unmatched: that segment's kind of error. If
                both are, the kind that stands first in KINDS.
      inexact   what is left: a match has the pixel too much or too few.

    Args:
      truth: ids [H, W] int.
      prediction: ids of the same size.
      categories: of both.
    Returns:
      [H, W] uint8, positions in OUTCOMES.
    Raises:
      ValueError: as of `overlap.compare`.
    Source: ours.
    """
    overlap = compare(truth, prediction, Categories.of(categories))
    table = pair_outcomes(overlap, find_errors(overlap, overlap.match()))
    return table[
        segment_rows(truth.ids, truth.segments, of="truth"),
        segment_rows(prediction.ids, prediction.segments, of="prediction"),
    ]


def pair_outcomes(overlap: Overlap, errors: Errors) -> np.ndarray:
    """The outcome of the pixels that each pair of segments shares.

    Args:
      overlap: of G truth and P predicted segments.
      errors: of `find_errors`.
    Returns:
      [G + 1, P + 1] uint8, positions in OUTCOMES; row and column 0 are void.
    """
    matching, none = errors.matching, len(KINDS)
    truth_kind = np.where(matching.missed, errors.truth_kind, none)
    found_kind = np.where(matching.spurious, errors.found_kind, none)
    kind = np.minimum.outer(np.append(none, truth_kind), np.append(none, found_kind))
    table = np.where(kind < none, kind + _FIRST_KIND, OUTCOMES.index(INEXACT))
    table[matching.truth + 1, matching.found + 1] = OUTCOMES.index(CORRECT)
    crowd = np.append(False, overlap.crowd)[:, None]
    table[crowd & (kind == none)] = OUTCOMES.index(IGNORED)
    table[0] = OUTCOMES.index(IGNORED)
    return table.astype(np.uint8)
