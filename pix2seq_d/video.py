"""What a video is to those who read it: frames in order, each with its time."""

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame of a video.

    Attributes:
      index: 0, 1, ... from the start of the video, whatever was skipped.
      name: of the image file without its suffix, or the index as `00012`.
      time_s: seconds since the first frame; rises from frame to frame.
      image: [H, W, 3] uint8 RGB, upright.
    """

    index: int
    name: str
    time_s: float
    image: np.ndarray


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What is known of a video before it is read.

    Attributes:
      size: (H, W) of the first frame, upright; later ones may differ.
      coded_size: (H, W) as the file states it, before it is turned upright.
      rate: mean frames a second; None where the file does not say.
      num_frames: how many there should be, an estimate; None where nothing says.
    """

    size: tuple[int, int]
    coded_size: tuple[int, int]
    rate: float | None
    num_frames: int | None


class Video:
    """The frames of a video, in order; iterate once, then close it.

    Attributes:
      facts: what is known beforehand.
      num_read: frames read by now, skipped ones included.
      note: once all is read, one line that says what is missing and why; "" where
        nothing seems to be.
    """

    facts: VideoFacts
    num_read: int = 0
    note: str = ""

    def __iter__(self) -> Iterator[VideoFrame]:
        raise NotImplementedError

    def close(self) -> None:
        """Closes the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
