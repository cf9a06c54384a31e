"""Pixels that pairs of labels share: all that STQ, VPQ and mIoU need of two maps.

A frame of half a million pixels has some hundred pairs. Tables of frames add up to
that of a video, exactly and in any order.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LabelOverlap:
    """Number of pixels of each pair of labels; pairs rise and occur once.

    Attributes:
      truth: [N] int64, label in the truth.
      found: [N] int64, label in the prediction.
      pixels: [N] int64 > 0.
    """

    truth: np.ndarray
    found: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, found: np.ndarray) -> "LabelOverlap":
        """The table of two label maps.

        Args:
          truth: [...] integers.
          found: [...] integers, of the same shape.
        """
        truth, found = truth.ravel(), found.ravel()
        # Runs of one pair, row after row: sorting them is many times faster than
        # sorting the pixels, and the pair's number is made for runs only.
        change = (truth[1:] != truth[:-1]) | (found[1:] != found[:-1])
        starts = np.flatnonzero(np.concatenate([[True], change])[: truth.size])
        lengths = np.diff(starts, append=truth.size)
        parts = (truth[starts].astype(np.int64), found[starts].astype(np.int64))
        return cls._group(*parts, lengths)

    @classmethod
    def total(cls, tables: Sequence["LabelOverlap"]) -> "LabelOverlap":
        """The sum of tables."""
        fields = [f.name for f in dataclasses.fields(cls)]
        none = np.zeros(0, np.int64)
        joined = [
            np.concatenate([none, *(getattr(table, f) for table in tables)])
            for f in fields
        ]
        return cls._group(*joined)

    @classmethod
    def _group(
        cls, truth: np.ndarray, found: np.ndarray, pixels: np.ndarray
    ) -> "LabelOverlap":
        if not truth.size:
            return cls(truth, found, pixels)
        first, low = int(truth.min()), int(found.min())
        span = int(found.max()) - low + 1
        if (int(truth.max()) - first + 1) * span < 2**63:
            key = (truth - first) * span + (found - low)
        else:  # Labels beyond 32 bits: their ranks make a number that fits.
            _, rows = np.unique(truth, return_inverse=True)
            values, columns = np.unique(found, return_inverse=True)
            key = rows * len(values) + columns
        _, index, inverse = np.unique(key, return_index=True, return_inverse=True)
        # bincount sums in float64, exact to 2**53.
        sums = np.bincount(inverse, pixels).astype(np.int64)
        return cls(truth[index], found[index], sums)

    def to_json(self) -> dict[str, list[int]]:
        """The table as JSON types; `from_json` is the inverse."""
        return {
            f.name: getattr(self, f.name).tolist() for f in dataclasses.fields(self)
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[Any]]) -> "LabelOverlap":
        """The table that `to_json` gave."""
        fields = dataclasses.fields(cls)
        return cls(*(np.array(data[f.name], np.int64) for f in fields))
