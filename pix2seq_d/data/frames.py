"""Videos as folders of frames: images and label maps, paired by their names."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import PurePosixPath

from pix2seq_d.data.source import EncodedExample, Video
from pix2seq_d.files import Files
from pix2seq_d.frame_order import by_number, stems
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_index import list_some

IMAGES = (".jpg", ".jpeg", ".png")
LABELS = (".png",)


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a video, with its files relative to their folders.

    Attributes:
      video: name of the video, which is its folder's.
      image: name of the image.
      label: name of the label map.
    """

    video: str
    image: str
    label: str

    @property
    def name(self) -> str:
        """Video and frame, `VIDEO/FRAME`: the image's name without its suffix."""
        return str(PurePosixPath(self.image).with_suffix(""))


class VideoFrames:
    """Labelled frames of videos; what `VideoSource`s of files have in common.

    Args:
      images: the images.
      labels: the label maps.
      frames: in order, those of one video together.
      label_space: the categories.
    """

    def __init__(
        self,
        images: Files,
        labels: Files,
        frames: Sequence[Frame],
        label_space: LabelSpace,
    ) -> None:
        self.label_space = label_space
        self.videos = video_ranges([frame.video for frame in frames])
        self._images, self._labels, self._frames = images, labels, tuple(frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> EncodedExample:
        """Reads frame `index`; errors at access and at decoding name the file.

        Raises:
          IndexError: past the end.
        """
        frame = self._frames[index]
        return EncodedExample(
            frame.name,
            frame.image,
            image_file=self._images.read(frame.image),
            label_file=self._labels.read(frame.label),
            decode_labels=self._decoder(frame),
        )

    def _decoder(self, frame: Frame) -> Callable[[File], PanopticMap]:
        """What decodes the label map of a frame; it can be pickled."""
        raise NotImplementedError


def video_ranges(names: Sequence[str]) -> tuple[Video, ...]:
    """The videos of frames, given each frame's video name; one video is together."""
    videos, start = [], 0
    for name, group in itertools.groupby(names):
        stop = start + len(list(group))
        videos.append(Video(name, start, stop))
        start = stop
    return tuple(videos)


def pair_frames(
    images: Files, labels: Files, videos: Sequence[str], *, max_missing: int = 0
) -> tuple[Frame, ...]:
    """The frames of some videos, in the order of the numbers in their names.

    An image `VIDEO/FRAME.jpg` (or .png) belongs to the label map
    `VIDEO/FRAME.png`. Folders are listed once, no file is touched.

    Args:
      images: folders of images.
      labels: folders of label maps.
      videos: which folders, in the order wanted.
      max_missing: how many images, and how many label maps, may be missing; their
        frames name the missing file all the same.
    Raises:
      FileNotFoundError: a video without frames, or more images or label maps are
        missing.
      ValueError: two files of a frame differ in their suffix only.
    """
    frames: list[Frame] = []
    no_image, no_label = [], []
    for video in videos:
        image_of = by_stem(images, video, IMAGES)
        label_of = by_stem(labels, video, LABELS)
        if not image_of and not label_of:
            raise FileNotFoundError(
                f"{images.where(video)}: holds no images, nor {labels.where(video)} "
                f"any label maps; put the frames of {video} there or leave it out"
            )
        suffix = _usual_suffix(image_of.values())
        for stem in sorted(image_of.keys() | label_of.keys(), key=by_number):
            name = f"{video}/{stem}"
            if stem not in image_of:
                no_image.append(name)
            elif stem not in label_of:
                no_label.append(name)
            image = image_of.get(stem, name + suffix)
            frames.append(Frame(video, image, label_of.get(stem, f"{name}.png")))
    for files, missing, kind, other in (
        (images, no_image, "images", labels),
        (labels, no_label, "label maps", images),
    ):
        if len(missing) > max_missing:
            raise FileNotFoundError(
                f"{files.where('')}: lacks the {kind} of {list_some(missing)} "
                f"({len(missing)} of {len(frames)} frames), which {other.where('')} "
                "has; add them or remove those"
            )
    return tuple(frames)


def _usual_suffix(names: Collection[str]) -> str:
    counts = Counter(PurePosixPath(name).suffix for name in names)
    return counts.most_common(1)[0][0] if counts else IMAGES[0]


def by_stem(files: Files, folder: str, suffixes: Collection[str]) -> dict[str, str]:
    """Name without folder and suffix -> name, of a folder's files of some suffixes.

    Raises:
      ValueError: two of them differ in their suffix only.
    """
    names = (
        name
        for name in files.names(folder)
        if PurePosixPath(name).suffix.lower() in suffixes and not name.startswith(".")
    )
    found = stems(names, files.where(folder))
    return {stem: f"{folder}/{name}" for stem, name in found.items()}
