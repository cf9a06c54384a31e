"""Segmentation and tracking quality (STQ) of videos, as deeplab2's code computes it.

    STQ = sqrt(AQ x SQ)
    SQ  = mean over classes of TP / (TP + FP + FN), over all pixels of all frames
    AQ  = 1/N sum over truth tubes g of
          1/|g| sum over predicted tubes p of TPA x TPA / (|p| + |g| - TPA)

A tube is the pixels of one label, class and instance together, in a whole sequence;
TPA is what p and g share. Truth tubes are things with an instance number; pixels of
a crowd (a thing with instance 0) leave all tubes, ignored pixels stay in predicted
ones. Source: Weber et al., "STEP: Segmenting and Tracking Every Pixel"; spec 7.2.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from pix2seq_d.evaluation.confusion import class_iou, confusion_matrix, mean_iou
from pix2seq_d.evaluation.frame_pair import FramePair, split_frames
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap

# `counted`: deeplab2's code. Ignore predicted on a labelled pixel makes the ignore
# label one more class of the mean, with IoU 0: 20 classes in place of 19.
VoidClass = Literal["counted", "left_out"]


@dataclasses.dataclass(frozen=True)
class _Tubes:
    """Of one sequence: the terms of AQ's sum, and how many tubes there are."""

    terms: list[float]
    truth: int
    found: int


class SegmentationTrackingQuality:
    """Accumulates STQ over frames; frames of a sequence may come in parts.

    The state is whole numbers, pixels of pairs of labels in each sequence: parts
    added or merged in any order give the same bits.

    Args:
      coding: of the label maps.
      void_class: whether predicted ignore counts as a class, as in deeplab2
        (`counted`), or only as a miss of the true class (`left_out`).
    Raises:
      ValueError: void_class is neither.
    """

    def __init__(
        self, coding: LabelCoding, *, void_class: VoidClass = "counted"
    ) -> None:
        if void_class not in get_args(VoidClass):
            raise ValueError(
                f"void_class is {void_class!r}; choose one of {get_args(VoidClass)}"
            )
        self.coding = coding
        self.void_class: VoidClass = void_class
        self._overlaps: dict[str, LabelOverlap] = {}
        self._frames: dict[str, int] = {}

    def update(self, name: str, gt: np.ndarray, pred: np.ndarray) -> None:
        """Adds frames of a sequence.

        Args:
          name: of the sequence; what it has already is kept.
          gt: [T, H, W] or [H, W] integers, class * label_divisor + instance.
          pred: the same of the prediction.
        Raises:
          ValueError: shapes or types are wrong, or a label is of no class; nothing
            is added then.
        """
        first = self._frames.get(name, 0)
        self.update_frames(name, split_frames(name, gt, pred, first=first))

    def update_frames(self, name: str, frames: Iterable[FramePair]) -> None:
        """Adds frames of a sequence, holding one at a time; errors as `update`."""
        tables = [frame.overlap(self.coding) for frame in frames]
        if not tables:
            raise ValueError(f"sequence {name}: has no frames; leave it out")
        self._add(name, LabelOverlap.total(tables), len(tables))

    def merge(self, other: "SegmentationTrackingQuality") -> None:
        """Adds what another accumulator of the same labels has.

        Raises:
          ValueError: its coding or void_class is another.
        """
        if (self.coding, self.void_class) != (other.coding, other.void_class):
            raise ValueError(
                "the two accumulators have different label codings or void_class; "
                "build both with the same"
            )
        for name, table in other._overlaps.items():
            self._add(name, table, other._frames[name])

    def result(self) -> dict[str, Any]:
        """STQ over all sequences, and of each.

        AQ is the mean over all tubes and SQ that of the summed confusion matrix;
        they are not means over sequences.

        Returns:
          `STQ`, `AQ`, `SQ`: fractions; AQ is 0.0 without truth tubes.
          `iou_per_class`: class -> IoU, None where the union is 0; the ignore label
          is `num_classes` where it lies above the classes.
          `confusion`: rows truth, columns prediction, as lists.
          `frames`, `gt_tubes`, `pred_tubes`: counts.
          `ignore_counted_as_class`: whether the ignore label enters SQ's mean.
          `per_sequence`: name -> the same of one sequence; its SQ and STQ are None
          where all of its truth is ignored.
        Raises:
          ValueError: there is no frame, or no labelled pixel.
        """
        if not self._frames:
            raise ValueError("no frames were added; add at least one sequence")
        names = sorted(self._frames)
        confusions = [
            confusion_matrix(self._overlaps[name], self.coding) for name in names
        ]
        tubes = [_tubes(self._overlaps[name], self.coding) for name in names]
        frames = [self._frames[name] for name in names]
        result = self._scores(confusions, tubes, frames)
        if result["SQ"] is None:
            raise ValueError(
                "no pixel of the truth is labelled, all are ignored; check "
                "ignore_label and label_divisor"
            )
        per_sequence = {
            name: self._scores([confusion], [tube], [count])
            for name, confusion, tube, count in zip(
                names, confusions, tubes, frames, strict=True
            )
        }
        return result | {"per_sequence": per_sequence}

    def to_json(self) -> dict[str, Any]:
        """The state as JSON types; `from_json` is the inverse."""
        return {
            "coding": self.coding.to_json(),
            "void_class": self.void_class,
            "sequences": {
                name: {"frames": self._frames[name], "overlap": table.to_json()}
                for name, table in self._overlaps.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SegmentationTrackingQuality":
        """The accumulator that `to_json` gave."""
        coding = LabelCoding.from_json(data["coding"])
        quality = cls(coding, void_class=data["void_class"])
        for name, entry in data["sequences"].items():
            table = LabelOverlap.from_json(entry["overlap"])
            quality._add(name, table, entry["frames"])
        return quality

    def _add(self, name: str, table: LabelOverlap, frames: int) -> None:
        if name in self._overlaps:
            table = LabelOverlap.total([self._overlaps[name], table])
        self._overlaps[name] = table
        self._frames[name] = self._frames.get(name, 0) + frames

    def _scores(
        self,
        confusions: Sequence[np.ndarray],
        tubes: Sequence[_Tubes],
        frames: Sequence[int],
    ) -> dict[str, Any]:
        ignore = self.coding.ignore_index
        confusion = np.sum(confusions, axis=0)
        iou = class_iou(confusion)
        if self.void_class == "left_out":
            iou[ignore] = None
        sq = mean_iou(iou)
        # fsum rounds once, so the order of sequences and tubes does not matter.
        association = math.fsum(term for part in tubes for term in part.terms)
        num_tubes = sum(part.truth for part in tubes)
        aq = association / num_tubes if num_tubes else 0.0
        return {
            "STQ": None if sq is None else math.sqrt(aq * sq),
            "AQ": aq,
            "SQ": sq,
            "iou_per_class": iou,
            "confusion": confusion.tolist(),
            "frames": sum(frames),
            "gt_tubes": num_tubes,
            "pred_tubes": sum(part.found for part in tubes),
            "ignore_counted_as_class": iou[ignore] is not None,
        }


def evaluate(
    sequences: Iterable[tuple[str, np.ndarray, np.ndarray]],
    *,
    num_classes: int,
    things: Sequence[int],
    ignore_label: int,
    label_divisor: int,
    void_class: VoidClass = "counted",
) -> dict[str, Any]:
    """STQ of label maps.

    Args:
      sequences: name, truth and prediction, [T, H, W] integers,
        class * label_divisor + instance; parts of one name add up.
      num_classes: classes are 0 ... num_classes - 1.
      things: classes that are tracked.
      ignore_label: class of pixels that do not count, within or above the classes.
      label_divisor: see above.
      void_class: see `SegmentationTrackingQuality`.
    Returns:
      As `SegmentationTrackingQuality.result`.
    Raises:
      ValueError: labels are wrong, or there is no sequence.
    """
    coding = LabelCoding(num_classes, tuple(things), ignore_label, label_divisor)
    quality = SegmentationTrackingQuality(coding, void_class=void_class)
    for name, gt, pred in sequences:
        quality.update(name, gt, pred)
    return quality.result()


def _tubes(overlap: LabelOverlap, coding: LabelCoding) -> _Tubes:
    truth_is_thing = coding.is_thing[coding.class_index(overlap.truth)]
    crowd = truth_is_thing & (overlap.truth % coding.label_divisor == 0)
    truth_member = truth_is_thing & ~crowd
    found_member = coding.is_thing[coding.class_index(overlap.found)] & ~crowd
    truth_size, num_truth = _sizes(overlap.truth, overlap.pixels, truth_member)
    found_size, num_found = _sizes(overlap.found, overlap.pixels, found_member)
    both = truth_member & found_member
    shared, truth_size = overlap.pixels[both], truth_size[both]
    union = truth_size + found_size[both] - shared
    # In float64: squares of pixel counts of long videos overflow int64.
    terms = shared * (shared / union) / truth_size
    return _Tubes(terms.tolist(), num_truth, num_found)


def _sizes(
    labels: np.ndarray, pixels: np.ndarray, member: np.ndarray
) -> tuple[np.ndarray, int]:
    """[N] size of the tube of each pair's label, 0 outside tubes; number of tubes."""
    present, inverse = np.unique(labels[member], return_inverse=True)
    sizes = np.zeros(len(labels), np.int64)
    sizes[member] = np.bincount(inverse, pixels[member], len(present))[inverse]
    return sizes, len(present)
