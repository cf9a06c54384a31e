"""VIPSeg: videos with COCO panoptic labels, one JSON entry for each video."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pix2seq_d.data.frames import IMAGES, Frame, VideoFrames, by_stem
from pix2seq_d.data.roots import check_root, no_split
from pix2seq_d.files import Folder, check_names
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import ImageId, PanopticIndex, parse_json, read_index

_LAYOUT = "VIPSeg"
_JSON = "panoptic_gt_VIPSeg_"
_PNGS = "panomasksRGB"
_CURE = "write it with VIPSeg's create_panoptic_video_labels.py and splitjson.py"


class VipSeg(VideoFrames):
    """Panoptic videos, sorted by video and frame; implements `VideoSource`.

    The JSON's `categories` are the label space, in their order; an entry of its
    `annotations` is a video, with `video_id`, and `annotations` as in COCO panoptic,
    one for each frame. A segment keeps its id through a video. Ids are colours, so
    `Segment.instance` is None. `videos` is not read. Source: VIPSeg's converters;
    the reference has no loader.

    Args:
      images: `<video>/<frame>.jpg`; frames without annotation are left out.
      json_file: the panoptic JSON.
      pngs: the id PNGs, `<video>/<frame>.png`, R + 256 G + 65536 B.
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
        file = json_file if isinstance(json_file, File) else File.read(json_file)
        self._videos, label_space = _read_videos(file)
        self._image_ids: dict[Frame, ImageId] = {}
        for video, index in sorted(self._videos.items()):
            index.check_categories(label_space.semantic_of)
            image_of = by_stem(Folder(images), video, IMAGES)
            for stem, image_id in index.frames().items():
                png = index.png_name(image_id)
                image = image_of.get(stem, f"{video}/{stem}.jpg")
                self._image_ids[Frame(video, image, f"{video}/{png}")] = image_id
        frames = tuple(self._image_ids)
        for folder, names in (
            (images, [frame.image for frame in frames]),
            (pngs, [frame.label for frame in frames]),
        ):
            check_names(
                Folder(folder),
                names,
                named_by=f"annotations of {file.where}",
                max_missing=max_missing,
            )
        super().__init__(Folder(images), Folder(pngs), frames, label_space)

    @classmethod
    def from_root(
        cls, root: Path | str, split: str, *, max_missing: int = 0
    ) -> "VipSeg":
        """Finds a split in a folder, as VIPSeg's own scripts convert it to 720p.

        `panoptic_gt_VIPSeg_<split>.json`, `panomasksRGB/<video>/` and
        `images/<video>/` (or `imgs/<video>/`) are in the root or its
        `VIPSeg_720P/`.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of the constructor.
        Raises:
          FileNotFoundError: root, split or files are missing.
          ValueError: root or split is empty, or as the constructor.
        """
        root = check_root(root, split, layout=_LAYOUT)
        places = root, root / "VIPSeg_720P"
        name = f"{_JSON}{split}.json"
        place = next((p for p in places if (p / name).is_file()), None)
        if place is None:
            if any((p / "panomasks").is_dir() for p in places):
                raise FileNotFoundError(f"{root}: no {name}; {_CURE}")
            paths = [path for p in places for path in p.glob(f"{_JSON}*.json")]
            found = [path.stem.removeprefix(_JSON) for path in paths]
            raise no_split(root, name, found=found, layout=_LAYOUT)
        images = place / "images"
        if not images.is_dir() and (place / "imgs").is_dir():
            images = place / "imgs"
        return cls(images, place / name, place / _PNGS, max_missing=max_missing)

    def _decoder(self, frame: Frame) -> Callable[[File], PanopticMap]:
        index = self._videos[frame.video]
        segments = index.segments(self._image_ids[frame])
        return functools.partial(decode_map, segments=segments, described_in=index.path)


def _read_videos(file: File) -> tuple[dict[str, PanopticIndex], LabelSpace]:
    content = parse_json(file)
    videos: dict[str, PanopticIndex] = {}
    for k, entry in enumerate(_list(content, "annotations", file.where)):
        where = f"{file.where}: annotations[{k}]"
        frames = _list(entry, "annotations", where)
        name = str(entry.get("video_id", ""))
        if not name or name in videos:
            raise ValueError(
                f"{where}: video_id is {name!r}, which is empty or given before; name "
                "each video once, as its folder"
            )
        # Each video is a COCO panoptic JSON; messages name the video.
        text = json.dumps({"annotations": frames}).encode()
        part = File(f"{file.where}: video {name}", text)
        videos[name] = read_index(part, required=("annotations",))
    if not videos:
        raise ValueError(f"{file.where}: annotations is empty; {_CURE}")
    categories = _list(content, "categories", file.where)
    try:
        return videos, LabelSpace.from_json(categories)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.where}: {error}; correct categories") from error


def _list(entry: Any, name: str, where: str) -> list[Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get(name), list):
        raise ValueError(f"{where} has no list {name!r}; {_CURE}")
    return entry[name]
