"""What every dataset is to the pipelines: labelled images with random access."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np

from pix2seq_d.data import sizes
from pix2seq_d.image_files import File, image_size, read_rgb
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


class Example(Protocol):
    """One labelled image.

    Attributes:
      image_id: id of the image in the dataset's files.
      file_name: the image's file name, relative to its folder; names outputs.
      image: [H, W, 3] uint8 RGB.
      panoptic: the truth, ids int32 [H, W].
    """

    @property
    def image_id(self) -> int | str: ...  # noqa: D102

    @property
    def file_name(self) -> str: ...  # noqa: D102

    @property
    def image(self) -> np.ndarray: ...  # noqa: D102

    @property
    def panoptic(self) -> PanopticMap: ...  # noqa: D102


@dataclasses.dataclass(frozen=True)
class DecodedExample:
    """An `Example` in memory."""

    image_id: int | str
    file_name: str
    image: np.ndarray
    panoptic: PanopticMap


@dataclasses.dataclass(frozen=True)
class EncodedExample:
    """An `Example` as its files hold it; each half is decoded at its first use.

    Attributes:
      image_id: as in `Example`.
      file_name: as in `Example`.
      image_file: the image.
      label_file: the label map.
      decode_labels: label_file -> panoptic map; raises ValueError naming the file.
    """

    image_id: int | str
    file_name: str
    image_file: File
    label_file: File
    decode_labels: Callable[[File], PanopticMap]

    @property
    def image(self) -> np.ndarray:
        """[H, W, 3] uint8 RGB; ValueError if the file is damaged."""
        return self._image

    @property
    def panoptic(self) -> PanopticMap:
        """The truth; ValueError if damaged, or of another size than the image."""
        return self._panoptic

    @functools.cached_property
    def _image(self) -> np.ndarray:
        return read_rgb(self.image_file)

    @functools.cached_property
    def _panoptic(self) -> PanopticMap:
        found = self.decode_labels(self.label_file)
        is_decoded = "_image" in vars(self)
        size = self._image.shape[:2] if is_decoded else image_size(self.image_file)
        wrong = sizes.compare(size, found.ids.shape, image_file=self.image_file)
        if wrong:
            raise ValueError(f"{self.label_file.where}: {wrong.message}; {wrong.cure}")
        return found


class Source(Protocol):
    """Random access to labelled images; `source[i]` is a pure function of i."""

    label_space: LabelSpace

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


@dataclasses.dataclass(frozen=True)
class Video:
    """One video of a `VideoSource`: its frames are source[start:stop], in order."""

    name: str
    start: int
    stop: int


class VideoSource(Source, Protocol):
    """A source of frames; segment ids are the same through all frames of a video."""

    videos: tuple[Video, ...]
