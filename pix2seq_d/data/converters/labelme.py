"""LabelMe's JSON files -> COCO panoptic."""

import base64
import binascii
import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from pix2seq_d.data.converters.category_map import check_size, size_of
from pix2seq_d.data.converters.class_names import ClassNames
from pix2seq_d.data.converters.output import Report, SplitWriter, upright
from pix2seq_d.data.converters.painting import Layer, check_order, paint
from pix2seq_d.data.converters.rasterize import polygons_mask
from pix2seq_d.image_files import File, open_image
from pix2seq_d.panoptic_index import parse_json

# Labels that LabelMe's own converters take for "nothing".
VOID_LABELS = ("__ignore__", "_background_")

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
_POLYGONS = ("polygon", "oriented_rectangle", "rotation", None)


def convert(
    json_dir: Path | str,
    output: Path | str,
    *,
    split: str,
    categories: Path | str | None = None,
    order: str = "given",
    overwrite: bool = False,
) -> Report:
    """LabelMe files -> a split of a COCO panoptic folder.

    Shapes of one label and `group_id` are one object; `__ignore__` and
    `_background_` paint void. Points and lines have no area and are left out, and
    so are images without a shape. Images that EXIF turns are saved turned, as
    LabelMe shows them.

    Args:
      json_dir: the JSON files; images are where `imagePath` says, or inside them.
      output: root of the COCO panoptic folder.
      split: its split.
      categories: JSON list of categories, found by name; without it every label
        is a thing, ids by alphabet, which other splits need not share.
      order: 'given', later shapes on top, as in LabelMe; 'area', smaller ones.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileNotFoundError: no such folder, or an image is missing.
      FileExistsError: the split is there already.
      ValueError: a file is damaged, of another size, or has an unknown label.
    """
    check_order(order)
    folder = Path(json_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give LabelMe's JSON files")
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: holds no JSON file; give LabelMe's JSON files")
    found = _labels(paths) if categories is None else ()
    names = ClassNames.of(categories, found, str(folder))
    with SplitWriter(
        output,
        split,
        names.label_space,
        total=len(paths),
        inputs=[folder],
        overwrite=overwrite,
    ) as writer:
        for image_id, path in enumerate(paths, start=1):
            labelled = _read(path)
            shapes = [s for s in labelled.shapes if s.kind not in _WITHOUT_AREA]
            writer.drop("points and lines", len(labelled.shapes) - len(shapes))
            if not shapes:
                writer.skip("images without shapes")
                continue
            image = upright(labelled.image)
            if labelled.size is not None:
                check_size(str(path), labelled.size, image)
            size = size_of(image)
            layers = [_layer(shape, size, names) for shape in shapes]
            painted = paint(layers, size, names.label_space, order=order)
            writer.drop("objects hidden by others", painted.hidden)
            writer.drop("objects without a pixel", painted.empty)
            suffix = Path(labelled.image.where).suffix
            writer.write(
                painted.panoptic,
                image=image,
                image_id=image_id,
                file_name=path.relative_to(folder).with_suffix(suffix).as_posix(),
            )
    return writer.report


@dataclasses.dataclass(frozen=True)
class _Shape:
    where: str
    label: str
    kind: str | None
    points: list[list[float]]
    group: int | str | None
    mask: str | None


@dataclasses.dataclass(frozen=True)
class _Labelled:
    image: File
    size: tuple[int, int] | None  # (H, W) where the JSON says it
    shapes: list[_Shape]


def _labels(paths: Iterable[Path]) -> list[str]:
    shapes = [s for path in paths for s in _shapes(path, parse_json(File.read(path)))]
    return sorted({s.label for s in shapes} - set(VOID_LABELS))


def _read(path: Path) -> _Labelled:
    content = parse_json(File.read(path))
    shapes = _shapes(path, content)
    size = content.get("imageHeight"), content.get("imageWidth")
    known = all(type(v) is int for v in size)
    return _Labelled(_image(path, content), size if known else None, shapes)


def _shapes(path: Path, content: Any) -> list[_Shape]:
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        raise ValueError(f"{path}: has no list 'shapes'; give LabelMe's JSON files")
    return [_shape(entry, f"{path}: shapes[{k}]") for k, entry in enumerate(shapes)]


def _shape(entry: Any, where: str) -> _Shape:
    entry = entry if isinstance(entry, dict) else {}
    label, points = entry.get("label"), entry.get("points")
    if not isinstance(label, str) or not label:
        raise ValueError(f"{where}: label is {label!r}; name its class")
    if not isinstance(points, list) or not all(map(_is_point, points)):
        raise ValueError(f"{where}: points are no list of [x, y]; draw it again")
    kind, group = entry.get("shape_type"), entry.get("group_id")
    return _Shape(where, label, kind, points, group, entry.get("mask"))


def _is_point(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2:
        return False
    return all(isinstance(v, int | float) and math.isfinite(v) for v in point)


def _image(path: Path, content: dict[str, Any]) -> File:
    name = content.get("imagePath")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{path}: imagePath is {name!r}; name the image")
    image = path.parent / PureWindowsPath(name).as_posix()
    if image.is_file():
        return File.read(image)
    if not content.get("imageData"):
        raise FileNotFoundError(
            f"{image}: no such file, but {path} names it; put the image there"
        )
    try:
        return File(f"{path}: {name}", base64.b64decode(content["imageData"]))
    except (binascii.Error, TypeError) as error:
        raise ValueError(
            f"{path}: imageData is no base64 ({error}); save the file again"
        ) from error


def _layer(shape: _Shape, size: tuple[int, int], names: ClassNames) -> Layer:
    mask = _mask(shape, size)
    if shape.label in VOID_LABELS and shape.label not in names:
        return Layer.of(mask, None)
    category_id = names.category_id(shape.label, shape.where)
    return Layer.of(mask, category_id, group=shape.group)


def _mask(shape: _Shape, size: tuple[int, int]) -> np.ndarray:
    """A shape -> bool [H, W]."""
    points, wanted = shape.points, {"circle": (2,), "mask": (2,), "rectangle": (2, 4)}
    if len(points) not in wanted.get(str(shape.kind), (len(points),)):
        raise ValueError(
            f"{shape.where}: a {shape.kind} with {len(points)} points; draw it again"
        )
    if shape.kind == "circle":
        (x, y), edge = points
        rows, cols = np.ogrid[: size[0], : size[1]]
        distance = np.hypot(rows + 0.5 - y, cols + 0.5 - x)
        return distance <= math.dist((x, y), edge)
    if shape.kind == "mask":
        return _stored_mask(shape, size)
    if shape.kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    elif shape.kind not in ("rectangle", *_POLYGONS):
        raise ValueError(
            f"{shape.where}: shape_type {shape.kind!r} is unknown; draw a polygon, "
            "rectangle, circle or mask"
        )
    try:
        return polygons_mask([[v for point in points for v in point]], size)
    except ValueError as error:
        raise ValueError(f"{shape.where}: {error}") from error


def _stored_mask(shape: _Shape, size: tuple[int, int]) -> np.ndarray:
    """A shape of type mask: a PNG, whose first pixel lies at the first point."""
    try:
        data = base64.b64decode(shape.mask or "")
    except (binascii.Error, TypeError) as error:
        raise ValueError(
            f"{shape.where}: mask is no base64 ({error}); draw it again"
        ) from error
    part = np.asarray(open_image(File(f"{shape.where}: mask", data)).convert("L")) > 0
    x, y = (round(v) for v in shape.points[0])
    top, left = max(y, 0), max(x, 0)
    part = part[top - y :, left - x :][
        : max(size[0] - top, 0), : max(size[1] - left, 0)
    ]
    mask = np.zeros(size, bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask
