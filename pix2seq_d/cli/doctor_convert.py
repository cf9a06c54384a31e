"""The flags of `doctor` that convert other labels into a COCO panoptic folder."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from absl import flags

from pix2seq_d.cli import app
from pix2seq_d.data.converters import (
    any_source,
    cvat,
    instances,
    labelme,
    mask_files,
    png_pairs,
)
from pix2seq_d.data.converters.output import Report
from pix2seq_d.data.converters.painting import ORDERS
from pix2seq_d.data.sources import open_source
from pix2seq_d.doctor import layouts


@dataclasses.dataclass(frozen=True)
class Kind:
    """The flags of a kind of labels, beside those that all have."""

    needs: tuple[str, ...]
    takes: tuple[str, ...]


KINDS = {
    "instances": Kind(
        ("instances", "images", "split"), ("semantic", "categories", "order")
    ),
    "png_pairs": Kind(
        ("images", "semantic", "categories", "split"), ("instance_maps", "components")
    ),
    "masks": Kind(("images", "masks", "split"), ("categories", "order")),
    "labelme": Kind(("dataset", "split"), ("categories", "order")),
    "cvat": Kind(("dataset", "split"), ("subset", "images", "categories")),
    "dataset": Kind(("dataset",), ("layout", "builder", "splits")),
}
FLAGS = (
    *("convert_from", "convert_to", "split", "images", "instances", "semantic"),
    *("instance_maps", "components", "masks", "subset", "categories", "order"),
    "overwrite",
)


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def switch(name: str, doc: str) -> None:
        flags.DEFINE_boolean(name, False, doc, flag_values=values)

    kinds = list(KINDS)
    doc = "What to convert; --help shows an example of each."
    flags.DEFINE_enum("convert_from", None, kinds, doc, flag_values=values)
    text("convert_to", "COCO panoptic folder to make; its other splits stay.")
    text("split", "Name of the split to make, such as train or val.")
    text("images", "Folder of the images; cvat: if the export has none.")
    text("instances", "COCO instance JSON: images, annotations, categories.")
    text(
        "semantic",
        "Folder of PNGs, named as the images, whose pixels are category ids, 0 or 255 "
        "for void; instances: of the stuff.",
    )
    text(
        "instance_maps",
        "Folder of PNGs, named as the images, whose pixels are numbers of objects; 0 "
        "on a thing: a crowd.",
    )
    switch("components", "Connected pixels of a class of things are one object.")
    text(
        "masks",
        "Folder with a folder for each image, named as the image without suffix, with "
        "a PNG for each object, CLASS_NUMBER.png, 0 outside of it.",
    )
    text("subset", "Which list of the export's ImageSets/Segmentation, if several.")
    text(
        "categories",
        'JSON list of the classes: [{"id": 1, "name": "car", "isthing": 1}, ...], the '
        "same for all splits; without it every class is a thing.",
    )
    flags.DEFINE_enum(
        "order",
        None,
        ORDERS,
        "Where objects overlap: area, smaller ones are on top; given, later ones. By "
        "default given for labelme, else area.",
        flag_values=values,
    )
    switch("overwrite", "Replace a split that --convert_to has already.")


def is_wanted(values: flags.FlagValues) -> bool:
    """Whether there is something to convert.

    Raises:
      UsageError: flags of a conversion, but not what to convert.
    """
    given = [name for name in FLAGS if values[name].present]
    if given and not values.convert_from:
        raise app.UsageError(
            f"--{given[0]} is for conversions only, which need --convert_from, one of "
            f"{', '.join(KINDS)}"
        )
    return bool(given)


def convert(values: flags.FlagValues) -> Path:
    """Converts what the flags say, and prints what was done.

    Returns:
      The COCO panoptic folder.
    Raises:
      UsageError: a flag is missing, or not for this kind.
      ValueError, OSError: as the converters.
    """
    _check_flags(values)
    output = Path(values.convert_to)
    if output.is_file():
        raise app.UsageError(f"--convert_to={output}: is a file; name a folder")
    if values.convert_from == "dataset":
        _convert_dataset(values, output)
    else:
        _check_free(output, [values.split], values.overwrite)
        print(_convert_split(values, output))
    return output


def _check_flags(values: flags.FlagValues) -> None:
    kind = KINDS[values.convert_from]
    needed = ("convert_to", *kind.needs)
    for name in needed:
        if not values[name].value:
            raise app.UsageError(
                f"--{name} is missing; --convert_from={values.convert_from} needs "
                f"{_listed(needed)}"
            )
    known = (*needed, *kind.takes)
    for name in sorted({n for k in KINDS.values() for n in (*k.needs, *k.takes)}):
        if values[name].present and name not in known:
            raise app.UsageError(
                f"--{name} is not for --convert_from={values.convert_from}, which "
                f"takes {_listed((*known, 'overwrite'))}"
            )


def _check_free(output: Path, splits: Iterable[str], overwrite: bool) -> None:
    """Before the first split is written, not after an hour of work."""
    for split in splits:
        path = output / f"panoptic_{split}.json"
        if path.exists() and not overwrite:
            raise app.UsageError(
                f"{path}: exists already; pass --overwrite to replace it, or another "
                "--convert_to"
            )


def _convert_dataset(values: flags.FlagValues, output: Path) -> None:
    root, builder = Path(values.dataset), values.builder or ""
    layout = layouts.choose(root, values.layout, builder)
    splits = values.splits or layouts.find_splits(root, layout, builder)
    _check_free(output, splits, values.overwrite)
    sources = [open_source(layout, str(root), s, builder=builder) for s in splits]
    for split, source in zip(splits, sources, strict=True):
        print(
            any_source.convert(source, output, split=split, overwrite=values.overwrite)
        )


def _convert_split(values: flags.FlagValues, output: Path) -> Report:
    match values.convert_from:
        case "instances":
            return instances.convert(
                values.instances,
                values.images,
                output,
                split=values.split,
                order=values.order or "area",
                semantic_dir=values.semantic,
                categories=values.categories,
                overwrite=values.overwrite,
            )
        case "png_pairs":
            return png_pairs.convert(
                values.images,
                values.semantic,
                output,
                split=values.split,
                categories=values.categories,
                instance_dir=values.instance_maps,
                components=values.components,
                overwrite=values.overwrite,
            )
        case "masks":
            return mask_files.convert(
                values.images,
                values.masks,
                output,
                split=values.split,
                categories=values.categories,
                order=values.order or "area",
                overwrite=values.overwrite,
            )
        case "labelme":
            return labelme.convert(
                values.dataset,
                output,
                split=values.split,
                categories=values.categories,
                order=values.order or "given",
                overwrite=values.overwrite,
            )
        case "cvat":
            return cvat.convert(
                values.dataset,
                output,
                split=values.split,
                subset=values.subset,
                images_dir=values.images,
                categories=values.categories,
                overwrite=values.overwrite,
            )
    raise ValueError(f"--convert_from={values.convert_from}: unknown")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)
