"""DAVIS 2017: videos of objects that are told apart and tracked, without classes."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pix2seq_d.data import label_spaces
from pix2seq_d.data.frames import LABELS, Frame, VideoFrames, by_stem, pair_frames
from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.data.roots import check_root, no_split
from pix2seq_d.files import Folder
from pix2seq_d.image_files import File
from pix2seq_d.labels import VOID
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_index import list_some

# Void to the official evaluation; in the training video `tennis` it is an object.
SPECIAL = 255

_LAYOUT = "DAVIS 2017"
_RESOLUTIONS = ("480p", "Full-Resolution", "")
_ANNOTATIONS = ("Annotations_unsupervised", "Annotations")
_ALL = "all"
_CURE = "write object ids as palette indices or 8-bit gray, as DAVIS's PNGs are"


class Davis(VideoFrames):
    """DAVIS 2017's frames, sorted by video and frame; implements `VideoSource`.

    Every object is a segment of the one category `object`; its id, in the map and
    as `Segment.instance`, is the file's, the same through the video. 0 is
    background. Source: spec 1.2, 5.5.

    Args:
      images: folder of folders of frames, one for each video.
      labels: the same of label maps.
      videos: names of those wanted; None means all in `labels`.
      max_missing: as of `pair_frames`.
      has_void: whether 255 is void, as in the official evaluation, or an object.
    Raises:
      FileNotFoundError: no videos, or more images or label maps are missing.
    """

    def __init__(
        self,
        images: Path,
        labels: Path,
        videos: Iterable[str] | None = None,
        *,
        max_missing: int = 0,
        has_void: bool = False,
    ) -> None:
        names = Folder(labels).folders() if videos is None else sorted(set(videos))
        if not names:
            raise FileNotFoundError(
                f"{labels}: holds no folders of videos; put the annotations there"
            )
        frames = pair_frames(
            Folder(images), Folder(labels), names, max_missing=max_missing
        )
        label_space = label_spaces.read("davis")
        super().__init__(Folder(images), Folder(labels), frames, label_space)
        self._label_root, self._has_void = labels, has_void

    @classmethod
    def from_root(
        cls,
        root: Path | str,
        split: str,
        *,
        max_missing: int = 0,
        has_void: bool = False,
    ) -> "Davis":
        """Finds a split in a folder.

        Images are in `JPEGImages/480p/<video>/`, label maps in
        `Annotations_unsupervised/480p/<video>/` and the names of the split's videos
        in `ImageSets/2017/<split>.txt`. `Annotations/`, which the semi-supervised
        task has, is read where that is missing; `Full-Resolution/`, or no such
        level, in place of `480p/`. The split `all` needs no file of names.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of `pair_frames`.
          has_void: as of `Davis`.
        Raises:
          FileNotFoundError: root, split or files are missing.
          ValueError: root or split is empty, or a split's file names no video.
        """
        root = check_root(root, split, layout=_LAYOUT)
        images, labels = _find_folders(root)
        names = _read_split(root, split)
        return cls(images, labels, names, max_missing=max_missing, has_void=has_void)

    def _decoder(self, frame: Frame) -> Callable[[File], PanopticMap]:
        if self._has_void:
            return decode_objects
        folder = self._label_root / frame.video
        return functools.partial(
            decode_objects, find_spare=functools.partial(folder_spare_id, folder)
        )


def decode_objects(
    file: File, *, find_spare: Callable[[], int] | None = None
) -> PanopticMap:
    """DAVIS PNG -> panoptic map; ids are the object ids.

    255 is void, and here a crowd, for id 0 is the background, where a proposal is
    wrong. To a training it is the object that `tennis` labels so, with the id after
    the largest of the video. The reference takes the largest of the frame, so that
    the object changes its id where others leave the picture.

    Args:
      file: the PNG.
      find_spare: gives that id; None leaves 255 void.
    Raises:
      ValueError: the PNG is damaged, or neither palette nor 8-bit gray.
    """
    ids = _read_ids(file)
    if find_spare is None:
        void = {SPECIAL}
    else:
        void = set[int]()
        if (ids == SPECIAL).any():
            ids = np.where(ids == SPECIAL, find_spare(), ids)
    category = label_spaces.read("davis").categories[0].id
    return PanopticMap(
        ids,
        tuple(
            Segment(value, category, value in void, 0 if value in void else value)
            for value in np.flatnonzero(np.bincount(ids.ravel())).tolist()
            if value != VOID
        ),
    )


def spare_id(files: Iterable[File]) -> int:
    """The id after the largest object id in a video's label maps, 255 aside."""
    largest = VOID
    for file in files:
        ids = _read_ids(file)
        largest = max(largest, int(ids[ids != SPECIAL].max(initial=VOID)))
    return largest + 1


@functools.cache
def folder_spare_id(folder: Path) -> int:
    """`spare_id` of a folder; reads it once."""
    files = Folder(folder.parent)
    names = by_stem(files, folder.name, LABELS).values()
    return spare_id(map(files.read, names))


def _read_ids(file: File) -> np.ndarray:
    return read_label_png(file, modes=("P", "L"), cure=_CURE).astype(np.int32)


def _find_folders(root: Path) -> tuple[Path, Path]:
    for resolution in _RESOLUTIONS:
        for name in _ANNOTATIONS:
            images, labels = root / "JPEGImages" / resolution, root / name / resolution
            if images.is_dir() and labels.is_dir():
                return images, labels
    raise FileNotFoundError(
        f"{root}: no folders JPEGImages/480p/ and Annotations_unsupervised/480p/; put "
        "the images and annotations of DAVIS 2017 there"
    )


def sequences_of(path: Path | str) -> list[str]:
    """The names in a list of sequences such as `ImageSets/2017/val.txt`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it names none, or holds more than one name on a line.
    """
    text = File.read(path).data.decode("utf-8-sig", errors="replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path}: names no sequence; write one name on each line")
    if bad := [name for name in names if "/" in name or " " in name]:
        raise ValueError(
            f"{path}: {list_some(bad)} are not names of sequences; take the file of "
            "DAVIS 2017, which has one name on each line"
        )
    return names


def _read_split(root: Path, split: str) -> list[str] | None:
    folder = root / "ImageSets" / "2017"
    path = folder / f"{split}.txt"
    if path.is_file():
        return sequences_of(path)
    if split == _ALL:
        return None
    raise no_split(
        root,
        f"ImageSets/2017/{split}.txt",
        found=[_ALL, *(p.stem for p in folder.glob("*.txt"))],
        layout=_LAYOUT,
    )
