"""What panoptic quality sums up, per category: exact, in any order.

    PQ = sum of IoU / (TP + FP / 2 + FN / 2) = SQ x RQ

The IoU of a match is above 1/2 and at most 1, so a float64 holds it as a whole
multiple of 2**-53. The sum is kept as such whole numbers: adding images in another
order, or in shards, gives the same bits.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# An IoU is n * 2**-53; n is kept as n // 2**30 and n % 2**30, so that int64 has room
# for 2**33 matches.
_UNIT = 2.0**53
_LOW_BITS = 30

GROUPS = ("All", "Things", "Stuff")


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """Matches and misses per category; of one image, of many, or one row for each.

    Attributes:
      iou_parts: [..., C, 2] int64, the sum of the IoU of the matches: high and low
        part.
      tp: [..., C] int64, matches.
      fp: [..., C] int64, predicted segments without match.
      fn: [..., C] int64, truth segments without match.
    """

    iou_parts: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray

    @classmethod
    def zeros(cls, num_categories: int) -> "Counts":
        """Counts of nothing."""
        zero = np.zeros(num_categories, np.int64)
        return cls(np.zeros((num_categories, 2), np.int64), zero, zero, zero)

    @classmethod
    def of(
        cls,
        num_categories: int,
        *,
        matched: np.ndarray,
        iou: np.ndarray,
        spurious: np.ndarray,
        missed: np.ndarray,
    ) -> "Counts":
        """Counts from lists of segments.

        Args:
          num_categories: C.
          matched: [M] int, category of each match, in [0, C).
          iou: [M] float64 in (0.5, 1], the IoU of each match.
          spurious: [F] int, category of each predicted segment without match.
          missed: [N] int, category of each truth segment without match.
        """
        whole = (iou * _UNIT).astype(np.int64)
        parts = (whole >> _LOW_BITS, whole & (2**_LOW_BITS - 1))
        # bincount sums in float64: whole numbers below 2**53 here, so exact.
        sums = [np.bincount(matched, part, num_categories) for part in parts]
        return cls(
            np.stack(sums, axis=-1).astype(np.int64),
            *(
                np.bincount(rows, minlength=num_categories)
                for rows in (matched, spurious, missed)
            ),
        )

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.iou_parts + other.iou_parts,
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
        )

    @property
    def iou_sum(self) -> np.ndarray:
        """[..., C] float64, the sum of the IoU of the matches."""
        high, low = self.iou_parts[..., 0], self.iou_parts[..., 1]
        # The high part carries what overflows the low one before either is rounded.
        high, low = high + (low >> _LOW_BITS), low & (2**_LOW_BITS - 1)
        return high / 2.0 ** (53 - _LOW_BITS) + low / _UNIT

    @property
    def counted(self) -> np.ndarray:
        """[..., C] bool: categories that enter the means."""
        return self.tp + self.fp + self.fn > 0

    @property
    def pq(self) -> np.ndarray:
        """[..., C] float64 in [0, 1]; 0 where not counted."""
        return self.iou_sum / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)

    @property
    def sq(self) -> np.ndarray:
        """[..., C] float64 in [0, 1]; 0 without a match."""
        return self.iou_sum / np.maximum(self.tp, 1)

    @property
    def rq(self) -> np.ndarray:
        """[..., C] float64 in [0, 1]; 0 where not counted."""
        return self.tp / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)

    def mean_pq(self) -> float:
        """PQ over the counted categories, to rank images; 1.0 where none is.

        An image with nothing to find and nothing found is no failure.
        """
        return float(self.pq[self.counted].mean()) if self.counted.any() else 1.0

    def to_json(self) -> dict[str, list[Any]]:
        """The counts as JSON types; `from_json` is the inverse."""
        return {
            f.name: getattr(self, f.name).tolist() for f in dataclasses.fields(self)
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[Any]]) -> "Counts":
        """The counts that `to_json` gave."""
        fields = [np.array(data[f.name], np.int64) for f in dataclasses.fields(cls)]
        return cls(fields[0].reshape(-1, 2), *fields[1:])

    def table(self) -> np.ndarray:
        """[C, 5] int64, a row for each category; `of_table` is the inverse."""
        return np.column_stack([self.iou_parts, self.tp, self.fp, self.fn])

    @classmethod
    def of_table(cls, table: np.ndarray) -> "Counts":
        """The counts that `table` gave."""
        return cls(table[:, :2], *table[:, 2:].T)


def groups(is_thing: np.ndarray) -> np.ndarray:
    """[3, C] bool: the categories in each of GROUPS; `is_thing` is [C] bool."""
    return np.stack([np.ones_like(is_thing), is_thing, ~is_thing])


def group_means(
    values: np.ndarray, counted: np.ndarray, *, is_thing: np.ndarray
) -> np.ndarray:
    """Plain means over the counted categories of each group.

    Args:
      values: [..., C] float64, finite.
      counted: [..., C] bool.
      is_thing: [C] bool.
    Returns:
      [..., 3] float64 in the order of GROUPS; nan where no category is counted.
    """
    members = groups(is_thing).T.astype(np.float64)
    n = counted @ members
    total = np.where(counted, values, 0.0) @ members
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def summary(
    counts: Counts, *, is_thing: np.ndarray, ids: Sequence[int]
) -> dict[str, dict[Any, Any]]:
    """PQ, SQ, RQ as fractions: the groups and each category.

    Args:
      counts: of C categories.
      is_thing: [C] bool.
      ids: category id of each column.
    Returns:
      `All`, `Things`, `Stuff`: plain means `pq`, `sq`, `rq` over the `n` categories
      with any count; 0.0 where n is 0 (panopticapi fails there).
      `per_class`: category id -> `pq`, `sq`, `rq`, `iou_sum`, `tp`, `fp`, `fn`, and
      `n`, 1 where the category enters the means, else 0.
    """
    values = {"pq": counts.pq, "sq": counts.sq, "rq": counts.rq}
    means = {
        name: group_means(value, counts.counted, is_thing=is_thing).tolist()
        for name, value in values.items()
    }
    result: dict[str, dict[Any, Any]] = {}
    for row, (group, member) in enumerate(zip(GROUPS, groups(is_thing), strict=True)):
        n = int((counts.counted & member).sum())
        result[group] = {
            name: mean[row] if n else 0.0 for name, mean in means.items()
        } | {"n": n}
    iou_sum = counts.iou_sum
    result["per_class"] = {
        category: {name: float(value[k]) for name, value in values.items()}
        | {
            "iou_sum": float(iou_sum[k]),
            "tp": int(counts.tp[k]),
            "fp": int(counts.fp[k]),
            "fn": int(counts.fn[k]),
            "n": int(counts.counted[k]),
        }
        for k, category in enumerate(ids)
    }
    return result
