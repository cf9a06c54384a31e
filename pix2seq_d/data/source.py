"""What every dataset is to the pipelines: labelled images with random access."""

import dataclasses
from typing import Protocol

import numpy as np

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


@dataclasses.dataclass(frozen=True)
class Example:
    """One decoded example.

    Attributes:
      image_id: id of the image in the dataset's JSON.
      file_name: the image's file name, relative to its folder; names outputs.
      image: [H, W, 3] uint8 RGB.
      panoptic: the truth, ids int32 [H, W].
    """

    image_id: int | str
    file_name: str
    image: np.ndarray
    panoptic: PanopticMap


class Source(Protocol):
    """Random access to labelled images; `source[i]` is a pure function of i."""

    label_space: LabelSpace

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...
