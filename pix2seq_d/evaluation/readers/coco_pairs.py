"""Truth and prediction of a dataset, image by image, from COCO panoptic files.

Files are checked when the pairs are opened, pixels when an image is scored. A
`CocoPairs` can be pickled, and `score` depends on nothing else: any number of
processes gives the same scores, and their sums are the same to the last bit.
"""

import dataclasses
from pathlib import Path

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.diagnosis import Diagnosis, diagnose
from pix2seq_d.evaluation.overlap import Overlap, compare
from pix2seq_d.evaluation.readers.coco_agreement import (
    check_areas,
    check_predicted_categories,
    check_stated_areas,
    find_missing,
)
from pix2seq_d.files import Folder, check_names
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import ImageId, PanopticIndex, list_some, read_index


@dataclasses.dataclass(frozen=True, eq=False)
class ImageScore:
    """One image: its id, the file name of its truth, its errors and counts."""

    image_id: ImageId
    file_name: str
    diagnosis: Diagnosis

    @property
    def counts(self) -> Counts:
        """What PQ sums up."""
        return self.diagnosis.counts


@dataclasses.dataclass(frozen=True, eq=False)
class CocoPairs:
    """The images of a truth, in its order, each with its prediction.

    Attributes:
      categories: those of the truth.
      image_ids: [N] the images.
      missing: those without a prediction, which count as void.
      truth: what the truth's JSON says.
      found: what the prediction's JSON says.
      gt_folder: PNGs of the truth.
      pred_folder: PNGs of the prediction.
    """

    categories: Categories
    image_ids: tuple[ImageId, ...]
    missing: frozenset[ImageId]
    truth: PanopticIndex
    found: PanopticIndex
    gt_folder: Path
    pred_folder: Path

    @classmethod
    def open(
        cls,
        gt_json: Path | str,
        pred_json: Path | str,
        *,
        gt_folder: Path | str | None = None,
        pred_folder: Path | str | None = None,
        allow_missing: bool = False,
    ) -> "CocoPairs":
        """Reads both JSONs and looks for the PNGs.

        Categories, `isthing` and `iscrowd` come from the truth. Predictions for
        other images are ignored, as the official tool does.

        Args:
          gt_json: the truth, with `annotations` and `categories`.
          pred_json: the prediction, with `annotations`.
          gt_folder: PNGs of the truth; `gt_json` without `.json` by default.
          pred_folder: PNGs of the prediction, likewise.
          allow_missing: whether an image without an annotation or a PNG in the
            prediction counts as void, all its segments missed, and is no error.
        Raises:
          FileNotFoundError: a JSON, a folder or a PNG is missing.
          ValueError: a JSON is damaged or inconsistent, nothing is in the truth, an
            image or every image has no prediction, the two disagree on a category.
        """
        truth = read_index(gt_json, required=("annotations", "categories"))
        found = read_index(
            pred_json, required=("annotations",), optional=("categories",)
        )
        folders = [
            Path(index.path).with_suffix("") if folder is None else Path(folder)
            for index, folder in ((truth, gt_folder), (found, pred_folder))
        ]
        try:
            categories = Categories.of(truth.categories)
        except ValueError as error:
            raise ValueError(f"{truth.path}: {error}") from error
        truth.check_categories(categories.ids)
        for index in (truth, found):
            check_stated_areas(index)
        if not truth.segment_ids.size:
            raise ValueError(
                f"{truth.path}: no annotation has a segment, so there is nothing to "
                "score; give the annotated file"
            )
        names = [truth.png_name(i) for i in truth.rows]
        check_names(Folder(folders[0]), names, named_by=f"annotations of {truth.path}")
        missing = find_missing(truth, found, folders[1], allowed=allow_missing)
        scored = [i for i in truth.rows if i not in missing]
        check_predicted_categories(found, scored, categories, defined_in=truth.path)
        return cls(
            categories=categories,
            image_ids=tuple(truth.rows),
            missing=missing,
            truth=truth,
            found=found,
            gt_folder=folders[0],
            pred_folder=folders[1],
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    def read(self, row: int) -> tuple[PanopticMap, PanopticMap]:
        """Truth and prediction of an image.

        Raises:
          FileNotFoundError: a PNG vanished.
          ValueError: a PNG is damaged or has ids without a segment, a segment of the
            truth has another `area` than pixels, or a predicted one no pixel.
        """
        image_id = self.image_ids[row]
        truth = read_map(self.truth, self.gt_folder, image_id)
        check_areas(truth, self.truth, image_id)
        if image_id in self.missing:
            return truth, PanopticMap(np.zeros_like(truth.ids), ())
        found = read_map(self.found, self.pred_folder, image_id)
        if absent := [s.id for s in found.segments if s.id not in found.areas]:
            raise ValueError(
                f"{self.pred_folder / self.found.png_name(image_id)}: predicted "
                f"segments {list_some(absent)} of {self.found.path} have no pixel; "
                "leave them out"
            )
        return truth, found

    def overlap(self, row: int) -> Overlap:
        """What truth and prediction of an image share.

        Raises:
          FileNotFoundError: as `read`.
          ValueError: likewise, and the sizes differ.
        """
        truth, found = self.read(row)
        try:
            return compare(truth, found, self.categories)
        except ValueError as error:
            path = self.pred_folder / self.found.png_name(self.image_ids[row])
            raise ValueError(f"{path}: {error}") from error


def score(pairs: CocoPairs, row: int) -> ImageScore:
    """Compares an image's prediction with its truth.

    Args:
      pairs: all images.
      row: of the image, in [0, len(pairs)).
    Raises:
      FileNotFoundError, ValueError: as `CocoPairs.overlap`.
    """
    overlap = pairs.overlap(row)
    image_id = pairs.image_ids[row]
    return ImageScore(
        image_id,
        pairs.truth.png_name(image_id),
        diagnose(overlap, overlap.match()),
    )
