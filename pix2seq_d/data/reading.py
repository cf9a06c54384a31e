"""Training examples as arrays, and what happens when one cannot be read."""

import sys
import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pix2seq_d.data import sizes
from pix2seq_d.data.augment import LabelDraw
from pix2seq_d.data.clips import Clip
from pix2seq_d.data.source import Example, Source
from pix2seq_d.instance_ids import IdRule, Numbering, number
from pix2seq_d.labels import LabelSpace


class Arrays(NamedTuple):
    """One example, decoded.

    Attributes:
      image: [H, W, 3] uint8.
      ids: [H, W, F + 1] int32: segment ids of the F past frames, oldest first, and
        of the image.
      numbering: what they stand for.
    """

    image: np.ndarray
    ids: np.ndarray
    numbering: Numbering

    def labels(self, dtype: npt.DTypeLike = np.int32) -> np.ndarray:
        """[H, W, 2 (F + 1)] `dtype`: (semantic, instance) of every frame."""
        labels = self.numbering.labels(self.ids, dtype)
        return labels.reshape(*labels.shape[:2], -1)

    def masks(self, draw: LabelDraw, out: np.ndarray | None = None) -> np.ndarray:
        """[h, w, 2 (F + 1)]: labels at mask size as a draw has them.

        Args:
          draw: for this example.
          out: [h, w, 2 (F + 1)] of any integers, filled and returned; None makes one
            of int32.
        """
        frames = self.ids.shape[-1]
        shape = len(draw.rows), len(draw.cols), 2 * frames
        out = np.empty(shape, np.int32) if out is None else out
        # Padding is at the bottom and on the right.
        height, width = (draw.rows >= 0).sum(), (draw.cols >= 0).sum()
        out[height:], out[:height, width:] = 0, 0
        ids = self.ids.take(draw.rows[:height], axis=0, mode="clip")
        ids = ids.take(draw.cols[:width], axis=1, mode="clip")
        labels = self.numbering.renumbered(draw.new_id).labels(ids, out.dtype)
        out[:height, :width] = labels.reshape(height, width, 2 * frames)
        for frame in np.flatnonzero(~draw.keep):
            out[..., 2 * frame : 2 * frame + 2] = 0
        return out


def read(
    example: Example, label_space: LabelSpace, *, max_instances: int, rule: IdRule
) -> Arrays:
    """Decodes an example; ids are the same through the frames of a clip."""
    check_sizes(example)
    past = example.past if isinstance(example, Clip) else ()
    frames = [*past, example.panoptic]
    numbering = number(frames, label_space, max_instances=max_instances, rule=rule)
    image, ids = example.image, [frame.ids[..., None] for frame in frames]
    ids = np.concatenate(ids, -1) if past else ids[0]
    return Arrays(image, ids, numbering)


def label_type(label_space: LabelSpace, max_instances: int) -> np.dtype:
    """The smallest type that holds semantic and instance numbers."""
    return np.min_scalar_type(max(label_space.num_classes, max_instances) - 1)


def check_sizes(example: Example) -> None:
    """Raises ValueError if a label map, or a past one, does not fit the image."""
    past = example.past_frames if isinstance(example, Clip) else ()
    for frame in (*past, example):
        called = "its image" if frame is example else f"its clip's {example.file_name}"
        found = frame.panoptic.ids.shape
        wrong = sizes.compare(example.image.shape, found, called=called)
        if wrong:
            raise ValueError(
                f"{frame.file_name}: its label map {wrong.message}; {wrong.cure}"
            )


class Skipping:
    """A source that puts the next readable example in a broken one's place.

    Which one that is depends on the files alone, so batches stay the same in any
    number of workers. Every broken example is named on standard error once. Each
    process has its own budget, anew after every start.

    Args:
      source: any; its examples are decoded here.
      budget: how many different examples may be broken.
    """

    def __init__(self, source: Source, *, budget: int) -> None:
        self._source, self._budget = source, budget
        self.label_space = source.label_space
        self._broken: set[int] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        """The example, or the next readable one.

        Raises:
          ValueError, OSError: as the source, once the budget is spent.
        """
        for step in range(len(self)):
            here = (index + step) % len(self)
            try:
                example = self._source[here]
                # All of it is decoded here, where the error is caught.
                check_sizes(example)
                return example
            except (ValueError, OSError) as error:
                self._count(here, error)
        raise ValueError("no example of the training split can be read")

    def _count(self, index: int, error: Exception) -> None:
        with self._lock:
            if index in self._broken:
                return
            if len(self._broken) >= self._budget:
                raise error
            self._broken.add(index)
            print(
                f"skipped {len(self._broken)} of at most {self._budget}: {error}",
                file=sys.stderr,
                flush=True,
            )
