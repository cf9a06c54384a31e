"""Findings: what is wrong, in which file, and what to do about it."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from pix2seq_d.panoptic_index import ImageId

ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of finding: how bad it is, and the heading of its findings."""

    severity: str
    title: str


# An error stops a training or an evaluation; a warning costs accuracy or hides a
# mistake; a note is worth knowing. In the order of the report.
KINDS = {
    "split": Kind(ERROR, "splits that cannot be opened"),
    "json": Kind(ERROR, "JSON files that cannot be read"),
    "field": Kind(ERROR, "entries of a JSON that lack a field or have a wrong one"),
    "categories": Kind(ERROR, "categories that are not as they should be"),
    "categories_differ": Kind(ERROR, "splits with different categories"),
    "too_many_classes": Kind(ERROR, "splits with more classes than the model holds"),
    "no_annotations": Kind(ERROR, "splits without a labelled image"),
    "lone_split": Kind(ERROR, "sets without a split to train or to evaluate on"),
    "duplicate_image_id": Kind(ERROR, "image ids given twice"),
    "duplicate_annotation": Kind(ERROR, "images with several annotations"),
    "annotation_without_image": Kind(ERROR, "annotations without an image"),
    "duplicate_segment_id": Kind(ERROR, "segment ids given twice in an image"),
    "unknown_category": Kind(ERROR, "segments of unknown categories"),
    "missing_image": Kind(ERROR, "images that are missing"),
    "missing_png": Kind(ERROR, "label PNGs that are missing"),
    "unreadable_image": Kind(ERROR, "images that cannot be read"),
    "unreadable_labels": Kind(ERROR, "label files that cannot be read"),
    "unreadable_example": Kind(ERROR, "examples that cannot be read"),
    "png_format": Kind(ERROR, "label PNGs that do not hold ids as 8-bit RGB"),
    "size_mismatch": Kind(ERROR, "label maps of another size than their image"),
    "exif_mismatch": Kind(ERROR, "label maps that fit the EXIF-turned image only"),
    "undescribed_ids": Kind(ERROR, "ids in label maps that no segment describes"),
    "image_without_annotation": Kind(WARNING, "images without an annotation"),
    "category_names": Kind(WARNING, "categories of one name"),
    "shared_file": Kind(WARNING, "files that several entries name"),
    "json_size": Kind(WARNING, "height and width in the JSON that are not the file's"),
    "area": Kind(WARNING, "segments whose area is not their number of pixels"),
    "bbox": Kind(WARNING, "segments whose bbox does not fit their pixels"),
    "empty_segment": Kind(WARNING, "segments without a pixel"),
    "all_void": Kind(WARNING, "images without a labelled pixel"),
    "stuff_in_parts": Kind(WARNING, "stuff classes with several segments in an image"),
    "too_many_instances": Kind(WARNING, "images with more segments than the model has"),
    "thin_image": Kind(WARNING, "images one pixel high or wide"),
    "class_not_in_train": Kind(WARNING, "classes that no training image shows"),
    "class_only_in_val": Kind(WARNING, "classes that only the validation shows"),
    "leak": Kind(WARNING, "images that are in two splits"),
    "near_leak": Kind(WARNING, "images of two splits that look the same"),
    "duplicate_image": Kind(NOTE, "images that a split holds twice"),
    "unnamed_file": Kind(NOTE, "files that no entry names"),
    "pixel_format": Kind(NOTE, "images that are not 8-bit RGB"),
    "exif": Kind(NOTE, "images with an EXIF orientation, which is ignored"),
    "huge_image": Kind(NOTE, "images of more than 50 megapixels"),
    "needs_8_bits": Kind(NOTE, "splits that are too much for custom:tiny"),
    "much_crowd": Kind(NOTE, "splits with much crowd"),
    "much_void": Kind(NOTE, "splits with much void"),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing to mend or to know.

    Attributes:
      kind: one of `KINDS`.
      where: the file, and the place in it.
      message: what is wrong.
      cure: what to do.
      image_id: of the image, where it is about one.
      split: where it is about one.
    """

    kind: str
    where: str
    message: str
    cure: str
    image_id: ImageId | None = None
    split: str = ""

    @property
    def severity(self) -> str:
        """`error`, `warning` or `note`."""
        return KINDS[self.kind].severity

    @property
    def line(self) -> str:
        """WHERE: (image id) what is wrong; the cure."""
        image = "" if self.image_id is None else f"image {self.image_id}: "
        return f"{self.where}: {image}{self.message}; {self.cure}"

    def to_json(self) -> dict[str, Any]:
        """The entry of findings.json."""
        return {"severity": self.severity, **dataclasses.asdict(self)}


class Notes:
    """Collects the findings about a file, and about places in it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.findings: list[Finding] = []

    def add(
        self,
        kind: str,
        message: str,
        cure: str,
        *,
        place: str = "",
        image_id: ImageId | None = None,
    ) -> None:
        """Adds one; the arguments are as in `Finding`, `place` is in the file."""
        where = f"{self._path}: {place}" if place else self._path
        self.findings.append(Finding(kind, where, message, cure, image_id))


def from_error(
    error: Exception, kind: str, where: str, image_id: ImageId | None = None
) -> Finding:
    """A finding from a one-line error `WHERE: what is wrong; the cure`.

    Args:
      error: its text may lack the file or the cure.
      kind: of the finding.
      where: the file that it is about, or the folder of the file that it names.
      image_id: of the image.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    file, colon, rest = text.partition(": ")
    if colon and file.startswith(where):
        where, text = file, rest
    message, semicolon, cure = text.rpartition("; ")
    if not semicolon:
        message, cure = text, "correct it"
    return Finding(kind, where, message, cure, image_id)


def by_kind(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings of each kind that occurs, in the order of `KINDS`."""
    groups: dict[str, list[Finding]] = {kind: [] for kind in KINDS}
    for finding in findings:
        groups[finding.kind].append(finding)
    return {kind: group for kind, group in groups.items() if group}
