"""Lenient reading of a COCO panoptic JSON: every mistake is noted, the rest is used."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d.doctor.coco_entries import (
    FORMAT,
    get,
    is_int,
    is_text,
    read_categories,
    read_segments,
)
from pix2seq_d.doctor.finding import Finding, Notes, from_error
from pix2seq_d.doctor.map_checks import Described
from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_index import ImageId, parse_json

_LISTS = ("images", "annotations", "categories")


@dataclasses.dataclass(frozen=True)
class Item:
    """One annotated image.

    Attributes:
      image_id: of the image.
      image_name: its file.
      png_name: file of its labels.
      size: (height, width) as the JSON says, where it does.
      segments: their ids differ.
    """

    image_id: ImageId
    image_name: str
    png_name: str
    size: tuple[int, int] | None
    segments: tuple[Described, ...]


@dataclasses.dataclass(frozen=True)
class CocoJson:
    """What can be used of a JSON, and what is wrong with it.

    Attributes:
      items: annotated images, in the order of their ids.
      label_space: None where no category can be used.
      image_names: of all images, annotated or not.
      png_names: of all annotations.
      findings: what is wrong.
    """

    items: tuple[Item, ...]
    label_space: LabelSpace | None
    image_names: frozenset[str]
    png_names: frozenset[str]
    findings: tuple[Finding, ...]


def read(file: File) -> CocoJson:
    """Reads a COCO panoptic JSON as far as possible; see `panoptic_index.read_index`.

    Raises nothing: whatever is wrong becomes a finding.
    """
    return _Reader(file.where).read(file)


class _Reader:
    def __init__(self, path: str) -> None:
        self._notes = Notes(path)

    def read(self, file: File) -> CocoJson:
        lists = self._lists(file)
        label_space = read_categories(lists["categories"], self._notes)
        self._known = label_space.semantic_of if label_space else None
        images = self._images(lists["images"])
        items = self._annotations(lists["annotations"], images)
        if lists["annotations"] or lists["images"]:
            self._check_use(lists["annotations"], images, items)
        return CocoJson(
            items=tuple(
                sorted(items, key=lambda i: (isinstance(i.image_id, str), i.image_id))
            ),
            label_space=label_space,
            image_names=frozenset(name for name, _ in images.values()),
            png_names=frozenset(
                a["file_name"]
                for a in lists["annotations"]
                if is_text(get(a, "file_name"))
            ),
            findings=tuple(self._notes.findings),
        )

    def _lists(self, file: File) -> dict[str, list[Any]]:
        lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
        try:
            content = parse_json(file)
        except ValueError as error:
            self._notes.findings.append(from_error(error, "json", file.where))
            return lists
        for name in _LISTS:
            value = get(content, name)
            if isinstance(value, list):
                lists[name] = value
            else:
                self._notes.add("json", f"has no list {name!r}", FORMAT)
        return lists

    def _images(
        self, entries: list[Any]
    ) -> dict[ImageId, tuple[str, tuple[int, int] | None]]:
        """Image id -> file name, and (height, width) where they are given."""
        images: dict[ImageId, tuple[str, tuple[int, int] | None]] = {}
        owner: dict[str, ImageId] = {}
        for k, entry in enumerate(entries):
            place = f"images[{k}]"
            image_id, name = get(entry, "id"), get(entry, "file_name")
            if type(image_id) not in (int, str):
                cure = "make it an integer or text"
                self._notes.add("field", f"id is {image_id!r}", cure, place=place)
                continue
            if not is_text(name):
                message, cure = f"file_name is {name!r}", "make it a file name"
                self._notes.add("field", message, cure, place=place, image_id=image_id)
                continue
            if image_id in images:
                message = f"has the id of {images[image_id][0]}, too"
                self._notes.add(
                    "duplicate_image_id",
                    f"{name} {message}",
                    "renumber one",
                    place=place,
                    image_id=image_id,
                )
                continue
            if name in owner:
                message = f"file {name} belongs to image {owner[name]}, too"
                cure = "remove one of the two, or correct its file_name"
                self._notes.add(
                    "shared_file", message, cure, place=place, image_id=image_id
                )
            owner.setdefault(name, image_id)
            size = entry.get("height"), entry.get("width")
            known = is_int(size[0]) and is_int(size[1])
            images[image_id] = name, size if known else None
        return images

    def _annotations(
        self,
        entries: list[Any],
        images: Mapping[ImageId, tuple[str, tuple[int, int] | None]],
    ) -> list[Item]:
        items: dict[ImageId, Item] = {}
        owner: dict[str, ImageId] = {}
        if entries and not any(
            isinstance(get(a, "segments_info"), list) for a in entries
        ):
            self._notes.add(
                "field",
                "no annotation has a list segments_info, so this is no COCO panoptic "
                "JSON",
                "convert instance or semantic labels to COCO panoptic first",
            )
            return []
        for k, entry in enumerate(entries):
            place = f"annotations[{k}]"
            image_id, png = get(entry, "image_id"), get(entry, "file_name")
            if type(image_id) not in (int, str):
                cure = "make it the id of an image"
                self._notes.add("field", f"image_id is {image_id!r}", cure, place=place)
                continue
            at = {"place": place, "image_id": image_id}
            if not isinstance(get(entry, "segments_info"), list):
                self._notes.add("field", "has no list segments_info", FORMAT, **at)
            elif not is_text(png):
                message, cure = f"file_name is {png!r}", "make it the name of its PNG"
                self._notes.add("field", message, cure, **at)
            elif image_id in items:
                message = f"{items[image_id].png_name} and {png} are both of this image"
                self._notes.add("duplicate_annotation", message, "keep one", **at)
            elif image_id not in images:
                message = f"{png} belongs to an image that is not in images"
                cure = "add the image or remove the annotation"
                self._notes.add("annotation_without_image", message, cure, **at)
            else:
                if png in owner:
                    message = f"PNG {png} belongs to image {owner[png]}, too"
                    cure = "give each image its own PNG"
                    self._notes.add("shared_file", message, cure, **at)
                owner.setdefault(png, image_id)
                name, size = images[image_id]
                segments = read_segments(
                    entry["segments_info"],
                    self._known,
                    self._notes,
                    place=place,
                    image_id=image_id,
                )
                items[image_id] = Item(image_id, name, png, size, segments)
        return list(items.values())

    def _check_use(
        self,
        annotations: list[Any],
        images: Mapping[ImageId, tuple[str, tuple[int, int] | None]],
        items: list[Item],
    ) -> None:
        if not items:
            message = f"no image of {len(images)} has an annotation that can be used"
            self._notes.add("no_annotations", message, "add annotated images")
            return
        annotated = {get(a, "image_id") for a in annotations if _hashable_id(a)}
        for image_id, (name, _) in images.items():
            if image_id not in annotated:
                message = f"{name} has no annotation and is not trained on"
                cure = "annotate it or remove it from images"
                self._notes.add(
                    "image_without_annotation", message, cure, image_id=image_id
                )


def _hashable_id(entry: Any) -> bool:
    return type(get(entry, "image_id")) in (int, str)
