"""KITTI-STEP: street videos, every pixel with a class, people and cars tracked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pix2seq_d.data import label_spaces
from pix2seq_d.data.frames import Frame, VideoFrames, pair_frames
from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.data.roots import check_root, no_split
from pix2seq_d.files import Files, Folder
from pix2seq_d.image_files import File
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_index import list_some
from pix2seq_d.zip_files import ZipFiles

# Segment id = (class + 1) * DIVISOR + instance. Two bytes hold the instance, so this
# never collides, and 19 classes stay below 2**24, which a COCO panoptic PNG holds.
DIVISOR = 1 << 16
VOID_CLASS = 255  # in the files

_LAYOUT = "KITTI-STEP"
_IMAGE_FOLDERS = ("images/{split}", "training/image_02", "images/training/image_02")
_IMAGE_ZIP = "data_tracking_image_2.zip"  # as KITTI distributes it
_CURE = "write 8-bit RGB, R = class, 256 G + B = instance, as KITTI-STEP's PNGs are"


class KittiStep(VideoFrames):
    """KITTI-STEP's frames, sorted by sequence and frame; implements `VideoSource`.

    Segment ids stay the same through a sequence. People and cars have track
    numbers (`Segment.instance`); 0 is stuff, or a crowd of people or cars. The
    label space has the 19 classes with the ids of the files, 0 ... 18. Source:
    spec 1.2, 5.5.

    Args:
      images: folders of frames, one for each sequence.
      labels: the same of label maps; they decide which sequences there are.
      max_missing: as of `pair_frames`.
    Raises:
      FileNotFoundError: no sequences, or more images or label maps are missing.
    """

    def __init__(
        self, images: Files | Path, labels: Files | Path, *, max_missing: int = 0
    ) -> None:
        images = Folder(images) if isinstance(images, Path) else images
        labels = Folder(labels) if isinstance(labels, Path) else labels
        sequences = labels.folders()
        if not sequences:
            raise FileNotFoundError(
                f"{labels.where('')}: holds no folders of sequences, such as 0002/; "
                "put the panoptic maps there"
            )
        frames = pair_frames(images, labels, sequences, max_missing=max_missing)
        super().__init__(images, labels, frames, label_spaces.read("kitti_step"))

    @classmethod
    def from_root(
        cls, root: Path | str, split: str, *, max_missing: int = 0
    ) -> "KittiStep":
        """Finds a split in a folder.

        Label maps are in `panoptic_maps/<split>/<sequence>/`, also inside
        `kitti-step/` as its archive unpacks; images in `images/<split>/<sequence>/`
        or, all splits together, in `training/image_02/<sequence>/` or
        `data_tracking_image_2.zip`, as KITTI's tracking benchmark distributes them.
        Official `val` is 0002, 0006, 0007, 0008, 0010, 0013, 0014, 0016, 0018,
        `train` the other twelve of 0000 ... 0020.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of `pair_frames`.
        Raises:
          FileNotFoundError: root, split or files are missing.
          ValueError: root or split is empty.
        """
        root = check_root(root, split, layout=_LAYOUT)
        folders = root / "panoptic_maps", root / "kitti-step" / "panoptic_maps"
        labels = next((f for f in folders if (f / split).is_dir()), None)
        if labels is None:
            found = [name for f in folders for name in Folder(f).folders()]
            raise no_split(root, f"panoptic_maps/{split}/", found=found, layout=_LAYOUT)
        images = _find_images(root, split)
        return cls(images, labels / split, max_missing=max_missing)

    def _decoder(self, frame: Frame) -> Callable[[File], PanopticMap]:
        return decode_step


def decode_step(file: File) -> PanopticMap:
    """KITTI-STEP PNG -> panoptic map, id = (class + 1) * 65536 + instance.

    Stuff is one segment for each class; class 255 is void whatever its instance.

    Raises:
      ValueError: the PNG is damaged, not 8-bit RGB, or holds another class.
    """
    label_space = label_spaces.read("kitti_step")
    red, green, blue = (
        plane.astype(np.int32)
        for plane in np.moveaxis(read_label_png(file, modes=("RGB",), cure=_CURE), 2, 0)
    )
    num_classes = len(label_space.categories)
    bad = np.unique(red[(red >= num_classes) & (red != VOID_CLASS)])
    if bad.size:
        raise ValueError(
            f"{file.where}: holds classes {list_some(bad.tolist())} (red), not "
            f"0..{num_classes - 1} or {VOID_CLASS} (void); {_CURE}"
        )
    semantic = np.where(red == VOID_CLASS, 0, red + 1)
    instance = np.where(label_space.is_thing[semantic], 256 * green + blue, 0)
    ids = semantic * DIVISOR + instance
    segments = []
    for value in np.unique(ids[ids > 0]).tolist():
        kind, number = divmod(value, DIVISOR)
        segments.append(
            Segment(
                id=value,
                category_id=kind - 1,
                is_crowd=bool(label_space.is_thing[kind]) and number == 0,
                instance=number,
            )
        )
    return PanopticMap(ids, tuple(segments))


def _find_images(root: Path, split: str) -> Files:
    names = [name.format(split=split) for name in _IMAGE_FOLDERS]
    for name in names:
        if (root / name).is_dir():
            return Folder(root / name)
    if (root / _IMAGE_ZIP).is_file():
        return ZipFiles(root / _IMAGE_ZIP, "training/image_02")
    raise FileNotFoundError(
        f"{root}: no folder {'/, '.join(names)}/, nor {_IMAGE_ZIP}; put the images of "
        "KITTI's tracking benchmark there"
    )
