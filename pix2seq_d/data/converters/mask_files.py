"""One PNG per object, `<image>/<class>_<number>.png` -> COCO panoptic."""

import re
from collections.abc import Iterable
from pathlib import Path

from pix2seq_d.data.converters.category_map import read_numbers, size_of
from pix2seq_d.data.converters.class_names import ClassNames
from pix2seq_d.data.converters.output import Report, SplitWriter
from pix2seq_d.data.converters.painting import Layer, check_order, paint
from pix2seq_d.data.converters.png_pairs import images_by_stem
from pix2seq_d.files import Folder
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import list_some

_NUMBERED = re.compile(r"(?P<name>.+)_(?P<number>\d+)")


def convert(
    images_dir: Path | str,
    masks_dir: Path | str,
    output: Path | str,
    *,
    split: str,
    categories: Path | str | None = None,
    order: str = "area",
    overwrite: bool = False,
) -> Report:
    """Binary masks -> a split of a COCO panoptic folder.

    The folder of an image has its name without the suffix. Masks of one stuff
    class are one segment; images without masks are skipped.

    Args:
      images_dir: the images.
      masks_dir: a folder for each image; each PNG in it is one object, 0 outside,
        any one value inside. Its name is the class and a number.
      output: root of the COCO panoptic folder.
      split: its split.
      categories: JSON list of categories, found by name; without it every class
        is a thing, ids by alphabet, which other splits need not share.
      order: 'area', smaller objects on top; 'given', higher numbers on top.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileNotFoundError: a folder or an image is missing.
      FileExistsError: the split is there already.
      ValueError: a PNG is damaged, not binary, of another size, or its name is
        none of the categories'.
    """
    check_order(order)
    images = images_by_stem(images_dir)
    root = Folder(masks_dir)
    masks = {
        folder: _sorted(n for n in root.names(folder) if n.lower().endswith(".png"))
        for folder in sorted({*root.folders(), *(i for i in images if "/" in i)})
    }
    masks = {folder: names for folder, names in masks.items() if names}
    if not masks:
        raise ValueError(
            f"{masks_dir}: holds no folder of PNGs; make one for each image"
        )
    if lacking := sorted(masks.keys() - images.keys()):
        raise FileNotFoundError(
            f"{images_dir}: has no image for the masks of {list_some(lacking)} "
            f"({len(lacking)} of {len(masks)}); add the images or remove the masks"
        )
    found = sorted({_class_name(n) for names in masks.values() for n in names})
    classes = ClassNames.of(categories, found, str(masks_dir))
    with SplitWriter(
        output,
        split,
        classes.label_space,
        total=len(images),
        inputs=[images_dir, masks_dir],
        overwrite=overwrite,
    ) as writer:
        for image_id, (stem, name) in enumerate(images.items(), start=1):
            if stem not in masks:
                writer.skip("images without masks")
                continue
            image = File.read(Path(images_dir, name))
            layers = [
                _layer(root.read(f"{stem}/{mask}"), image, _class_name(mask), classes)
                for mask in masks[stem]
            ]
            size = size_of(image)
            painted = paint(layers, size, classes.label_space, order=order)
            writer.drop("objects hidden by others", painted.hidden)
            writer.drop("objects without a pixel", painted.empty)
            writer.write(
                painted.panoptic, image=image, image_id=image_id, file_name=name
            )
    return writer.report


def _layer(png: File, image: File, name: str, classes: ClassNames) -> Layer:
    values = read_numbers(png, image)
    if len(inside := set(values[values != 0].tolist())) > 1:
        raise ValueError(
            f"{png.where}: holds values {list_some(sorted(inside))} beside 0; save one "
            "object in each file, without soft edges"
        )
    return Layer.of(values != 0, classes.category_id(name, png.where))


def _class_name(file_name: str) -> str:
    """'traffic_light_2.png' -> 'traffic_light'; the number may be missing."""
    stem = Path(file_name).stem
    match = _NUMBERED.fullmatch(stem)
    return match["name"] if match else stem


def _sorted(names: Iterable[str]) -> list[str]:
    """By number, then by name."""

    def position(name: str) -> tuple[int, str]:
        match = _NUMBERED.fullmatch(Path(name).stem)
        return (int(match["number"]) if match else 0), name

    return sorted(names, key=position)
