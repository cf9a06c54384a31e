"""Which error each pixel belongs to, and what became of each segment."""

import dataclasses

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.error_kinds import KINDS, Errors, find_errors
from pix2seq_d.evaluation.error_map import CORRECT, IGNORED, pair_outcomes
from pix2seq_d.evaluation.overlap import compare, segment_rows
from pix2seq_d.panoptic import PanopticMap


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a segment.

    Attributes:
      outcome: `correct`, `ignored`, or one of KINDS.
      iou: with its match; None without one.
    """

    outcome: str
    iou: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ErrorMap:
    """Truth and prediction of an image, compared pixel by pixel.

    Attributes:
      outcome: [H, W] uint8, positions in OUTCOMES.
      truth_rows: [H, W] int64, k + 1 for `truth[k]`, 0 for void.
      found_rows: [H, W] int64, the same of the prediction.
      truth: of each segment of the truth, in the map's order.
      found: of each predicted segment.
    """

    outcome: np.ndarray
    truth_rows: np.ndarray
    found_rows: np.ndarray
    truth: tuple[Verdict, ...]
    found: tuple[Verdict, ...]


def error_map(
    truth: PanopticMap, prediction: PanopticMap, categories: Categories
) -> ErrorMap:
    """Compares two maps of one image.

    Outcomes are those of `evaluation.error_map`.

    Args:
      truth: ids [H, W] int.
      prediction: ids of the same size.
      categories: of both.
    Raises:
      ValueError: as `overlap.compare`.
    """
    overlap = compare(truth, prediction, categories)
    errors = find_errors(overlap, overlap.match())
    truth_rows = segment_rows(truth.ids, truth.segments, of="truth")
    found_rows = segment_rows(prediction.ids, prediction.segments, of="prediction")
    return ErrorMap(
        pair_outcomes(overlap, errors)[truth_rows, found_rows],
        truth_rows,
        found_rows,
        *_verdicts(errors),
    )


def _verdicts(errors: Errors) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    matching = errors.matching
    iou = matching.iou.tolist()
    sides = []
    for kind, wrong, matched in (
        (errors.truth_kind, matching.missed, matching.truth),
        (errors.found_kind, matching.spurious, matching.found),
    ):
        pairs = zip(kind.tolist(), wrong.tolist(), strict=True)
        side = [Verdict(KINDS[k] if w else IGNORED) for k, w in pairs]
        for row, value in zip(matched.tolist(), iou, strict=True):
            side[row] = Verdict(CORRECT, value)
        sides.append(tuple(side))
    return sides[0], sides[1]
