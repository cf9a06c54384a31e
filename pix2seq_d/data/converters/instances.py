"""Instance annotations in COCO's JSON, and maps of stuff -> COCO panoptic."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pix2seq_d.data.converters.category_map import (
    check_size,
    read_numbers,
    to_semantic,
)
from pix2seq_d.data.converters.output import Report, SplitWriter
from pix2seq_d.data.converters.painting import Layer, check_order, paint
from pix2seq_d.data.converters.rasterize import segmentation_mask
from pix2seq_d.files import Folder, check_names
from pix2seq_d.image_files import File, image_size
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic_index import ImageId, parse_json, read_label_space


def convert(
    json_path: Path | str,
    images_dir: Path | str,
    output: Path | str,
    *,
    split: str,
    order: str = "area",
    semantic_dir: Path | str | None = None,
    categories: Path | str | None = None,
    overwrite: bool = False,
) -> Report:
    """Instance annotations -> a split of a COCO panoptic folder.

    Categories of the JSON are things unless their `isthing`, or `categories`, says
    otherwise. Crowds lie below the things; what nothing covers is void. Without
    `semantic_dir`, images without an annotation are skipped.

    Args:
      json_path: `images`, `annotations` with polygons or run lengths, `categories`.
      images_dir: the images.
      output: root of the COCO panoptic folder.
      split: its split.
      order: 'area', smaller objects on top; 'given', later annotations on top.
      semantic_dir: one PNG per image, same name: each pixel is the category id of
        a stuff class, 0 or 255 for void. Classes of things in it become void.
      categories: JSON list of more categories, such as stuff, or of all.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileNotFoundError: a file is missing.
      FileExistsError: the split is there already.
      ValueError: the JSON or a PNG is damaged or does not fit.
    """
    check_order(order)
    dataset = _read(Path(json_path), categories)
    names = [image.file_name for image in dataset.images]
    check_names(Folder(images_dir), names, named_by=f"images of {dataset.where}")
    inputs = [json_path, images_dir]
    if semantic_dir is not None:
        inputs.append(semantic_dir)
        maps = [_png_name(name) for name in names]
        check_names(Folder(semantic_dir), maps, named_by="the images")
    with SplitWriter(
        output,
        split,
        dataset.label_space,
        total=len(names),
        inputs=inputs,
        overwrite=overwrite,
    ) as writer:
        for image in dataset.images:
            if semantic_dir is None and not image.annotations:
                writer.skip("images without annotation")
                continue
            file = File.read(Path(images_dir, image.file_name))
            if image.size is not None:
                check_size(f"{image.where} of {dataset.where}", image.size, file)
            size = image_size(file)
            below, is_thing = None, np.zeros(size, bool)
            if semantic_dir is not None:
                png = File.read(Path(semantic_dir, _png_name(image.file_name)))
                below, is_thing = _stuff(png, file, dataset.label_space)
            layers = [_layer(a, size, dataset) for a in image.annotations]
            painted = paint(layers, size, dataset.label_space, order=order, below=below)
            undivided = int((is_thing & (painted.panoptic.ids == VOID)).sum())
            writer.drop("pixels of things without an instance, now void", undivided)
            writer.drop("annotations hidden by others", painted.hidden)
            writer.drop("annotations without a pixel", painted.empty)
            writer.write(
                painted.panoptic,
                image=file,
                image_id=image.id,
                file_name=image.file_name,
            )
    return writer.report


@dataclasses.dataclass(frozen=True)
class _Annotation:
    where: str
    category_id: int
    is_crowd: bool
    segmentation: Any


@dataclasses.dataclass(frozen=True)
class _Image:
    where: str
    id: ImageId
    file_name: str
    size: tuple[int, int] | None  # (H, W) where the JSON says it
    annotations: list[_Annotation]


@dataclasses.dataclass(frozen=True)
class _Dataset:
    where: str
    label_space: LabelSpace
    images: list[_Image]


def _read(path: Path, categories: Path | str | None) -> _Dataset:
    file = File.read(path)
    content = parse_json(file)
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise ValueError(
                f"{path}: has no list {name!r}; give a JSON of COCO instances"
            )
    label_space = _label_space(content["categories"], path, categories)
    images: dict[ImageId, _Image] = {}
    for k, entry in enumerate(content["images"]):
        image = _image(entry, f"images[{k}]", path)
        if image.id in images:
            raise ValueError(
                f"{path}: {image.where}: id {image.id!r} is given twice; renumber"
            )
        images[image.id] = image
    if not images:
        raise ValueError(f"{path}: images is empty; give labelled images")
    for k, entry in enumerate(content["annotations"]):
        where = f"{path}: annotations[{k}]"
        annotation = _annotation(entry, where)
        if annotation.category_id not in label_space.semantic_of:
            raise ValueError(
                f"{where}: category_id {annotation.category_id} is not in categories; "
                "add the category or correct the annotation"
            )
        image_id = entry.get("image_id")
        if type(image_id) not in (int, str) or image_id not in images:
            raise ValueError(
                f"{where}: image_id {image_id!r} is not in images; add the image or "
                "remove the annotation"
            )
        images[image_id].annotations.append(annotation)
    return _Dataset(str(path), label_space, list(images.values()))


def _image(entry: Any, where: str, path: Path) -> _Image:
    entry = entry if isinstance(entry, dict) else {}
    image_id, name = entry.get("id"), entry.get("file_name")
    size = entry.get("height"), entry.get("width")
    if type(image_id) not in (int, str) or not isinstance(name, str) or not name:
        raise ValueError(
            f"{path}: {where}: needs an id and a file_name; see the COCO format"
        )
    known = all(type(v) is int for v in size)
    return _Image(where, image_id, name, size if known else None, [])


def _annotation(entry: Any, where: str) -> _Annotation:
    entry = entry if isinstance(entry, dict) else {}
    if "segments_info" in entry:
        raise ValueError(
            f"{where}: has segments_info; this is a COCO panoptic JSON already, use it "
            "as it is"
        )
    category_id = entry.get("category_id")
    if type(category_id) is not int:
        raise ValueError(f"{where}: category_id is {category_id!r}; make it an integer")
    segmentation = entry.get("segmentation")
    if not segmentation:
        what = "has only a bbox" if entry.get("bbox") else "has no segmentation"
        raise ValueError(
            f"{where}: {what}; panoptic labels need the outline, annotate polygons or "
            "masks"
        )
    return _Annotation(where, category_id, bool(entry.get("iscrowd")), segmentation)


def _label_space(
    entries: Sequence[Any], path: Path, categories: Path | str | None
) -> LabelSpace:
    extra = read_label_space(categories).categories if categories is not None else ()
    made = {c.id: c for c in extra}
    try:
        own = LabelSpace.from_json([_as_thing(e) for e in entries]) if entries else None
    except ValueError as error:
        raise ValueError(f"{path}: {error}; correct categories") from error
    merged = {c.id: c for c in own.categories} if own is not None else {}
    for category_id in merged.keys() & made.keys():
        names = made[category_id].name, merged[category_id].name
        if names[0] != names[1]:
            raise ValueError(
                f"{categories}: category {category_id} is {names[0]!r}, but "
                f"{names[1]!r} in {path}; give every class an id of its own"
            )
    merged |= made
    if not merged:
        raise ValueError(f"{path}: categories is empty; list the classes")
    return LabelSpace(tuple(merged.values()))


def _as_thing(entry: Any) -> Mapping[str, Any]:
    return {"isthing": 1, **entry} if isinstance(entry, dict) else {}


def _layer(annotation: _Annotation, size: tuple[int, int], dataset: _Dataset) -> Layer:
    try:
        mask = segmentation_mask(annotation.segmentation, size)
    except ValueError as error:
        raise ValueError(f"{annotation.where}: {error}") from error
    return Layer.of(mask, annotation.category_id, is_crowd=annotation.is_crowd)


def _stuff(
    png: File, image: File, label_space: LabelSpace
) -> tuple[np.ndarray, np.ndarray]:
    """Semantic ids of stuff, [H, W]; and which pixels are of things."""
    semantic = to_semantic(read_numbers(png, image), label_space, png.where)
    is_thing = label_space.is_thing[semantic]
    return np.where(is_thing, VOID, semantic), is_thing


def _png_name(file_name: str) -> str:
    return str(PurePosixPath(file_name).with_suffix(".png"))
