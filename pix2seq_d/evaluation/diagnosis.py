"""Where PQ is lost: what it would be if one kind of error were repaired.

The kinds are those of `error_kinds`, and `inexact`: what the matches lose because
their IoU is below 1.

  wrong_class, split, merged  the PQ of the map that the repair really gives.
  low_overlap, missed         unmatched truth segments become matches, and predicted
                              ones of the kind vanish. The new outline is not known:
                              a new match has the mean IoU of its category's matches
                              (1 where there is none), so RQ rises and SQ stays.
  spurious                    unmatched predicted segments vanish.
  inexact                     every match has IoU 1, so PQ becomes RQ.

No repair lowers the PQ of any category or group. The losses do not add up to 1 - PQ,
for PQ is a ratio; they rank what to repair first.

Source: ours, after TIDE (Bolya et al., ECCV 2020), which repairs each kind by itself.
TIDE removes what is missed from the truth; here it counts as found, else a category
of which nothing is found would leave the mean.
"""

import dataclasses
from typing import Any

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import GROUPS, Counts, group_means
from pix2seq_d.evaluation.error_kinds import KINDS, find_errors
from pix2seq_d.evaluation.matching import Matching
from pix2seq_d.evaluation.overlap import Overlap

# The kinds whose repair gives a map, and so counts of its own.
REPAIRED = KINDS[:3]
INEXACT = "inexact"

# Of `Diagnosis.table`: counts as they are and as repaired, then fn and fp by kind.
COLUMNS = 5 * (1 + len(REPAIRED)) + 2 * len(KINDS)


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """Errors by kind, of one image or of many: exact, in any order, as `Counts`.

    Attributes:
      counts: as they are.
      repaired: as they would be, for each kind of REPAIRED.
      fn: [6, C] int64, unmatched truth segments of each of KINDS; they sum up to
        `counts.fn`.
      fp: [6, C] int64, unmatched predicted segments; they sum up to `counts.fp`.
    """

    counts: Counts
    repaired: tuple[Counts, ...]
    fn: np.ndarray
    fp: np.ndarray

    @classmethod
    def zeros(cls, num_categories: int) -> "Diagnosis":
        """The diagnosis of nothing."""
        counts = Counts.zeros(num_categories)
        zero = np.zeros((len(KINDS), num_categories), np.int64)
        return cls(counts, (counts,) * len(REPAIRED), zero, zero)

    def __add__(self, other: "Diagnosis") -> "Diagnosis":
        both = zip(self.repaired, other.repaired, strict=True)
        return Diagnosis(
            self.counts + other.counts,
            tuple(mine + theirs for mine, theirs in both),
            self.fn + other.fn,
            self.fp + other.fp,
        )

    def result(self, categories: Categories) -> dict[str, dict[Any, Any]]:
        """For each kind, the PQ without it and what it costs.

        Returns:
          kind -> `All`, `Things`, `Stuff`, each with `pq`, the plain mean over the
          categories that have any count after the repair, and `lost`, that less the
          PQ as it is; `fn`, `fp`, the number of errors; `per_class`, category id ->
          these four. Kinds are those of KINDS and `inexact`, which is no error.
        """
        now, is_thing = self.counts.pq, categories.is_thing
        means = group_means(now, self.counts.counted, is_thing=is_thing)
        none = np.zeros((1, len(categories)), np.int64)
        fn, fp = (np.concatenate([rows, none]) for rows in (self.fn, self.fp))
        result: dict[str, dict[Any, Any]] = {}
        for row, kind in enumerate((*KINDS, INEXACT)):
            pq, counted = self._without(kind)
            then = group_means(pq, counted, is_thing=is_thing)
            # As in the summary, a group without any count has 0.
            pairs = np.nan_to_num([then, then - means]).T.tolist()
            result[kind] = {
                group: {"pq": mean, "lost": lost}
                for group, (mean, lost) in zip(GROUPS, pairs, strict=True)
            }
            result[kind] |= {"fn": int(fn[row].sum()), "fp": int(fp[row].sum())}
            result[kind]["per_class"] = {
                category: {
                    "pq": float(pq[k]),
                    "lost": float(pq[k] - now[k]),
                    "fn": int(fn[row, k]),
                    "fp": int(fp[row, k]),
                }
                for k, category in enumerate(categories.ids)
            }
        return result

    def _without(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """PQ of each category when a kind is repaired, and whether it is counted."""
        counts = self.counts
        if kind == INEXACT:
            return counts.rq, counts.counted
        if kind in REPAIRED:
            counts = self.repaired[REPAIRED.index(kind)]
            return counts.pq, counts.counted
        fn, fp = (rows[KINDS.index(kind)] for rows in (self.fn, self.fp))
        tp, errors = counts.tp + fn, counts.fn - fn + counts.fp - fp
        quality = np.where(counts.tp > 0, counts.sq, 1.0)
        return quality * tp / np.maximum(tp + errors / 2, 0.5), tp + errors > 0

    def table(self) -> np.ndarray:
        """[C, COLUMNS] int64, a row for each category; `of_table` is the inverse."""
        counts = [counts.table() for counts in (self.counts, *self.repaired)]
        return np.concatenate([*counts, self.fn.T, self.fp.T], axis=1)

    @classmethod
    def of_table(cls, table: np.ndarray) -> "Diagnosis":
        """The diagnosis that `table` gave."""
        *parts, kinds = np.split(
            table, range(5, COLUMNS - 2 * len(KINDS) + 1, 5), axis=1
        )
        now, *repaired = map(Counts.of_table, parts)
        fn, fp = np.split(kinds.T, 2)
        return cls(now, tuple(repaired), fn, fp)


def diagnose(overlap: Overlap, matching: Matching) -> Diagnosis:
    """The errors of one image.

    Args:
      overlap: of truth and prediction.
      matching: `overlap.match()`.
    """
    errors = find_errors(overlap, matching)
    counts = overlap.count(matching)
    return Diagnosis(
        counts,
        tuple(
            counts if repair is matching else overlap.count(repair)
            for repair in (errors.relabelled, errors.fused, errors.cut)
        ),
        fn=_by_kind(errors.truth_kind, overlap.truth_class, matching.missed, overlap),
        fp=_by_kind(errors.found_kind, overlap.found_class, matching.spurious, overlap),
    )


def _by_kind(
    kind: np.ndarray, category: np.ndarray, wrong: np.ndarray, overlap: Overlap
) -> np.ndarray:
    """[6, C] int64: how many of the segments that are wrong have kind and category."""
    shape = len(KINDS), overlap.num_categories
    cell = kind[wrong] * shape[1] + category[wrong]
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
