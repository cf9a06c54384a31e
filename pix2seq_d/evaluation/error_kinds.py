"""Why segments are not matched: every error of an image has exactly one kind.

g is a truth segment that is not crowd, p a predicted one. "Lies in" means with more
than half of its pixels, those of p on void left out. Sets of pixels "match" as in
PQ, with an IoU above 1/2. An unmatched segment has the first kind that fits:

  wrong_class  g and p match but for their category. Repair: p gets g's category.
  split        g has two or more parts (p of its category that lie in g), and
               together they match g. One part may do so by itself: then the others
               are errors. Repair: the parts become one segment.
  merged       the mirror image: p has two or more contents (g of its category that
               lie in p), and together they match p. Repair: p is cut along the
               borders of its contents; its pixels on none of them are unlabelled.
  low_overlap  unmatched g and p of one category with 0.1 <= IoU <= 0.5, and neither
               has a kind from above. Repair: g is matched, p is gone.
  missed       any other g. Repair: g is matched.
  spurious     any other p. Repair: p is gone.

Source: ours, after TIDE (Bolya et al., ECCV 2020): exclusive kinds, and 0.1 as the
least overlap that tells a bad outline from background.
"""

import dataclasses

import numpy as np

from pix2seq_d.evaluation.matching import Matching
from pix2seq_d.evaluation.overlap import Overlap

KINDS = ("wrong_class", "split", "merged", "low_overlap", "missed", "spurious")
_WRONG_CLASS, _SPLIT, _MERGED, _LOW_OVERLAP, _MISSED, _SPURIOUS = range(len(KINDS))


@dataclasses.dataclass(frozen=True, eq=False)
class Errors:
    """What is wrong among G truth and P predicted segments.

    Attributes:
      matching: as it is.
      truth_kind: [G] int64, row in KINDS; means something where `matching.missed`.
      found_kind: [P] int64, the same for `matching.spurious`.
      relabelled: the matching with wrong_class repaired.
      fused: with split repaired.
      cut: with merged repaired.
    """

    matching: Matching
    truth_kind: np.ndarray
    found_kind: np.ndarray
    relabelled: Matching
    fused: Matching
    cut: Matching


def find_errors(overlap: Overlap, matching: Matching) -> Errors:
    """The errors of one image.

    Args:
      overlap: of truth and prediction.
      matching: `overlap.match()`.
    """
    shared = overlap.pixels[1:, 1:]
    truth_area = overlap.pixels[1:].sum(axis=1)
    labelled = shared.sum(axis=0)  # of p, without void
    around = labelled - shared  # of p, beside g
    rest = truth_area[:, None] - shared  # of g, beside p
    union = around + truth_area[:, None]
    real = ~overlap.crowd[:, None]
    same = (overlap.truth_class[:, None] == overlap.found_class) & real

    wrong = (2 * shared > union) & real & ~same
    # A segment lies in one other at most, so no two groups share a part.
    parts, fused_iou = _groups(same & (shared > around), shared, around, truth_area)
    contents, _ = _groups((same & (shared > rest)).T, shared.T, rest.T, labelled)
    contents = contents.T

    truth_kind = np.full(len(truth_area), _MISSED)
    found_kind = np.full(len(labelled), _SPURIOUS)
    for kind, pairs in ((_MERGED, contents), (_SPLIT, parts), (_WRONG_CLASS, wrong)):
        truth_kind[pairs.any(axis=1)] = kind
        found_kind[pairs.any(axis=0)] = kind
    left = found_kind == _SPURIOUS
    left[matching.found] = False
    left = left & (matching.missed & (truth_kind == _MISSED))[:, None]
    near = same & left & (10 * shared >= union)
    truth_kind[near.any(axis=1)] = _LOW_OVERLAP
    found_kind[near.any(axis=0)] = _LOW_OVERLAP

    # Each truth segment is repaired by one predicted one; any part stands for all.
    one_part = parts & (np.cumsum(parts, axis=1) == 1)
    return Errors(
        matching,
        truth_kind,
        found_kind,
        relabelled=_repair(matching, wrong, wrong, shared / np.maximum(union, 1)),
        fused=_repair(matching, parts, one_part, fused_iou[:, None]),
        cut=_repair(
            matching, contents, contents, shared / np.maximum(truth_area, 1)[:, None]
        ),
    )


def _groups(
    lies_in: np.ndarray, shared: np.ndarray, around: np.ndarray, area: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of two or more that together match what they lie in.

    Args:
      lies_in: [A, B] bool, b lies in a.
      shared: [A, B] int64, pixels of both.
      around: [A, B] int64, pixels of b that a has not.
      area: [A] int64, pixels of a.
    Returns:
      pairs [A, B] bool, those of `lies_in` that make such a group;
      iou [A] float64, of each a with all that lies in it.
    """
    inside = (shared * lies_in).sum(axis=1)
    union = area + (around * lies_in).sum(axis=1)
    grouped = (lies_in.sum(axis=1) > 1) & (2 * inside > union)
    return lies_in & grouped[:, None], inside / np.maximum(union, 1)


def _repair(
    matching: Matching, errors: np.ndarray, repaired: np.ndarray, iou: np.ndarray
) -> Matching:
    """The matching in which segments with errors have been repaired.

    Args:
      matching: as it is.
      errors: [G, P] bool, pairs that something is wrong with.
      repaired: [G, P] bool, those of them that match when it is repaired.
      iou: broadcasts to [G, P] float64, their IoU then.
    """
    if not errors.any():
        return matching
    kept = ~errors[matching.truth, matching.found]
    truth, found = np.nonzero(repaired)
    return Matching(
        truth=np.concatenate([matching.truth[kept], truth]),
        found=np.concatenate([matching.found[kept], found]),
        iou=np.concatenate(
            [matching.iou[kept], np.broadcast_to(iou, errors.shape)[truth, found]]
        ),
        missed=matching.missed & ~errors.any(axis=1),
        spurious=matching.spurious & ~errors.any(axis=0),
    )
