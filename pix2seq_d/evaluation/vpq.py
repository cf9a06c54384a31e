"""Video panoptic quality (VPQ): PQ of the volumes that windows of frames make.

    VPQ = mean over window sizes k of VPQ_k, VPQ_k = mean over classes of PQ

A window is k consecutive frames of one sequence. In it the pixels of one label,
class and instance together, are one segment; its match, area and IoU are as in PQ
(`matching`). Counts are summed over all windows of all sequences. Source: Kim et
al., "Video Panoptic Segmentation"; the codes of mcahny/vps and deeplab2.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from pix2seq_d.evaluation.counts import Counts, summary
from pix2seq_d.evaluation.frame_pair import FramePair, split_frames
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.windows import Crowd, count_window, evaluated_classes
from pix2seq_d.panoptic_index import list_some


@dataclasses.dataclass(frozen=True, eq=False)
class _Sequence:
    """Number of frames, and the counts of the windows of each size."""

    frames: int
    counts: dict[int, Counts]

    def windows(self, k: int) -> int:
        """How many windows of k frames there are."""
        return max(self.frames - k + 1, 0)


class VideoPanopticQuality:
    """Accumulates VPQ over sequences.

    The state is whole numbers: sequences added or merged in any order give the same
    bits. A sequence shorter than k has no window of that size and does not count
    for it; where no sequence has one, the mean over the sizes is not defined.

    Args:
      coding: of the label maps.
      window_sizes: numbers of frames.
      crowd: how a truth thing with instance 0 counts: as `crowd` (mcahny/vps) or as
        a `segment` (deeplab2).
    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(
        self,
        coding: LabelCoding,
        *,
        window_sizes: Sequence[int] = (1, 2, 3, 4),
        crowd: Crowd = "crowd",
    ) -> None:
        sizes = tuple(window_sizes)
        if not sizes or min(sizes) < 1 or len(set(sizes)) != len(sizes):
            raise ValueError(
                f"window_sizes is {sizes}; give different numbers of frames from 1 on"
            )
        if crowd not in get_args(Crowd):
            raise ValueError(f"crowd is {crowd!r}; choose one of {get_args(Crowd)}")
        self.coding, self.window_sizes = coding, sizes
        self.crowd: Crowd = crowd
        self._sequences: dict[str, _Sequence] = {}
        self._classes = evaluated_classes(coding)

    def update(self, name: str, gt: np.ndarray, pred: np.ndarray) -> None:
        """Adds a whole sequence.

        Args:
          name: of the sequence.
          gt: [T, H, W] integers, class * label_divisor + instance.
          pred: the same of the prediction.
        Raises:
          ValueError: shapes or types are wrong, a label is of no class, or there is
            a sequence of this name; nothing is added then.
        """
        self.update_frames(name, split_frames(name, gt, pred))

    def update_frames(self, name: str, frames: Iterable[FramePair]) -> None:
        """Adds a whole sequence, holding one frame at a time; errors as `update`."""
        counts = dict.fromkeys(self.window_sizes, Counts.zeros(len(self._classes)))
        last: collections.deque[LabelOverlap] = collections.deque(
            maxlen=max(self.window_sizes)
        )
        seen = 0
        for frame in frames:
            seen += 1
            last.append(frame.overlap(self.coding))
            tables = list(last)
            for k in self.window_sizes:
                if len(tables) >= k:
                    counts[k] = counts[k] + count_window(
                        tables[-k:], coding=self.coding, crowd=self.crowd
                    )
        if not seen:
            raise ValueError(f"sequence {name}: has no frames; leave it out")
        self._add(name, _Sequence(seen, counts))

    def merge(self, other: "VideoPanopticQuality") -> None:
        """Adds the sequences of another accumulator.

        Raises:
          ValueError: it was built otherwise, or both have a sequence of one name.
        """
        if self._settings() != other._settings():
            raise ValueError(
                "the two accumulators have different label codings, window_sizes or "
                "crowd; build both with the same"
            )
        twice = sorted(self._sequences.keys() & other._sequences.keys())
        if twice:
            raise ValueError(
                f"both accumulators have sequence {list_some(twice)}; a sequence is "
                "added once, with all its frames"
            )
        self._sequences |= other._sequences

    def result(self) -> dict[str, Any]:
        """VPQ over all sequences, and of each.

        Returns:
          `vpq`: mean over the window sizes of `All` `pq`, a fraction; None where
          there is no window of one of the sizes.
          `vpq_things`, `vpq_stuff`: the same of `Things` and `Stuff`, None also
          without such a class.
          `vpq_k`: k -> `windows`, their number; `sequences_too_short`, names of
          those without one; `All`, `Things`, `Stuff`, `per_class` as in PQ
          (`counts.summary`, with n = 0 where there is no window), by class without
          the ignore label.
          `per_sequence`: name -> `frames` and the same of one sequence.
        Raises:
          ValueError: there is no sequence, or no window of any of the sizes.
        """
        if not self._sequences:
            raise ValueError("no sequences were added; add at least one")
        names = sorted(self._sequences)
        sequences = [self._sequences[name] for name in names]
        longest = max(sequence.frames for sequence in sequences)
        if longest < min(self.window_sizes):
            raise ValueError(
                f"the longest sequence has {longest} frames, so that there is no "
                f"window of {min(self.window_sizes)}; give smaller window_sizes or "
                "longer sequences"
            )
        result = self._scores(sequences)
        for k in self.window_sizes:
            result["vpq_k"][k]["sequences_too_short"] = [
                name
                for name, sequence in zip(names, sequences, strict=True)
                if not sequence.windows(k)
            ]
        result["per_sequence"] = {
            name: {"frames": sequence.frames} | self._scores([sequence])
            for name, sequence in zip(names, sequences, strict=True)
        }
        return result

    def to_json(self) -> dict[str, Any]:
        """The state as JSON types; `from_json` is the inverse."""
        return {
            "coding": self.coding.to_json(),
            "window_sizes": list(self.window_sizes),
            "crowd": self.crowd,
            "sequences": {
                name: {
                    "frames": sequence.frames,
                    "counts": [sequence.counts[k].to_json() for k in self.window_sizes],
                }
                for name, sequence in self._sequences.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "VideoPanopticQuality":
        """The accumulator that `to_json` gave."""
        quality = cls(
            LabelCoding.from_json(data["coding"]),
            window_sizes=data["window_sizes"],
            crowd=data["crowd"],
        )
        for name, entry in data["sequences"].items():
            counts = map(Counts.from_json, entry["counts"])
            by_size = dict(zip(quality.window_sizes, counts, strict=True))
            quality._add(name, _Sequence(entry["frames"], by_size))
        return quality

    def _settings(self) -> tuple[Any, ...]:
        return self.coding, self.window_sizes, self.crowd

    def _add(self, name: str, sequence: _Sequence) -> None:
        if name in self._sequences:
            raise ValueError(
                f"sequence {name}: was added before; add it once, with all its frames"
            )
        self._sequences[name] = sequence

    def _scores(self, sequences: Sequence[_Sequence]) -> dict[str, Any]:
        is_thing = self.coding.is_thing[self._classes]
        by_size: dict[int, dict[str, Any]] = {}
        for k in self.window_sizes:
            counts = sum(
                (sequence.counts[k] for sequence in sequences),
                Counts.zeros(len(self._classes)),
            )
            by_size[k] = {"windows": sum(s.windows(k) for s in sequences)} | summary(
                counts, is_thing=is_thing, ids=self._classes.tolist()
            )
        rows = list(by_size.values())
        means: dict[str, float | None] = {}
        for name, group in (
            ("vpq", "All"),
            ("vpq_things", "Things"),
            ("vpq_stuff", "Stuff"),
        ):
            known = all(row["windows"] for row in rows) and (
                group == "All" or any(row[group]["n"] for row in rows)
            )
            total = math.fsum(row[group]["pq"] for row in rows)
            means[name] = total / len(rows) if known else None
        return means | {"vpq_k": by_size}


def evaluate(
    sequences: Iterable[tuple[str, np.ndarray, np.ndarray]],
    *,
    num_classes: int,
    things: Sequence[int],
    ignore_label: int,
    label_divisor: int,
    window_sizes: Sequence[int] = (1, 2, 3, 4),
    crowd: Crowd = "crowd",
) -> dict[str, Any]:
    """VPQ of label maps.

    Args:
      sequences: name, truth and prediction, [T, H, W] integers,
        class * label_divisor + instance; names differ.
      num_classes: classes are 0 ... num_classes - 1.
      things: classes whose instances are told apart.
      ignore_label: class of pixels that do not count, within or above the classes.
      label_divisor: see above.
      window_sizes: numbers of frames; VIPSeg's own script takes 1, 2, 4, 6.
      crowd: see `VideoPanopticQuality`.
    Returns:
      As `VideoPanopticQuality.result`.
    Raises:
      ValueError: labels are wrong, or there is no window of any of the sizes.
    """
    coding = LabelCoding(num_classes, tuple(things), ignore_label, label_divisor)
    quality = VideoPanopticQuality(coding, window_sizes=window_sizes, crowd=crowd)
    for name, gt, pred in sequences:
        quality.update(name, gt, pred)
    return quality.result()
