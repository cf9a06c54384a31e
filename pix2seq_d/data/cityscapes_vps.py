"""Cityscapes-VPS: street videos, every fifth frame with panoptic labels."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from pix2seq_d.data.frames import Frame, VideoFrames
from pix2seq_d.data.roots import check_root, no_split
from pix2seq_d.files import Folder, check_names
from pix2seq_d.flat_videos import JSON_NAME, PNGS, group_frames
from pix2seq_d.image_files import File
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import read_index

_LAYOUT = "Cityscapes-VPS"
_IMAGES = "img"


@dataclasses.dataclass(frozen=True)
class _LabelledFrame(Frame):
    """A frame whose files lie together with those of other videos."""

    image_id: str

    @property
    def name(self) -> str:
        return f"{self.video}/{self.image_id}"


class CityscapesVps(VideoFrames):
    """The labelled frames, sorted by video and frame; implements `VideoSource`.

    They are 6 of a video's 30, five frames apart; VPQ counts these, and the next one
    is the next frame here. The JSON's `categories` are the label space, in their
    order; a segment keeps its id through a video. Ids are colours, so
    `Segment.instance` is None. Source: mcahny/vps; the reference has no loader.

    Args:
      images: the images that `images` of the JSON names.
      json_file: the panoptic JSON.
      pngs: the id PNGs that `annotations` names, R + 256 G + 65536 B.
      max_missing: how many images, and how many PNGs, may be missing; their
        frames fail at access.
    Raises:
      FileNotFoundError: more images or PNGs are missing.
      ValueError: the JSON is no such file, or not consistent.
    """

    def __init__(
        self,
        images: Path,
        json_file: File | Path,
        pngs: Path,
        *,
        max_missing: int = 0,
    ) -> None:
        self._index = index = read_index(json_file)
        label_space = index.label_space()
        index.check_categories(label_space.semantic_of)
        frames = tuple(
            _LabelledFrame(video, index.images[i], index.png_name(i), i)
            for video, image_ids in group_frames(index).items()
            for i in image_ids
        )
        for folder, kind, names in (
            (images, "images", [frame.image for frame in frames]),
            (pngs, "annotations", [frame.label for frame in frames]),
        ):
            check_names(
                Folder(folder),
                names,
                named_by=f"{kind} of {index.path}",
                max_missing=max_missing,
            )
        super().__init__(Folder(images), Folder(pngs), frames, label_space)

    @classmethod
    def from_root(
        cls, root: Path | str, split: str, *, max_missing: int = 0
    ) -> "CityscapesVps":
        """Finds a split in a folder, as the scripts of mcahny/vps leave it.

        `panoptic_gt_<split>_city_vps.json`, `<split>/img/` and
        `<split>/panoptic_video/` are in the root. Of the official splits `train` and
        `val` have labels.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of the constructor.
        Raises:
          FileNotFoundError: root, split or files are missing.
          ValueError: root or split is empty, or as the constructor.
        """
        root = check_root(root, split, layout=_LAYOUT)
        name = f"panoptic_gt_{split}_city_vps.json"
        if not (root / name).is_file():
            if (root / f"panoptic_im_{split}_city_vps.json").is_file():
                raise FileNotFoundError(
                    f"{root}: no {name}; write it with mcahny/vps's "
                    "create_panoptic_labels.py and create_panoptic_video_labels.py"
                )
            raise no_split(root, name, found=find_splits(root), layout=_LAYOUT)
        return cls(
            root / split / _IMAGES,
            root / name,
            root / split / PNGS,
            max_missing=max_missing,
        )

    def _decoder(self, frame: Frame) -> Callable[[File], PanopticMap]:
        image_id = frame.name.removeprefix(f"{frame.video}/")
        segments = self._index.segments(image_id)
        return functools.partial(
            decode_map, segments=segments, described_in=self._index.path
        )


def find_splits(root: Path) -> set[str]:
    """Names of the splits with labels in a folder."""
    found = map(JSON_NAME.fullmatch, Folder(root).names())
    return {match["split"] for match in found if match}
