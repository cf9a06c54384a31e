"""Two panoptic maps as a table: how many pixels each pair of segments shares."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.matching import Matching, match
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_index import list_some


@dataclasses.dataclass(frozen=True, eq=False)
class Overlap:
    """G truth and P predicted segments, in the order of `segments` of their maps.

    Attributes:
      pixels: [G + 1, P + 1] int64, shared by each pair; row and column 0 are void.
      truth_class: [G] int64 in [0, C), category column of each truth segment.
      found_class: [P] int64 in [0, C), of each predicted segment.
      crowd: [G] bool, crowd segments of the truth.
      num_categories: C.
    """

    pixels: np.ndarray
    truth_class: np.ndarray
    found_class: np.ndarray
    crowd: np.ndarray
    num_categories: int

    def match(self) -> Matching:
        """The matches of PQ; see `matching.match`."""
        return match(
            self.pixels,
            truth_class=self.truth_class,
            found_class=self.found_class,
            crowd=self.crowd,
        )

    def count(self, matching: Matching) -> Counts:
        """The counts of a matching of these segments."""
        return matching.counts(
            self.truth_class, self.found_class, num_categories=self.num_categories
        )


def compare(
    truth: PanopticMap, prediction: PanopticMap, categories: Categories
) -> Overlap:
    """The overlap of two maps of one image.

    A truth segment may be without a pixel, as in panopticapi; crowd flags of the
    prediction are ignored.

    Raises:
      ValueError: sizes differ, an id has no segment, a segment id or a category is
        wrong, or a predicted segment has no pixel.
    """
    if truth.ids.shape != prediction.ids.shape:
        raise ValueError(
            "the prediction has {1}x{0} pixels, the truth {3}x{2} (width x height); "
            "predict at the truth's size".format(
                *prediction.ids.shape, *truth.ids.shape
            )
        )
    overlap = Overlap(
        pixels=_shared_pixels(truth, prediction),
        truth_class=categories.columns(truth.segments, of="truth"),
        found_class=categories.columns(prediction.segments, of="prediction"),
        crowd=np.array([s.is_crowd for s in truth.segments], bool),
        num_categories=len(categories),
    )
    shown = overlap.pixels[:, 1:].any(axis=0)
    if not shown.all():
        empty = [prediction.segments[k].id for k in np.flatnonzero(~shown)]
        raise ValueError(
            f"predicted segments {list_some(empty)} have no pixel; leave them out"
        )
    return overlap


def _shared_pixels(truth: PanopticMap, prediction: PanopticMap) -> np.ndarray:
    """[G + 1, P + 1] int64; see `Overlap.pixels`."""
    pair = truth.ids.ravel(), prediction.ids.ravel()
    # A run ends where either map changes: a few thousand runs instead of a few
    # hundred thousand pixels, and nothing is sorted.
    changes = pair[0][1:] != pair[0][:-1]
    changes |= pair[1][1:] != pair[1][:-1]
    starts = np.concatenate(
        [np.zeros(min(pair[0].size, 1), np.int64), np.flatnonzero(changes) + 1]
    )
    lengths = np.diff(starts, append=pair[0].size)
    rows = segment_rows(pair[0][starts], truth.segments, of="truth")
    columns = segment_rows(pair[1][starts], prediction.segments, of="prediction")
    shape = len(truth.segments) + 1, len(prediction.segments) + 1
    # bincount sums in float64, exact to 2**53.
    table = np.bincount(rows * shape[1] + columns, lengths, shape[0] * shape[1])
    return table.astype(np.int64).reshape(shape)


def segment_rows(
    ids: np.ndarray, segments: Sequence[Segment], *, of: str
) -> np.ndarray:
    """Row of each id: 0 for void, k + 1 for `segments[k]`.

    Args:
      ids: [...] integers.
      segments: of the map.
      of: what to call the map in a message.
    Returns:
      [...] int64.
    Raises:
      ValueError: an id has no segment, or a segment's id is wrong.
    """
    known = np.array([0, *(s.id for s in segments)], np.int64)
    order = np.argsort(known, kind="stable")
    known = known[order]
    if (known[1:] == known[:-1]).any():
        raise ValueError(
            f"a segment id of the {of} is 0 (void) or occurs twice; renumber"
        )
    place = np.searchsorted(known, ids)
    unknown = known[np.minimum(place, len(known) - 1)] != ids
    if unknown.any():
        raise ValueError(
            f"ids {list_some(np.unique(ids[unknown]).tolist())} of the {of} have no "
            "segment; describe each id"
        )
    return order[place]
