"""Panoptic quality as the COCO panoptic API computes it, in NumPy int64.

A truth segment g that is not crowd and a predicted segment p of the same category
match where IoU = |p & g| / (|p| + |g| - |p & g| - |p & void|) > 0.5. Per category,
summed over images,

    PQ = sum of IoU / (TP + FP / 2 + FN / 2) = SQ x RQ.

Source: Kirillov et al., "Panoptic Segmentation"; spec 7.1; the panopticapi code's
choices where the paper is silent. |g| is the pixel count; panopticapi takes `area`
of the JSON, which is the same number in a valid file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts, summary
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs, score
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


class PanopticQuality:
    """Accumulates PQ over images: exactly, in any order and in any shards.

    Args:
      categories: categories, a label space, or entries with `id` and `isthing` as
        in a COCO panoptic JSON.
    Raises:
      ValueError: an entry lacks a field or has a bad one, or an id is given twice.
    """

    def __init__(
        self, categories: Categories | LabelSpace | Sequence[Mapping[str, Any]]
    ) -> None:
        self.categories = Categories.of(categories)
        self.counts = Counts.zeros(len(self.categories))

    def update(self, truth: PanopticMap, prediction: PanopticMap) -> Counts:
        """Adds one image and returns its own counts.

        A truth segment without a pixel is a false negative, as in panopticapi;
        crowd flags of the prediction are ignored.

        Raises:
          ValueError: sizes differ, an id has no segment, a segment id or a
            category is wrong, or a predicted segment has no pixel.
        """
        overlap = compare(truth, prediction, self.categories)
        counts = overlap.count(overlap.match())
        self.add(counts)
        return counts

    def add(self, counts: Counts) -> None:
        """Adds counts of the same categories, as of an image scored elsewhere."""
        self.counts = self.counts + counts

    def merge(self, other: "PanopticQuality") -> None:
        """Adds the counts of another accumulator over the same categories."""
        if self.categories != other.categories:
            raise ValueError(
                "the two accumulators have different categories; build both from one "
                "label space"
            )
        self.add(other.counts)

    def result(self) -> dict[str, dict[Any, Any]]:
        """PQ, SQ, RQ as fractions.

        Returns:
          `All`, `Things`, `Stuff`: plain means `pq`, `sq`, `rq` over the `n`
          categories with any count; 0.0 where n is 0 (panopticapi fails there).
          `per_class`: category id -> `pq`, `sq`, `rq`, `iou_sum`, `tp`, `fp`, `fn`,
          and `n`, 1 where the category enters the means, else 0.
        """
        return summary(
            self.counts, is_thing=self.categories.is_thing, ids=self.categories.ids
        )

    def to_json(self) -> dict[str, Any]:
        """Categories and counts as JSON types; `from_json` is the inverse."""
        return {
            "categories": self.categories.to_json(),
            "counts": self.counts.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PanopticQuality":
        """The accumulator that `to_json` gave."""
        made = cls(data["categories"])
        made.add(Counts.from_json(data["counts"]))
        return made


def evaluate(
    gt_json: Path | str,
    pred_json: Path | str,
    *,
    gt_folder: Path | str | None = None,
    pred_folder: Path | str | None = None,
    allow_missing: bool = False,
) -> dict[str, dict[Any, Any]]:
    """PQ of two COCO panoptic JSONs; their PNGs are in `<path without .json>/`.

    Every image of the truth needs a prediction; others are ignored.

    Args:
      gt_json: as the other arguments, see `CocoPairs.open`.
      pred_json: the prediction.
      gt_folder: PNGs of the truth, if they lie elsewhere.
      pred_folder: PNGs of the prediction, likewise.
      allow_missing: whether images without prediction count as void.
    Returns:
      As `PanopticQuality.result`.
    Raises:
      FileNotFoundError: a JSON, a folder or a PNG is missing.
      ValueError: a file is damaged or inconsistent, an image has no prediction, a
        size differs, or as `PanopticQuality.update`.
    """
    pairs = CocoPairs.open(
        gt_json,
        pred_json,
        gt_folder=gt_folder,
        pred_folder=pred_folder,
        allow_missing=allow_missing,
    )
    quality = PanopticQuality(pairs.categories)
    for row in range(len(pairs)):
        quality.add(score(pairs, row).counts)
    return quality.result()
