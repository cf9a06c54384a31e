"""The index of a COCO panoptic JSON: which images, PNGs, segments and categories."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pix2seq_d import json_fields
from pix2seq_d.frame_order import by_number
from pix2seq_d.image_files import File
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import Segment

MAX_ID = 2**24 - 1  # largest id that three 8-bit channels hold

ImageId = int | str


@dataclasses.dataclass(frozen=True, eq=False)
class PanopticIndex:
    """What a COCO panoptic JSON says, flat: 1.3 million segments take 17 MB.

    Attributes:
      path: the JSON file, for messages.
      images: image id -> file name of the image; empty where `images` was not read.
      categories: entries of `categories`; empty where it was not read.
      rows: image id -> row of its annotation, in file order.
      file_names: [N] name of each annotation's PNG.
      offsets: [N + 1] int64, segments of row k are `offsets[k]:offsets[k + 1]`.
      segment_ids: [S] int32 in [1, 2**24).
      category_ids: [S] int32.
      is_crowd: [S] bool.
      areas: [S] int32, `area` as it is stated; -1 where it is not, -2 where it is no
        whole number from 0 on. Only an evaluation looks at it.
    """

    path: str
    images: dict[ImageId, str]
    categories: tuple[Mapping[str, Any], ...]
    rows: dict[ImageId, int]
    file_names: tuple[str, ...]
    offsets: np.ndarray
    segment_ids: np.ndarray
    category_ids: np.ndarray
    is_crowd: np.ndarray
    areas: np.ndarray

    def segments(self, image_id: ImageId) -> tuple[Segment, ...]:
        """The segments of an image, in file order (PQ's crowd rule needs it)."""
        row = self.rows[image_id]
        part = slice(self.offsets[row], self.offsets[row + 1])
        return tuple(
            Segment(id=i, category_id=c, is_crowd=crowd)
            for i, c, crowd in zip(
                self.segment_ids[part].tolist(),
                self.category_ids[part].tolist(),
                self.is_crowd[part].tolist(),
                strict=True,
            )
        )

    def png_name(self, image_id: ImageId) -> str:
        """File name of an image's PNG, relative to the PNG folder."""
        return self.file_names[self.rows[image_id]]

    def frames(self) -> dict[str, ImageId]:
        """{PNG's name without suffix: image id} of a video, in the order of numbers.

        Raises:
          ValueError: two PNGs differ in folder or suffix only, or not at all.
        """
        found: dict[str, ImageId] = {}
        for image_id in self.rows:
            name = self.png_name(image_id)
            other = found.setdefault(PurePosixPath(name).stem, image_id)
            if other != image_id:
                raise ValueError(
                    f"{self.path}: {self.png_name(other)} and {name} are of one frame; "
                    "give it one annotation"
                )
        return {stem: found[stem] for stem in sorted(found, key=by_number)}

    def check_categories(self, known: Iterable[int]) -> None:
        """Raises ValueError if a segment's category id is not among `known`."""
        unknown = ~np.isin(self.category_ids, np.fromiter(known, np.int64))
        if unknown.any():
            first = int(np.argmax(unknown))
            raise ValueError(
                f"{self.place(first)} has category_id {self.category_ids[first]}, "
                "which is not in categories; add the category or correct the segment"
            )

    def place(self, row: int) -> str:
        """What to call the segment in a row of `segment_ids` in a message."""
        image = int(np.searchsorted(self.offsets, row, side="right")) - 1
        name, number = self.file_names[image], self.segment_ids[row]
        return f"{self.path}: segment {number} of {name}"

    def label_space(self) -> LabelSpace:
        """The label space of `categories`; ValueError names the file."""
        return _label_space(self.categories, self.path)


def read_label_space(path: Path | str) -> LabelSpace:
    """Reads the categories of a COCO panoptic JSON, or a JSON that is their list.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not JSON, or no list of categories.
    """
    file = File.read(path)
    content = parse_json(file)
    if isinstance(content, dict):
        content = json_fields.array(content, "categories", file.where)
    return _label_space(content, file.where)


def _label_space(categories: Any, path: str) -> LabelSpace:
    try:
        return LabelSpace.from_json(categories)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}; correct categories") from error


def read_index(
    file: File | Path | str,
    *,
    required: Collection[str] = ("images", "annotations", "categories"),
    optional: Collection[str] = (),
) -> PanopticIndex:
    """Reads and checks a COCO panoptic JSON.

    Args:
      file: the JSON file.
      required: the lists it must hold; a prediction needs only `annotations`.
      optional: lists that are read where it holds them.
    Raises:
      FileNotFoundError: no such file.
      ValueError: not JSON, a list or a field is missing or of the wrong type, an
        id is given twice, no annotation at all, an annotation without its image.
    """
    file = file if isinstance(file, File) else File.read(file)
    path = file.where
    lists = _read_lists(file, required, optional)
    images: dict[ImageId, str] = {}
    for k, entry in enumerate(lists.get("images", [])):
        where = f"{path}: images[{k}]"
        image_id = json_fields.identifier(entry, "id", where)
        if image_id in images:
            raise ValueError(f"{where}: image id {image_id!r} is given twice; renumber")
        images[image_id] = json_fields.text(entry, "file_name", where)
    categories = lists.get("categories", [])
    for k, entry in enumerate(categories):
        json_fields.integer(entry, "id", f"{path}: categories[{k}]")
    rows: dict[ImageId, int] = {}
    names: list[str] = []
    offsets, ids, category_ids, crowd, areas = [0], [], [], [], []
    for k, entry in enumerate(lists["annotations"]):
        where = f"{path}: annotations[{k}]"
        image_id = json_fields.identifier(entry, "image_id", where)
        if "segments_info" not in entry:
            raise ValueError(
                f"{where} has no field 'segments_info'; this is no COCO panoptic JSON "
                "(instance or semantic labels have to be converted first)"
            )
        if image_id in rows:
            raise ValueError(
                f"{where}: image_id {image_id!r} has two annotations; merge them"
            )
        if "images" in required and image_id not in images:
            raise ValueError(
                f"{where}: image_id {image_id!r} is not in images; add the image or "
                "remove the annotation"
            )
        rows[image_id] = len(names)
        name = json_fields.text(entry, "file_name", where)
        names.append(name)
        inside = f"{path}: {name}: annotations[{k}].segments_info"
        for segment in json_fields.array(entry, "segments_info", where):
            value = json_fields.integer(segment, "id", inside)
            if not VOID < value <= MAX_ID:
                raise ValueError(
                    f"{where}: segment id {value} is not in 1..{MAX_ID} (0 is void); "
                    f"renumber it here and in {name}"
                )
            ids.append(value)
            category_ids.append(json_fields.integer(segment, "category_id", inside))
            crowd.append(json_fields.flag(segment, "iscrowd", inside))
            areas.append(json_fields.pixel_count(segment, "area"))
        if len(set(ids[offsets[-1] :])) != len(ids) - offsets[-1]:
            raise ValueError(
                f"{where}: a segment id occurs twice; give each segment its own, here "
                f"and in {name}"
            )
        offsets.append(len(ids))
    if not rows:
        raise ValueError(f"{path}: annotations is empty; add annotated images")
    return PanopticIndex(
        path=path,
        images=images,
        categories=tuple(categories),
        rows=rows,
        file_names=tuple(names),
        offsets=np.array(offsets, np.int64),
        segment_ids=np.array(ids, np.int32),
        category_ids=np.array(category_ids, np.int32),
        is_crowd=np.array(crowd, bool),
        areas=np.array(areas, np.int32),
    )


def _read_lists(
    file: File, required: Collection[str], optional: Collection[str]
) -> dict[str, list[Any]]:
    content = parse_json(file)
    if not isinstance(content, dict):
        raise ValueError(
            f"{file.where}: holds a {type(content).__name__}, not an object with "
            f"{', '.join(required)}; give a COCO panoptic JSON"
        )
    names = [*required, *(name for name in optional if name in content)]
    return {name: json_fields.array(content, name, file.where) for name in names}


def parse_json(file: File) -> Any:
    """What a JSON file holds; ValueError names a file that is none, or too deep."""
    try:
        # Some Windows tools put a byte order mark in front.
        return json.loads(file.data.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(
            f"{file.where}: is not JSON ({error}); write or download the file again"
        ) from error
    except RecursionError as error:
        raise ValueError(
            f"{file.where}: has lists in lists, deeper than any panoptic JSON; give one"
        ) from error


def list_some(values: Sequence[Any]) -> str:
    """The first three values, and how many more, for a message."""
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return ", ".join(map(str, values[:3])) + more
