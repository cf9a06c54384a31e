"""Cityscapes' two forms of panoptic labels: its own PNGs, and COCO panoptic files."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np

from pix2seq_d.data import label_spaces
from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.files import Files, check_names
from pix2seq_d.image_files import File
from pix2seq_d.labels import VOID
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import read_index

_SUFFIX = "_gtFine_instanceIds.png"
_DIVISOR = 1000  # label id and instance of a thing, in one number
_CURE = (
    "take gtFine's *_instanceIds.png, 16-bit gray with label id * 1000 + instance, "
    "or the label id alone"
)


class CityLabels(Protocol):
    """The label maps of a split.

    Attributes:
      files: the label maps.
      named_by: what lists the images, for messages.
      names: image id, such as `aachen_000000_000019`, -> name of its label map.
    """

    files: Files
    named_by: str
    names: dict[str, str]

    def decoder(self, image_id: str) -> Callable[[File], PanopticMap]:
        """What decodes the label map of an image; it can be pickled."""
        ...


class RawLabels:
    """Label maps as downloaded, `<split>/<city>/<image id>_gtFine_instanceIds.png`.

    Args:
      files: where the folder of the split is; it may be missing.
      split: which.
    """

    def __init__(self, files: Files, split: str) -> None:
        self.files = files
        self.named_by = files.where(split)
        self.names = {
            name.removesuffix(_SUFFIX): f"{split}/{city}/{name}"
            for city in files.folders(split)
            for name in files.names(f"{split}/{city}")
            if name.endswith(_SUFFIX) and not name.startswith(".")
        }

    def decoder(self, image_id: str) -> Callable[[File], PanopticMap]:
        """See `CityLabels`."""
        return decode_instance_ids


class JsonLabels:
    """Label maps as cityscapesScripts' createPanopticImgs.py writes them.

    Its categories may have label ids or, as with --use-train-id, train ids;
    segments get label ids.

    Args:
      files: where `folder` is.
      json_file: the panoptic JSON.
      folder: name of the folder of id PNGs.
      max_missing: how many PNGs may be missing.
    Raises:
      FileNotFoundError: more PNGs are missing.
      ValueError: the JSON is no consistent COCO panoptic JSON, or not of the 19
        classes.
    """

    def __init__(
        self, files: Files, json_file: File, folder: str, *, max_missing: int = 0
    ) -> None:
        self.files = files
        self._index = read_index(json_file)
        self.named_by = f"annotations of {self._index.path}"
        space = label_spaces.read("cityscapes")
        label_id = {c.name: c.id for c in space.categories}
        found = self._index.label_space().categories
        if sorted(c.name for c in found) != sorted(label_id):
            raise ValueError(
                f"{self._index.path}: categories are not the {len(label_id)} "
                "evaluation classes of Cityscapes; write the file with "
                "createPanopticImgs.py"
            )
        self._label_id = {c.id: label_id[c.name] for c in found}
        self._index.check_categories(self._label_id)
        self.names = {
            str(i): f"{folder}/{self._index.png_name(i)}" for i in self._index.rows
        }
        names = list(self.names.values())
        check_names(files, names, named_by=self.named_by, max_missing=max_missing)

    def decoder(self, image_id: str) -> Callable[[File], PanopticMap]:
        """See `CityLabels`."""
        segments = tuple(
            dataclasses.replace(s, category_id=self._label_id[s.category_id])
            for s in self._index.segments(image_id)
        )
        return functools.partial(
            decode_map, segments=segments, described_in=self._index.path
        )


def decode_instance_ids(file: File) -> PanopticMap:
    """Cityscapes instanceIds PNG -> panoptic map with the file's own ids.

    Below 1000 an id is a label id: stuff, or things not told apart (crowd). From
    1000 on it is label id * 1000 + instance. Labels outside the 19 evaluation
    classes become void.

    Raises:
      ValueError: the PNG is damaged or not 16-bit gray.
    """
    raw = read_label_png(file, modes=("I;16", "I;16B", "I"), cure=_CURE)
    space = label_spaces.read("cityscapes")
    counts = np.bincount(raw.ravel())
    kept = np.zeros(len(counts), np.int32)
    segments = []
    for value in np.flatnonzero(counts).tolist():
        is_group = value < _DIVISOR
        label_id = value if is_group else value // _DIVISOR
        semantic = space.semantic_of.get(label_id, VOID)
        if semantic == VOID:
            continue
        kept[value] = value
        crowd = is_group and bool(space.is_thing[semantic])
        segments.append(Segment(value, label_id, is_crowd=crowd))
    return PanopticMap(kept[raw], tuple(segments))
