"""Reading videos as COCO panoptic JSON and PNGs, as of VIPSeg and Cityscapes-VPS."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from pix2seq_d import flat_videos, json_fields
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers.described_videos import (
    DescribedVideo,
    read_prediction,
    read_truth,
    videos_list,
)
from pix2seq_d.evaluation.readers.sequences import Sequences, check_present, void_like
from pix2seq_d.files import Folder, check_names
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import Segment, runs
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import PanopticIndex, list_some, parse_json

DIVISOR = 1 << 24  # above the ids that a PNG holds


class CocoVideos(Sequences):
    """Videos whose segments keep their id, a 24-bit colour, from frame to frame.

    `annotations` of a JSON has for each video `video_id` and `annotations`, entries
    as in COCO panoptic; PNGs are `<video>/<frame>.png`. Or the truth's `annotations`
    are the entries, as Cityscapes-VPS has them (`described_videos`); then those of
    the prediction have either form. Class k is entry k of the truth's `categories`;
    label = k * 2**24 + segment id, and 0 for the id where a truth thing is `iscrowd`:
    all crowd of a category in a frame is one segment. Frames are paired by name, in
    the order of names; predictions without truth are ignored, and so are truth
    segments without a pixel. Where a predicted id changes its category it begins
    another segment (mcahny/vps takes the window's first).

    Args:
      gt_json: the truth, such as `panoptic_gt_VIPSeg_val.json` or
        `panoptic_gt_val_city_vps.json`.
      pred_json: the prediction, such as `pred.json`; only `annotations` is read.
      gt_pngs: PNGs of the truth; by default the folder named as the JSON, or beside
        it `panomasksRGB` or, of Cityscapes-VPS, `<split>/panoptic_video`.
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
        self._truth = read_truth(truth_file)
        self._found = read_prediction(found_file, self._truth)
        for side in (self._truth, self._found):
            for video in side.videos.values():
                video.index.check_categories(self.label_space.semantic_of)
        self.names = tuple(self._truth.videos)
        self._truth_pngs = _truth_pngs(
            Path(gt_json), gt_pngs, is_flat=self._truth.is_flat
        )
        self._found_pngs = _png_folder(Path(pred_json), pred_pngs, "pan_pred")
        check_names(
            self._truth_pngs,
            list(self._truth.pngs()),
            named_by=f"annotations of {gt_json}",
        )
        wanted = [
            self._found.png(name, frame)
            for name, video in self._truth.videos.items()
            for frame in video.image_ids
        ]
        described = set(self._found.pngs())
        painted = {
            str(PurePosixPath(folder, name))
            for folder in {self._found.folder(name) for name in self.names}
            for name in self._found_pngs.names(folder)
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
        for frame in self._truth.videos[name].image_ids:
            truth_png = self._truth.png(name, frame)
            found_png = self._found.png(name, frame)
            video = self._truth.videos[name]
            file = self._truth_pngs.read(truth_png)
            truth = self._labels(file, video, frame, truth=True)
            if found_png in self._present:
                video = self._found.videos[name]
                file = self._found_pngs.read(found_png)
                found = self._labels(file, video, frame, truth=False)
            else:
                found = void_like(truth, self.coding)
            where = (
                f"{self._found_pngs.where(found_png)} "
                f"(truth {self._truth_pngs.where(truth_png)})"
            )
            yield FramePair(truth, found, where)

    def _labels(
        self, file: File, video: DescribedVideo, frame: str, *, truth: bool
    ) -> np.ndarray:
        """int64 [H, W] labels of a frame."""
        index = video.index
        segments = index.segments(video.image_ids[frame])
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
    entries = videos_list(parse_json(file), "categories", file.where)
    for k, entry in enumerate(entries):
        json_fields.integer(entry, "id", f"{file.where}: categories[{k}]")
    try:
        return LabelSpace.from_json(entries)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.where}: {error}") from error


def _truth_pngs(path: Path, given: Path | str | None, *, is_flat: bool) -> Folder:
    if not is_flat:
        return _png_folder(path, given, "panomasksRGB")
    match = flat_videos.JSON_NAME.fullmatch(path.name)
    split = f"{match['split']}/" if match else ""
    return _png_folder(path, given, f"{split}{flat_videos.PNGS}")


def _png_folder(path: Path, given: Path | str | None, usual: str) -> Folder:
    places = [Path(given)] if given else [path.with_suffix(""), path.parent / usual]
    for place in places:
        if place.is_dir():
            return Folder(place)
    raise FileNotFoundError(
        f"{' or '.join(map(str, places))}: no such folder of PNGs of {path}; name it"
    )
