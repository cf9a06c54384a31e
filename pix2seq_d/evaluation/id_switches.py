"""Id switches of videos: how often an object that is found gets another number.

In a frame, a tracked thing of the truth and a predicted segment of its class match
where their IoU is above one half; pixels that are void in the truth do not count, as
in PQ, and no segment has two matches. A switch is a match with another predicted
segment than in the last frame in which the thing was matched, however long ago.

Source: IDSW of CLEAR MOT (Bernardin and Stiefelhagen, 2008) is counted so; theirs
keeps a match of the last frame that is still good enough, which has no effect here,
where matches are unique. That they are those of PQ is ours.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pix2seq_d.evaluation.frame_pair import FramePair, split_frames
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.panoptic_index import list_some


@dataclasses.dataclass(frozen=True, eq=False)
class _Sequence:
    """Counts of a sequence up to a frame, and each thing's last match by its label."""

    frames: int
    matches: int
    switches: int
    last: Mapping[int, int]

    def counts(self) -> dict[str, int]:
        names = ("switches", "matches", "frames")
        return {name: getattr(self, name) for name in names}


class IdSwitches:
    """Counts id switches over sequences.

    The state is whole numbers: sequences added or merged in any order give the same
    bits.

    Args:
      coding: of the label maps.
    """

    def __init__(self, coding: LabelCoding) -> None:
        self.coding = coding
        self._sequences: dict[str, _Sequence] = {}

    def update(self, name: str, gt: np.ndarray, pred: np.ndarray) -> None:
        """Adds the next frames of a sequence.

        Args:
          name: of the sequence; what it has already comes before.
          gt: [T, H, W] or [H, W] integers, class * label_divisor + instance.
          pred: the same of the prediction.
        Raises:
          ValueError: shapes or types are wrong, or a label is of no class; nothing
            is added then.
        """
        known = self._sequences.get(name)
        first = known.frames if known else 0
        self.update_frames(name, split_frames(name, gt, pred, first=first))

    def update_frames(self, name: str, frames: Iterable[FramePair]) -> None:
        """Adds frames of a sequence, holding one at a time; errors as `update`."""
        known = self._sequences.get(name) or _Sequence(0, 0, 0, {})
        seen, matches, switches, last = 0, 0, 0, dict(known.last)
        for frame in frames:
            seen += 1
            for truth, found in _matches(frame.overlap(self.coding), self.coding):
                matches += 1
                switches += last.get(truth, found) != found
                last[truth] = found
        if not seen:
            raise ValueError(f"sequence {name}: has no frames; leave it out")
        self._sequences[name] = _Sequence(
            known.frames + seen,
            known.matches + matches,
            known.switches + switches,
            last,
        )

    def merge(self, other: "IdSwitches") -> None:
        """Adds the sequences of another accumulator.

        Raises:
          ValueError: its coding is another, or both have a sequence of one name:
            which of the two parts comes first is not known.
        """
        if self.coding != other.coding:
            raise ValueError(
                "the two accumulators have different label codings; build both with "
                "the same"
            )
        twice = sorted(self._sequences.keys() & other._sequences.keys())
        if twice:
            raise ValueError(
                f"both accumulators have sequence {list_some(twice)}; add all frames "
                "of a sequence to one, in order"
            )
        self._sequences |= other._sequences

    def result(self) -> dict[str, Any]:
        """The switches of all sequences together, and of each.

        Returns:
          `switches`: their number.
          `matches`: how often a thing of the truth was found in a frame.
          `frames`: number of frames.
          `switches_per_100_frames`: 100 switches / frames.
          `per_sequence`: name -> the same of one sequence.
        Raises:
          ValueError: there is no frame.
        """
        if not self._sequences:
            raise ValueError("no frames were added; add at least one sequence")
        names = sorted(self._sequences)
        rows = [self._sequences[name].counts() for name in names]
        total = {key: sum(row[key] for row in rows) for key in rows[0]}
        per_sequence = {
            name: _with_rate(row) for name, row in zip(names, rows, strict=True)
        }
        return _with_rate(total) | {"per_sequence": per_sequence}

    def to_json(self) -> dict[str, Any]:
        """The state as JSON types; `from_json` is the inverse."""
        return {
            "coding": self.coding.to_json(),
            "sequences": {
                name: sequence.counts() | {"last": [*map(list, sequence.last.items())]}
                for name, sequence in self._sequences.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "IdSwitches":
        """The accumulator that `to_json` gave."""
        switches = cls(LabelCoding.from_json(data["coding"]))
        switches._sequences = {
            name: _Sequence(**{**entry, "last": dict(entry["last"])})
            for name, entry in data["sequences"].items()
        }
        return switches


def _matches(overlap: LabelOverlap, coding: LabelCoding) -> list[tuple[int, int]]:
    """The labels of every tracked thing that is found in a frame, and of its match."""
    shared = overlap.pixels
    truth_class = coding.class_index(overlap.truth)
    is_labelled = truth_class != coding.ignore_index
    truth_area = _areas(overlap.truth, shared)
    found_area = _areas(overlap.found, shared * is_labelled)
    is_match = (
        coding.is_thing[truth_class]
        & (overlap.truth % coding.label_divisor > 0)  # else a crowd
        & (truth_class == coding.class_index(overlap.found))
        & (2 * shared > truth_area + found_area - shared)  # IoU > 0.5
    )
    pairs = (overlap.truth[is_match].tolist(), overlap.found[is_match].tolist())
    return list(zip(*pairs, strict=True))


def _areas(labels: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """[N] int64, the area of the segment of each pair's label."""
    _, inverse = np.unique(labels, return_inverse=True)
    # bincount sums in float64, exact to 2**53.
    return np.bincount(inverse, pixels).astype(np.int64)[inverse]


def _with_rate(counts: dict[str, int]) -> dict[str, Any]:
    rate = 100 * counts["switches"] / counts["frames"]
    return counts | {"switches_per_100_frames": rate}
