"""Which segments match: IoU above one half, the rule of PQ and of VPQ.

Segments come as a table of shared pixels, so nothing here knows images or videos.
"""

import dataclasses

import numpy as np

from pix2seq_d.evaluation.counts import Counts


@dataclasses.dataclass(frozen=True, eq=False)
class Matching:
    """Matches and misses among G truth and P predicted segments.

    Attributes:
      truth: [M] int64, truth segment of each match.
      found: [M] int64, its predicted segment.
      iou: [M] float64 in (0.5, 1].
      missed: [G] bool, truth segments that are false negatives.
      spurious: [P] bool, predicted segments that are false positives.
    """

    truth: np.ndarray
    found: np.ndarray
    iou: np.ndarray
    missed: np.ndarray
    spurious: np.ndarray

    def counts(
        self, truth_class: np.ndarray, found_class: np.ndarray, *, num_categories: int
    ) -> Counts:
        """Counts per category, given the category of each segment."""
        return Counts.of(
            num_categories,
            matched=truth_class[self.truth],
            iou=self.iou,
            spurious=found_class[self.spurious],
            missed=truth_class[self.missed],
        )


def match(
    overlap: np.ndarray,
    *,
    truth_class: np.ndarray,
    found_class: np.ndarray,
    crowd: np.ndarray,
) -> Matching:
    """Matches segments of the same category with IoU > 0.5.

    IoU = |p & g| / (|p| + |g| - |p & g| - |p & void|). A crowd segment of the truth
    neither matches nor is missed. A predicted segment without match is excused where
    |p & void| + |p & crowd of its category| > |p| / 2; of several crowd segments of
    one category only the last counts, as in panopticapi.

    Args:
      overlap: [G + 1, P + 1] int64, pixels that each pair shares; row and column 0
        are void.
      truth_class: [G] int64, category of each truth segment.
      found_class: [P] int64, category of each predicted segment.
      crowd: [G] bool, crowd segments of the truth.
    Source: spec 7.1.
    """
    truth_area, found_area = overlap[1:].sum(axis=1), overlap[:, 1:].sum(axis=0)
    on_void, shared = overlap[0, 1:], overlap[1:, 1:]
    union = truth_area[:, None] + found_area - shared - on_void
    hit = (
        (truth_class[:, None] == found_class)
        & ~crowd[:, None]
        & (2 * shared > union)  # IoU > 0.5; never two matches for one segment
    )
    excused = on_void.copy()
    for category, row in {
        int(truth_class[g]): g for g in np.flatnonzero(crowd)
    }.items():
        of_category = found_class == category
        excused[of_category] += shared[row, of_category]
    truth, found = np.nonzero(hit)
    return Matching(
        truth=truth,
        found=found,
        iou=shared[truth, found] / union[truth, found],
        missed=~hit.any(axis=1) & ~crowd,
        spurious=~hit.any(axis=0) & ~(2 * excused > found_area),
    )
