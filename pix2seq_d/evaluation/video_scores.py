"""The scores of videos: what is kept of one under way, their sums, and the results.

All but J&F take of a frame only a small table of labels. J&F matches objects over a
whole video, so the maps themselves are kept for it, packed, until that is complete.
"""

import dataclasses
import itertools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np

from pix2seq_d.evaluation.davis import JAndF
from pix2seq_d.evaluation.davis_sequence import score_frames
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.id_switches import IdSwitches
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.readers.davis_frames import VOID, Frame
from pix2seq_d.evaluation.stq import SegmentationTrackingQuality, VoidClass
from pix2seq_d.evaluation.vpq import VideoPanopticQuality

_NOTHING = np.zeros((0, 0), np.int64)


@dataclasses.dataclass(frozen=True)
class VideoReport:
    """Results over all videos.

    Attributes:
      stq: for either `VoidClass`, as `SegmentationTrackingQuality.result` gives it.
      vpq: as `VideoPanopticQuality.result`.
      id_switches: as `IdSwitches.result`.
      oracle_stq: as `stq`, of the truth sent through mask size.
      oracle_vpq: as `vpq`.
      j_and_f: as `JAndF.result`; None where there are classes, or no object.
      without_objects: videos whose first frame has no object, left out of J&F.
      void_class: which `stq` is the main one.
      classes: names of the classes 0, 1, ... of STQ and VPQ.
      mean_steps: of the sampler, for a frame.
      num_videos: number of videos.
      num_frames: number of frames.
      max_frames: only the first so many frames of each video were taken; None: all.
      repaired: whether ids that came back were renumbered.
    """

    stq: dict[VoidClass, dict[str, Any]]
    vpq: dict[str, Any]
    id_switches: dict[str, Any]
    oracle_stq: dict[VoidClass, dict[str, Any]]
    oracle_vpq: dict[str, Any]
    j_and_f: dict[str, Any] | None
    without_objects: tuple[str, ...]
    void_class: VoidClass
    classes: tuple[str, ...]
    mean_steps: float
    num_videos: int
    num_frames: int
    max_frames: int | None
    repaired: bool


class KeptVideo:
    """A video under way: what is kept until all of its frames are there.

    Attributes:
      found: the frames so far with their predictions, tables only.
      oracle: the same frames with the truth sent through mask size.
    """

    def __init__(self) -> None:
        self.found: list[FramePair] = []
        self.oracle: list[FramePair] = []
        self._objects: list[tuple[tuple[int, ...], bytes]] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, found: LabelOverlap, oracle: LabelOverlap, where: str) -> None:
        """Adds the next frame.

        Args:
          found: pixels that truth and prediction share.
          oracle: pixels that the truth and what is left of it at mask size share.
          where: what to call the frame in a message.
        """
        self.found.append(_Counted.of(found, where))
        self.oracle.append(_Counted.of(oracle, where))

    def keep_objects(self, truth: np.ndarray, found: np.ndarray) -> None:
        """Keeps the next frame for J&F, which takes a whole video; a hundredth in size.

        Ranges are checked by `objects`.

        Args:
          truth: [H, W] integers in [0, 255], objects 1 ... 254, 255 void.
          found: [H, W] integers in [0, 20], as drawn.
        """
        maps = np.stack([truth, found]).astype(np.int32)
        self._objects.append((maps.shape, zlib.compress(maps.tobytes(), level=1)))

    def objects(self, name: str) -> Iterator[Frame]:
        """The frames that `keep_objects` took, one unpacked at a time.

        Args:
          name: of the video, for messages.
        Raises:
          ValueError: a map holds an id that is out of range.
        """
        for t, (shape, packed) in enumerate(self._objects):
            maps = np.frombuffer(zlib.decompress(packed), np.int32).reshape(shape)
            names = (f"{name}, frame {t} of the {s}" for s in ("truth", "prediction"))
            yield Frame(*maps, *names)


class VideoScores:
    """The scores summed up over videos.

    Args:
      coding: of the labels.
      void_class: of the main STQ; `results` has both.
    Raises:
      ValueError: void_class is neither.
    """

    def __init__(self, coding: LabelCoding, void_class: VoidClass) -> None:
        self._of_labels = {
            "stq": SegmentationTrackingQuality(coding, void_class=void_class),
            "vpq": VideoPanopticQuality(coding),
            "id_switches": IdSwitches(coding),
            "oracle_stq": SegmentationTrackingQuality(coding, void_class=void_class),
            "oracle_vpq": VideoPanopticQuality(coding),
        }
        self._j_and_f = JAndF()
        self._without_objects: list[str] = []

    def add(self, name: str, video: KeptVideo) -> None:
        """Adds a whole video.

        Args:
          name: of the video.
          video: all of its frames; J&F takes those of `KeptVideo.keep_objects`.
        Raises:
          ValueError: there is no frame, or J&F cannot score its objects.
        """
        for key, score in self._of_labels.items():
            is_oracle = key.startswith("oracle")
            score.update_frames(name, video.oracle if is_oracle else video.found)
        for first in itertools.islice(video.objects(name), 1):
            if first.truth.any(where=first.truth != VOID):
                self._j_and_f.add(score_frames(name, video.objects(name)))
            else:
                self._without_objects.append(name)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, for `merge_json`."""
        return {key: score.to_json() for key, score in self._of_labels.items()} | {
            "j_and_f": self._j_and_f.to_json(),
            "without_objects": self._without_objects,
        }

    def merge_json(self, data: Mapping[str, Any]) -> None:
        """Adds what `to_json` gave, in any process; they share no video.

        Raises:
          ValueError: they do, or the coding or void_class is another.
        """
        for key, score in self._of_labels.items():
            score.merge(type(score).from_json(data[key]))
        self._j_and_f.merge(JAndF.from_json(data["j_and_f"]))
        self._without_objects += data["without_objects"]

    def results(self) -> dict[str, Any]:
        """The results by their names in `VideoReport`.

        Raises:
          ValueError: there is no video, or no pixel of the truth is labelled.
        """
        made: dict[str, Any] = {}
        for key, score in self._of_labels.items():
            if isinstance(score, SegmentationTrackingQuality):
                data = score.to_json()
                made[key] = {
                    kind: score.from_json(data | {"void_class": kind}).result()
                    for kind in get_args(VoidClass)
                }
            else:
                made[key] = score.result()
        scored = self._j_and_f.to_json()["sequences"]
        return made | {
            "j_and_f": self._j_and_f.result() if scored else None,
            "without_objects": tuple(sorted(self._without_objects)),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class _Counted(FramePair):
    """A frame of which only the pixels that labels share are kept."""

    table: LabelOverlap

    def overlap(self, coding: LabelCoding) -> LabelOverlap:
        return self.table

    @classmethod
    def of(cls, table: LabelOverlap, where: str) -> "_Counted":
        return cls(_NOTHING, _NOTHING, where, table)
