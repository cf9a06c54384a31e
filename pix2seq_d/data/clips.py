"""Clips of a video source: a target frame with the label maps of frames before it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pix2seq_d.data.source import Example, VideoSource
from pix2seq_d.panoptic import PanopticMap


@dataclasses.dataclass(frozen=True)
class Clip:
    """An `Example` with a past.

    Attributes:
      target: the last frame.
      past_frames: those before it that condition it, oldest first.
    """

    target: Example
    past_frames: tuple[Example, ...]

    @property
    def image_id(self) -> int | str:
        """Of the target."""
        return self.target.image_id

    @property
    def file_name(self) -> str:
        """Of the target."""
        return self.target.file_name

    @property
    def image(self) -> np.ndarray:
        """[H, W, 3] uint8, the target's."""
        return self.target.image

    @property
    def panoptic(self) -> PanopticMap:
        """The target's."""
        return self.target.panoptic

    @property
    def past(self) -> tuple[PanopticMap, ...]:
        """Of the past frames, oldest first."""
        return tuple(frame.panoptic for frame in self.past_frames)


class Clips:
    """Every window of a video source whose past frames all exist; a `Source`.

    Args:
      source: frames in videos.
      offsets: of the past frames, oldest first; the reference has (-2, -1).
    Raises:
      ValueError: an offset is not before the target, or no video is long enough.
    Source: spec 5.3 (video), 6.2.
    """

    def __init__(self, source: VideoSource, offsets: Sequence[int] = (-2, -1)) -> None:
        if not offsets or max(offsets) >= 0 or list(offsets) != sorted(set(offsets)):
            raise ValueError(
                f"offsets {tuple(offsets)}: give rising negative numbers such as "
                "(-2, -1)"
            )
        self._source, self._offsets = source, tuple(offsets)
        self.label_space = source.label_space
        self._targets = np.concatenate(
            [np.arange(v.start - offsets[0], v.stop) for v in source.videos]
        )
        if not len(self._targets):
            raise ValueError(
                f"no video has {1 - offsets[0]} frames, which a clip needs; take "
                "longer videos"
            )

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> Clip:
        target = int(self._targets[index])
        return Clip(
            self._source[target],
            tuple(self._source[target + offset] for offset in self._offsets),
        )
