"""Panoptic quality as the COCO panoptic API computes it, in NumPy int64.

A truth segment g that is not crowd and a predicted segment p of the same category
match where IoU = |p & g| / (|p| + |g| - |p & g| - |p & void|) > 0.5. Per category,
summed over images,

    PQ = sum of IoU / (TP + FP / 2 + FN / 2) = SQ x RQ.

Source: Kirillov et al., "Panoptic Segmentation"; spec 7.1; the panopticapi code's
choices where the paper is silent. |g| is the pixel count; panopticapi takes `area`
of the JSON, which is the same number in a valid file.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pix2seq_d.files import Folder, check_names
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import list_some, read_index


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """What PQ sums up, per category; of one image or of many.

    Attributes:
      iou_sum: [C] float64, sum of the IoU of the matches.
      tp: [C] int64, matches.
      fp: [C] int64, predicted segments without match.
      fn: [C] int64, truth segments without match.
    """

    iou_sum: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray

    @classmethod
    def zeros(cls, num_categories: int) -> "Counts":
        """Counts of nothing."""
        zero = np.zeros(num_categories, np.int64)
        return cls(np.zeros(num_categories), zero, zero, zero)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.iou_sum + other.iou_sum,
            self.tp + other.tp,
            self.fp + other.fp,
            self.fn + other.fn,
        )

    @property
    def counted(self) -> np.ndarray:
        """[C] bool: categories that enter the means."""
        return self.tp + self.fp + self.fn > 0

    @property
    def pq(self) -> np.ndarray:
        """[C] float64 in [0, 1]; 0 where not counted."""
        return self.iou_sum / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)

    @property
    def sq(self) -> np.ndarray:
        """[C] float64 in [0, 1]; 0 without a match."""
        return self.iou_sum / np.maximum(self.tp, 1)

    @property
    def rq(self) -> np.ndarray:
        """[C] float64 in [0, 1]; 0 where not counted."""
        return self.tp / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)

    def mean_pq(self) -> float:
        """PQ over the counted categories, to rank images; 1.0 where none is.

        An image with nothing to find and nothing found is no failure.
        """
        return float(self.pq[self.counted].mean()) if self.counted.any() else 1.0


class PanopticQuality:
    """Accumulates PQ over images.

    Args:
      categories: a label space, or entries with `id` and `isthing` as in a COCO
        panoptic JSON.
    Raises:
      ValueError: an entry lacks a field, or an id is given twice.
    """

    def __init__(self, categories: LabelSpace | Sequence[Mapping[str, Any]]) -> None:
        if isinstance(categories, LabelSpace):
            categories = categories.to_json()
        self._column: dict[int, int] = {}
        things = []
        for k, entry in enumerate(categories):
            for field in ("id", "isthing"):
                if field not in entry:
                    raise ValueError(f"categories[{k}] has no field {field!r}; add it")
            if entry["id"] in self._column:
                raise ValueError(f"category id {entry['id']} is given twice; renumber")
            self._column[int(entry["id"])] = k
            things.append(bool(entry["isthing"]))
        self._is_thing = np.array(things, bool)
        self.counts = Counts.zeros(len(things))

    def update(self, truth: PanopticMap, prediction: PanopticMap) -> Counts:
        """Adds one image and returns its own counts.

        A truth segment without a pixel is a false negative, as in panopticapi;
        crowd flags of the prediction are ignored.

        Raises:
          ValueError: sizes differ, an id has no segment, a segment id or a
            category is wrong, or a predicted segment has no pixel.
        """
        counts = self._count(truth, prediction)
        self.counts = self.counts + counts
        return counts

    def merge(self, other: "PanopticQuality") -> None:
        """Adds the counts of another accumulator over the same categories."""
        if list(self._column) != list(other._column):
            raise ValueError(
                "the two accumulators have different categories; build both from one "
                "label space"
            )
        self.counts = self.counts + other.counts

    def result(self) -> dict[str, dict[Any, Any]]:
        """PQ, SQ, RQ as fractions.

        Returns:
          `All`, `Things`, `Stuff`: plain means `pq`, `sq`, `rq` over the `n`
          categories with any count; 0.0 where n is 0 (panopticapi fails there).
          `per_class`: category id -> `pq`, `sq`, `rq`, `iou_sum`, `tp`, `fp`, `fn`,
          and `n`, 1 where the category enters the means, else 0.
        """
        counts = self.counts
        values = {"pq": counts.pq, "sq": counts.sq, "rq": counts.rq}
        result: dict[str, dict[Any, Any]] = {}
        for group, member in (
            ("All", np.ones_like(self._is_thing)),
            ("Things", self._is_thing),
            ("Stuff", ~self._is_thing),
        ):
            rows = member & counts.counted
            n = int(rows.sum())
            result[group] = {
                name: float(value[rows].mean()) if n else 0.0
                for name, value in values.items()
            } | {"n": n}
        result["per_class"] = {
            category: {name: float(value[k]) for name, value in values.items()}
            | {
                "iou_sum": float(counts.iou_sum[k]),
                "tp": int(counts.tp[k]),
                "fp": int(counts.fp[k]),
                "fn": int(counts.fn[k]),
                "n": int(counts.counted[k]),
            }
            for category, k in self._column.items()
        }
        return result

    def _count(self, truth: PanopticMap, prediction: PanopticMap) -> Counts:
        overlap = _overlap(truth, prediction)
        truth_class = self._columns(truth.segments, "truth")
        found_class = self._columns(prediction.segments, "prediction")
        crowd = np.array([s.is_crowd for s in truth.segments], bool)
        truth_area, found_area = overlap[1:].sum(axis=1), overlap.sum(axis=0)[1:]
        if not found_area.all():
            empty = [prediction.segments[k].id for k in np.flatnonzero(found_area == 0)]
            raise ValueError(
                f"predicted segments {list_some(empty)} have no pixel; leave them out"
            )
        on_void, overlap = overlap[0, 1:], overlap[1:, 1:]
        union = truth_area[:, None] + found_area - overlap - on_void
        match = (
            (truth_class[:, None] == found_class)
            & ~crowd[:, None]
            & (2 * overlap > union)  # IoU > 0.5; never two matches for one segment
        )
        # panopticapi keeps one crowd segment per category and image, the last one.
        last_crowd = {int(truth_class[g]): g for g in np.flatnonzero(crowd)}
        excused = on_void + np.array(
            [
                overlap[last_crowd[c], p] if c in last_crowd else 0
                for p, c in enumerate(found_class.tolist())
            ],
            np.int64,
        )
        hits = np.nonzero(match)
        iou = overlap[hits] / union[hits]
        missed = ~match.any(axis=1) & ~crowd
        wrong = ~match.any(axis=0) & ~(2 * excused > found_area)
        num = len(self._column)
        return Counts(
            iou_sum=np.bincount(truth_class[hits[0]], weights=iou, minlength=num),
            tp=np.bincount(truth_class[hits[0]], minlength=num),
            fp=np.bincount(found_class[wrong], minlength=num),
            fn=np.bincount(truth_class[missed], minlength=num),
        )

    def _columns(self, segments: Sequence[Segment], which: str) -> np.ndarray:
        """Category column of each segment, int64."""
        for s in segments:
            if s.category_id not in self._column:
                raise ValueError(
                    f"segment {s.id} of the {which} has category_id {s.category_id}, "
                    "which is not in categories; add the category or correct the "
                    "segment"
                )
        return np.array([self._column[s.category_id] for s in segments], np.int64)


def _overlap(truth: PanopticMap, prediction: PanopticMap) -> np.ndarray:
    """Pixels shared by each pair of segments; row and column 0 are void.

    Returns:
      [G + 1, P + 1] int64, in the order of `segments`.
    """
    if truth.ids.shape != prediction.ids.shape:
        raise ValueError(
            "the prediction has {1}x{0} pixels, the truth {3}x{2} (width x height); "
            "predict at the truth's size".format(
                *prediction.ids.shape, *truth.ids.shape
            )
        )
    joint, counts = np.unique(
        (truth.ids.astype(np.int64) << 32) + prediction.ids, return_counts=True
    )
    overlap = np.zeros(
        (len(truth.segments) + 1, len(prediction.segments) + 1), np.int64
    )
    rows = _rows(joint >> 32, truth.segments, "truth")
    columns = _rows(joint & (2**32 - 1), prediction.segments, "prediction")
    overlap[rows, columns] = counts
    return overlap


def _rows(ids: np.ndarray, segments: Sequence[Segment], which: str) -> np.ndarray:
    """Row of each id: 0 for void, k + 1 for `segments[k]`."""
    row_of = {0: 0} | {s.id: k for k, s in enumerate(segments, start=1)}
    if len(row_of) != len(segments) + 1:
        raise ValueError(
            f"a segment id of the {which} is 0 (void) or occurs twice; renumber"
        )
    unknown = sorted(set(ids.tolist()) - row_of.keys())
    if unknown:
        raise ValueError(
            f"ids {list_some(unknown)} of the {which} have no segment; describe each id"
        )
    return np.array([row_of[i] for i in ids.tolist()], np.int64)


def evaluate(gt_json: Path | str, pred_json: Path | str) -> dict[str, dict[Any, Any]]:
    """PQ of two COCO panoptic JSONs; their PNGs are in `<path without .json>/`.

    Categories, `isthing` and `iscrowd` come from the truth. Predictions for other
    images are ignored; every image of the truth needs one.

    Args:
      gt_json: the truth, with `annotations` and `categories`.
      pred_json: the prediction; only `annotations` is read.
    Returns:
      As `PanopticQuality.result`.
    Raises:
      FileNotFoundError: a JSON, a folder or a PNG is missing.
      ValueError: a file is damaged or inconsistent, an image has no prediction, a
        size differs, or as `PanopticQuality.update`.
    """
    truth = read_index(gt_json, required=("annotations", "categories"))
    found = read_index(pred_json, required=("annotations",))
    missing = [i for i in truth.rows if i not in found.rows]
    if missing:
        raise ValueError(
            f"{found.path}: no annotation for image_id {list_some(missing)} of "
            f"{truth.path}; predict every image (one without segments has an empty "
            "segments_info)"
        )
    try:
        quality = PanopticQuality(truth.categories)
    except ValueError as error:
        raise ValueError(f"{truth.path}: {error}") from error
    truth.check_categories(c["id"] for c in truth.categories)
    folders = [Path(index.path).with_suffix("") for index in (truth, found)]
    for index, folder in zip((truth, found), folders, strict=True):
        names = [index.png_name(i) for i in truth.rows]
        check_names(Folder(folder), names, named_by=f"annotations of {index.path}")
    for image_id in truth.rows:
        maps = [
            read_map(index, folder, image_id)
            for index, folder in zip((truth, found), folders, strict=True)
        ]
        try:
            quality.update(*maps)
        except ValueError as error:
            path = folders[1] / found.png_name(image_id)
            raise ValueError(f"{path}: {error}") from error
    return quality.result()
