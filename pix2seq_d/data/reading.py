"""Training examples as arrays, and what happens when one cannot be read."""

import sys
import threading
from typing import NamedTuple

import numpy as np

from pix2seq_d.data.clips import Clip
from pix2seq_d.data.source import Example, Source
from pix2seq_d.instance_ids import IdRule, to_channels
from pix2seq_d.labels import LabelSpace


class Arrays(NamedTuple):
    """One example, decoded.

    Attributes:
      image: [H, W, 3] uint8.
      labels: [H, W, 2 (F + 1)] int32: (semantic, instance) of the F past frames,
        oldest first, and of the image.
      id_range: instance ids are drawn from 1 ... this; 0: not drawn.
    """

    image: np.ndarray
    labels: np.ndarray
    id_range: int


def read(
    example: Example, label_space: LabelSpace, *, max_instances: int, rule: IdRule
) -> Arrays:
    """Decodes an example; ids are the same through the frames of a clip."""
    past = example.past if isinstance(example, Clip) else ()
    frames = [*past, example.panoptic]
    channels = to_channels(frames, label_space, max_instances=max_instances, rule=rule)
    image, labels = example.image, channels.labels
    if image.shape[:2] != labels.shape[1:3]:
        raise ValueError(
            f"{example.file_name}: the image is {image.shape[:2]}, its labels "
            f"{labels.shape[1:3]}; scale one of them (labels: nearest neighbour)"
        )
    height, width = image.shape[:2]
    labels = np.moveaxis(labels, 0, 2).reshape(height, width, -1)
    return Arrays(image, labels, channels.id_range)


class Skipping:
    """A source that puts the next readable example in a broken one's place.

    Which one that is depends on the files alone, so batches stay the same in any
    number of workers. Every broken example is named on standard error once.

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
                # Both halves are decoded here, where the error is caught.
                _ = example.image, example.panoptic
                _ = example.past if isinstance(example, Clip) else ()
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
