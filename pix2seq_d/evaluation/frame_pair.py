"""A frame of a video with its two label maps, and the check of what they hold."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap


@dataclasses.dataclass(frozen=True, eq=False)
class FramePair:
    """Truth and prediction of one frame.

    Attributes:
      truth: [H, W] integer labels.
      found: [H, W] integer labels.
      where: what to call the frame in a message.
    """

    truth: np.ndarray
    found: np.ndarray
    where: str

    def overlap(self, coding: LabelCoding) -> LabelOverlap:
        """The pixels that each pair of labels shares.

        Raises:
          ValueError: a map is not of integers, sizes differ, there is no pixel, or a
            label is of no class; it names the frame.
        """
        sides = (("truth", self.truth), ("prediction", self.found))
        for side, labels in sides:
            if not np.issubdtype(labels.dtype, np.integer):
                raise ValueError(
                    f"{self.where}: the {side} is {labels.dtype}, which may hold "
                    "fractions or NaN; give integers, class * label_divisor + instance"
                )
        if self.truth.shape != self.found.shape:
            raise ValueError(
                f"{self.where}: the prediction has {size(self.found)} pixels, the "
                f"truth {size(self.truth)} (width x height); predict at the truth's "
                "size"
            )
        if not self.truth.size:
            raise ValueError(f"{self.where}: has no pixels; leave the frame out")
        table = LabelOverlap.of(self.truth, self.found)
        for (side, _), labels in zip(sides, (table.truth, table.found), strict=True):
            try:
                coding.check(labels)
            except ValueError as error:
                raise ValueError(f"{self.where}: the {side} {error}") from error
        return table


def split_frames(
    name: str, gt: np.ndarray, pred: np.ndarray, *, first: int = 0
) -> Iterator[FramePair]:
    """The frames of a sequence.

    Args:
      name: of the sequence, for messages.
      gt: [T, H, W] or [H, W], label maps of the truth.
      pred: the same of the prediction.
      first: number of the first frame, for messages.
    Raises:
      ValueError: there is no frame, or the numbers of frames or axes differ.
    """
    gt, pred = (x[None] if x.ndim == 2 else x for x in map(np.asarray, (gt, pred)))
    for side, labels in (("truth", gt), ("prediction", pred)):
        if labels.ndim != 3:
            raise ValueError(
                f"sequence {name}: the {side} has shape {labels.shape}; give "
                "[frames, height, width] or [height, width]"
            )
    if len(gt) != len(pred):
        raise ValueError(
            f"sequence {name}: the prediction has {len(pred)} frames, the truth "
            f"{len(gt)}; predict every frame"
        )
    if not len(gt):
        raise ValueError(f"sequence {name}: has no frames; leave it out")
    for t, (truth, found) in enumerate(zip(gt, pred, strict=True), start=first):
        yield FramePair(truth, found, f"sequence {name}, frame {t}")


def size(labels: np.ndarray) -> str:
    """Width x height of a map [H, W], for messages."""
    return "x".join(map(str, labels.shape[::-1]))
