"""mIoU as a task: an image is an item."""

import dataclasses
from collections.abc import Iterable

from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs
from pix2seq_d.evaluation.readers.semantic_files import SemanticFiles
from pix2seq_d.evaluation.semantic import MeanIoU
from pix2seq_d.evaluation.semantic_pairs import class_overlap
from pix2seq_d.evaluation.tasks.outcome import (
    Outcome,
    iou_table,
    missing_note,
    worst_first,
)
from pix2seq_d.evaluation.text_table import markdown, percent

_MEANS = ("mIoU", "pixel_accuracy")


@dataclasses.dataclass(frozen=True)
class SemanticTask:
    """mIoU of images, in COCO panoptic files or as maps of classes.

    Attributes:
      images: where they are.
      names: of the classes.
      ignore_label: class of pixels that do not count.
    """

    images: CocoPairs | SemanticFiles
    names: tuple[str, ...]
    ignore_label: int

    unit = "image"
    per_process = 300
    chunk = 16

    def __len__(self) -> int:
        return len(self.images)

    def score(self, row: int) -> LabelOverlap:
        """See `pool.Task`."""
        if isinstance(self.images, CocoPairs):
            return class_overlap(self.images, row)
        return self.images.read(self.images.names[row]).overlap(self._new().coding)

    def outcome(self, scores: Iterable[LabelOverlap]) -> Outcome:
        """Result: as `MeanIoU.result`, `num_images` and `missing_predictions`."""
        total = self._new()
        rows = []
        for row, score in enumerate(scores):
            own = total.add(score)
            rows.append({"image": self._name(row)} | {k: own[k] for k in _MEANS})
        result = total.result()
        head = ("", "mIoU", "pixel accuracy")
        means = markdown(head, [("**all**", *(percent(result[k]) for k in _MEANS))])
        tables = (means, iou_table(result["iou_per_class"], self.names))
        missing = len(self.images.missing)
        result |= {"num_images": total.images, "missing_predictions": missing}
        note = missing_note(missing, "image", "ignore")
        return Outcome(result, tables, worst_first(rows, "mIoU"), note)

    def _new(self) -> MeanIoU:
        return MeanIoU(len(self.names), ignore_label=self.ignore_label)

    def _name(self, row: int) -> str:
        if isinstance(self.images, CocoPairs):
            return self.images.truth.png_name(self.images.image_ids[row])
        return self.images.names[row]
