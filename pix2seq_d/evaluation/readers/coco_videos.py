"""Reading videos as COCO panoptic JSON and PNGs, in the layout of VIPSeg."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pix2seq_d import json_fields
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers.sequences import Sequences, check_present, void_like
from pix2seq_d.files import Folder, check_names
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import Segment, runs
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import (
    ImageId,
    PanopticIndex,
    list_some,
    parse_json,
    read_index,
)

DIVISOR = 1 << 24  # above the ids that a PNG holds


class CocoVideos(Sequences):
    """Videos whose segments keep their id, a 24-bit colour, from frame to frame.

    `annotations` of a JSON has for each video `video_id` and `annotations`, entries
    as in COCO panoptic; PNGs are `<video>/<frame>.png`. Class k is entry k of the
    truth's `categories`; label = k * 2**24 + segment id, and 0 for the id where a
    truth thing is `iscrowd`: all crowd of a category in a frame is one segment.
    Frames are paired by name, in the order of names; predictions without truth are
    ignored, and so are truth segments without a pixel. Where a predicted id changes
    its category it begins another segment (mcahny/vps takes the window's first).

    Args:
      gt_json: the truth, such as `panoptic_gt_VIPSeg_val.json`.
      pred_json: the prediction, such as `pred.json`; only `annotations` is read.
      gt_pngs: PNGs of the truth; by default the folder named as the JSON, or
        `panomasksRGB` beside it.
      pred_pngs: those of the prediction; by default the folder named as the JSON, or
        `pan_pred` beside it.
      allow_missing: score missing predictions, but not all, as void.
    Attributes:
      label_space: the categories; semantic id k + 1 is class k.
    Raises:
      FileNotFoundError: a JSON, a folder, the truth, or a prediction is missing.
      ValueError: a JSON is no such file, or not consistent.
    """

    def __init__(
        self,
        gt_json: Path | str,
        pred_json: Path | str,
        *,
        gt_pngs: Path | str | None = None,
        pred_pngs: Path | str | None = None,
        allow_missing: bool = False,
    ) -> None:
        truth_file, found_file = File.read(gt_json), File.read(pred_json)
        self.label_space = _label_space(truth_file)
        num_classes = len(self.label_space.categories)
        things = np.flatnonzero(self.label_space.is_thing[1:]).tolist()
        self.coding = LabelCoding(num_classes, tuple(things), num_classes, DIVISOR)
        self._truth, self._found = _videos(truth_file), _videos(found_file)
        for index in (*self._truth.values(), *self._found.values()):
            index.check_categories(self.label_space.semantic_of)
        self.names = tuple(sorted(self._truth))
        self._truth_pngs = _png_folder(Path(gt_json), gt_pngs, "panomasksRGB")
        self._found_pngs = _png_folder(Path(pred_json), pred_pngs, "pan_pred")
        self._truth_ids = {v: _by_stem(index) for v, index in self._truth.items()}
        self._found_ids = {v: _by_stem(index) for v, index in self._found.items()}
        wanted = [_png(v, stem) for v in self.names for stem in self._truth_ids[v]]
        check_names(self._truth_pngs, wanted, named_by=f"annotations of {gt_json}")
        described = {
            _png(v, stem) for v, ids in self._found_ids.items() for stem in ids
        }
        painted = {
            f"{v}/{name}" for v in self.names for name in self._found_pngs.names(v)
        }
        for place, present in (
            (str(pred_json), described),
            (self._found_pngs.where(""), painted),
        ):
            check_present(
                wanted,
                present,
                place=place,
                truth=str(gt_json),
                allow_missing=allow_missing,
            )
        self._present = described & painted
        self.num_missing = len(set(wanted) - self._present)

    def frames(self, name: str) -> Iterator[FramePair]:
        """See `Sequences`."""
        for stem in self._truth_ids[name]:
            png = _png(name, stem)
            index, image_id = self._truth[name], self._truth_ids[name][stem]
            truth = self._labels(
                self._truth_pngs.read(png), index, image_id, truth=True
            )
            if png in self._present:
                index, image_id = self._found[name], self._found_ids[name][stem]
                file = self._found_pngs.read(png)
                found = self._labels(file, index, image_id, truth=False)
            else:
                found = void_like(truth, self.coding)
            where = (
                f"{self._found_pngs.where(png)} (truth {self._truth_pngs.where(png)})"
            )
            yield FramePair(truth, found, where)

    def _labels(
        self, file: File, index: PanopticIndex, image_id: ImageId, *, truth: bool
    ) -> np.ndarray:
        """int64 [H, W] labels of a frame."""
        segments = index.segments(image_id)
        made = decode_map(file, segments=segments, described_in=index.path)
        absent = [s.id for s in segments if s.id not in made.areas]
        if absent and not truth:
            raise ValueError(
                f"{file.where}: predicted segments {list_some(absent)} of {index.path} "
                "have no pixel; leave them out"
            )
        ids = np.array([0, *(s.id for s in segments)], np.int64)
        labels = [self._label(s, file, index, truth=truth) for s in segments]
        labels = np.array([self.coding.void_label, *labels], np.int64)
        order = np.argsort(ids)
        values, lengths = runs(made.ids)
        rows = order[np.searchsorted(ids, values, sorter=order)]
        return np.repeat(labels[rows], lengths).reshape(made.ids.shape)

    def _label(
        self, segment: Segment, file: File, index: PanopticIndex, *, truth: bool
    ) -> int:
        semantic = self.label_space.semantic_of[segment.category_id]
        is_crowd = truth and segment.is_crowd
        if is_crowd and not self.label_space.is_thing[semantic]:
            raise ValueError(
                f"{file.where}: segment {segment.id} of {index.path} is stuff and "
                "iscrowd; only things can be a crowd, paint it 0 (void) or set iscrowd "
                "to 0"
            )
        return (semantic - 1) * DIVISOR + (0 if is_crowd else segment.id)


def _label_space(file: File) -> LabelSpace:
    entries = _list(parse_json(file), "categories", file.where)
    for k, entry in enumerate(entries):
        json_fields.integer(entry, "id", f"{file.where}: categories[{k}]")
    try:
        return LabelSpace.from_json(entries)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.where}: {error}") from error


def _videos(file: File) -> dict[str, PanopticIndex]:
    """Video -> index of its frames."""
    videos: dict[str, PanopticIndex] = {}
    for k, entry in enumerate(_list(parse_json(file), "annotations", file.where)):
        where = f"{file.where}: annotations[{k}]"
        frames = _list(entry, "annotations", where)
        name = str(entry.get("video_id", ""))
        if not name or name in videos:
            raise ValueError(
                f"{where}: video_id is {name!r}, which is empty or given before; name "
                "each video once, as its folder"
            )
        # Frames have one name in both JSONs, and predictions often no image_id.
        frames = [
            {"image_id": frame.get("file_name")} | frame
            if isinstance(frame, dict)
            else frame
            for frame in frames
        ]
        text = json.dumps({"annotations": frames}).encode()
        part = File(f"{file.where}: video {name}", text)
        videos[name] = read_index(part, required=("annotations",))
    if not videos:
        raise ValueError(f"{file.where}: annotations is empty; add videos")
    return videos


def _by_stem(index: PanopticIndex) -> dict[str, ImageId]:
    """Name of a frame without suffix, sorted -> its id; the JSON may name the JPEG."""
    ids = {PurePosixPath(index.png_name(i)).stem: i for i in index.rows}
    return dict(sorted(ids.items()))


def _png(video: str, stem: str) -> str:
    return f"{video}/{stem}.png"


def _png_folder(path: Path, given: Path | str | None, usual: str) -> Folder:
    places = [Path(given)] if given else [path.with_suffix(""), path.parent / usual]
    for place in places:
        if place.is_dir():
            return Folder(place)
    raise FileNotFoundError(
        f"{' or '.join(map(str, places))}: no such folder of PNGs of {path}; name it"
    )


def _list(entry: Any, name: str, where: str) -> list[Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get(name), list):
        raise ValueError(
            f"{where} has no list {name!r}; give a panoptic JSON of videos as VIPSeg's"
        )
    return entry[name]
