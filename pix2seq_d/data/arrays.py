"""A labelled data set in one npz file.

Its arrays, for N images of one size H x W:

  images       uint8 [N, H, W, 3], RGB
  ids          integer [N, H, W], the segment id of each pixel, 0 = void
  annotations  JSON text, a list of N entries as in a COCO panoptic JSON:
               {"image_id": ..., "file_name": ..., "segments_info":
               [{"id": ..., "category_id": ..., "iscrowd": 0 or 1}, ...]};
               all but `segments_info`, its `id` and `category_id` may be missing
  categories   JSON text, the `categories` list of a COCO panoptic JSON:
               [{"id": ..., "name": ..., "isthing": 0 or 1}, ...]

The whole file is read into memory.
"""

import json
import os
import pathlib
import sys
import zipfile
import zlib
from typing import Any

import numpy as np

from pix2seq_d.data.source import DecodedExample, Example, Source
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

_KEYS = ("images", "ids", "annotations", "categories")


class Arrays:
    """Source over the npz file described at the top of this module.

    Args:
      path: the file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no npz, or an array is missing or of a wrong type, shape
        or content.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(path)
        arrays = _read(self._path)
        self._images, self._ids = arrays["images"], arrays["ids"]
        if self._images.dtype != np.uint8 or self._images.shape[3:] != (3,):
            raise self._wrong("images", "uint8 [N, H, W, 3]", self._images)
        if self._ids.dtype.kind not in "iu":
            raise self._wrong("ids", "integers [N, H, W]", self._ids)
        if self._ids.shape != self._images.shape[:3]:
            raise self._wrong("ids", str(self._images.shape[:3]), self._ids)
        self._annotations = self._parse("annotations", arrays["annotations"])
        if len(self._annotations) != len(self._images):
            raise ValueError(
                f"{self._path}: annotations has {len(self._annotations)} entries for "
                f"{len(self._images)} images: give one per image"
            )
        try:
            self.label_space = LabelSpace.from_json(
                self._parse("categories", arrays["categories"])
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path}: {error}") from None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Example:
        """Example `index`; ValueError if its annotation lacks a field."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self._path}: no example {index} of {len(self)}")
        entry = self._annotations[index]
        try:
            segments = tuple(
                Segment(
                    id=int(segment["id"]),
                    category_id=int(segment["category_id"]),
                    is_crowd=bool(segment.get("iscrowd", 0)),
                )
                for segment in entry["segments_info"]
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"{self._path}: annotations[{index}] is not a COCO panoptic entry "
                f"({type(error).__name__}: {error})"
            ) from None
        ids = self._ids[index].astype(np.int32)
        made = PanopticMap(ids, segments)
        unknown = sorted(made.areas.keys() - {0, *(s.id for s in segments)})
        categories = {s.category_id for s in segments}
        if unknown or not categories <= self.label_space.semantic_of.keys():
            raise ValueError(
                f"{self._path}: annotations[{index}] does not describe ids "
                f"{unknown} of the map, or names a category that is not in "
                "categories; each id needs an entry with a known category_id"
            )
        return DecodedExample(
            image_id=entry.get("image_id", index),
            file_name=entry.get("file_name", f"{index:06d}.png"),
            image=self._images[index],
            panoptic=made,
        )

    def _wrong(self, key: str, want: str, have: np.ndarray) -> ValueError:
        return ValueError(
            f"{self._path}: {key} must be {want}, is {have.dtype} {have.shape}"
        )

    def _parse(self, key: str, text: np.ndarray) -> list[Any]:
        try:
            value = json.loads(str(text[()]))
        except ValueError as error:
            raise ValueError(f"{self._path}: {key} is not JSON: {error}") from None
        if not isinstance(value, list):
            raise ValueError(f"{self._path}: {key} must be a JSON list")
        return value


def save(path: str | os.PathLike[str], source: Source) -> None:
    """Writes a source whose images have one size as an npz file for `Arrays`.

    Shows its progress in one line on standard error. The file appears only when
    it is complete.

    Args:
      path: the file to write; an existing one is replaced.
      source: labelled images, all of one size.

    Raises:
      ValueError: the source is empty, or an image has another size than the
        first.
    """
    if len(source) == 0:
        raise ValueError(f"{path}: the source has no examples to write")
    first = source[0].image
    images = np.empty((len(source), *first.shape), np.uint8)
    ids = np.empty(images.shape[:3], np.int32)
    annotations = []
    for index in range(len(source)):
        example = source[index]
        if example.image.shape != first.shape:
            raise ValueError(
                f"{example.file_name}: the image is {example.image.shape[:2]}, the "
                f"first is {first.shape[:2]}: an npz file needs images of one size"
            )
        images[index], ids[index] = example.image, example.panoptic.ids
        annotations.append(_annotation(example))
        print(f"\rreading {index + 1}/{len(source)}", end="", file=sys.stderr)
    print(f"\nwriting {path}", file=sys.stderr)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:  # by name, NumPy would append .npz
        np.savez_compressed(
            file,
            images=images,
            ids=ids,
            annotations=np.array(json.dumps(annotations)),
            categories=np.array(json.dumps(source.label_space.to_json())),
        )
    partial.replace(path)


def _annotation(example: Example) -> dict[str, Any]:
    return {
        "image_id": example.image_id,
        "file_name": example.file_name,
        "segments_info": [
            {"id": s.id, "category_id": s.category_id, "iscrowd": int(s.is_crowd)}
            for s in example.panoptic.segments
        ],
    }


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; pix2seq_d.data.arrays.save writes one"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not an npz file, or cut short: write it again")
    with np.load(path) as file:
        missing = [key for key in _KEYS if key not in file]
        if missing:
            raise ValueError(
                f"{path}: array {missing[0]!r} is missing; it has "
                f"{sorted(file.keys())}, needed are {list(_KEYS)}"
            )
        try:
            return {key: file[key] for key in _KEYS}
        except (ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path}: cannot be read: {error}") from None
