"""Mean intersection over union (mIoU) of semantic label maps.

    IoU = TP / (TP + FP + FN) per class, over all pixels of all images

Ignored pixels of the truth do not count. Ignore predicted on a labelled pixel is a
miss of the true class and no class of its own. Source: the VOC and Cityscapes
definition; the mean is over the classes that truth or prediction holds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pix2seq_d.evaluation.confusion import class_iou, confusion_matrix, mean_iou
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap


class MeanIoU:
    """Accumulates mIoU over images.

    The state is a matrix of pixel counts: images added or merged in any order give
    the same bits.

    Args:
      num_classes: classes are 0 ... num_classes - 1.
      ignore_label: class of pixels that do not count, within or above the classes;
        it need not occur.
    Raises:
      ValueError: a number is out of range.
    """

    def __init__(self, num_classes: int, *, ignore_label: int) -> None:
        self.coding = LabelCoding(num_classes, (), ignore_label, label_divisor=1)
        self.confusion = np.zeros((self.coding.size, self.coding.size), np.int64)
        self.images = 0

    def update(
        self, gt: np.ndarray, pred: np.ndarray, *, where: str | None = None
    ) -> dict[str, Any]:
        """Adds one image and returns its own result.

        Args:
          gt: [H, W] integers, class of each pixel.
          pred: the same of the prediction.
          where: what to call the image in a message; its number by default.
        Raises:
          ValueError: shapes or types are wrong, or a class is unknown; nothing is
            added then.
        """
        where = f"image {self.images}" if where is None else where
        pair = FramePair(np.asarray(gt), np.asarray(pred), where)
        return self.add(pair.overlap(self.coding))

    def add(self, overlap: LabelOverlap) -> dict[str, Any]:
        """Adds one image whose shared pixels are counted and checked already."""
        confusion = confusion_matrix(overlap, self.coding)
        self.confusion = self.confusion + confusion
        self.images += 1
        return self._scores(confusion)

    def merge(self, other: "MeanIoU") -> None:
        """Adds the counts of another accumulator over the same classes."""
        if self.coding != other.coding:
            raise ValueError(
                "the two accumulators have different num_classes or ignore_label; "
                "build both with the same"
            )
        self.confusion = self.confusion + other.confusion
        self.images += other.images

    def result(self) -> dict[str, Any]:
        """mIoU over all images.

        Returns:
          `mIoU` and `pixel_accuracy`, fractions; `iou_per_class`, class -> IoU, None
          where neither map holds the class; the ignore label is left out.
        Raises:
          ValueError: there is no image, or no labelled pixel.
        """
        if not self.images:
            raise ValueError("no images were added; add at least one")
        if not self.confusion.any():
            raise ValueError(
                "no pixel of the truth is labelled, all are ignored; check ignore_label"
            )
        return self._scores(self.confusion)

    def to_json(self) -> dict[str, Any]:
        """The state as JSON types; `from_json` is the inverse."""
        return {
            "num_classes": self.coding.num_classes,
            "ignore_label": self.coding.ignore_label,
            "images": self.images,
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "MeanIoU":
        """The accumulator that `to_json` gave."""
        quality = cls(data["num_classes"], ignore_label=data["ignore_label"])
        quality.confusion = np.array(data["confusion"], np.int64)
        quality.images = data["images"]
        return quality

    def _scores(self, confusion: np.ndarray) -> dict[str, Any]:
        iou = class_iou(confusion)
        iou.pop(self.coding.ignore_index, None)
        total = int(confusion.sum())
        right = int(confusion.trace())
        return {
            "mIoU": mean_iou(iou),
            "pixel_accuracy": right / total if total else None,
            "iou_per_class": iou,
        }
