"""Semantic PNGs, with or without instance PNGs -> COCO panoptic."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from scipy import ndimage

from pix2seq_d.data.converters.category_map import read_numbers, to_semantic
from pix2seq_d.data.converters.output import Report, SplitWriter
from pix2seq_d.files import Folder, check_names
from pix2seq_d.image_files import File
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_index import list_some, read_label_space

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_NO_INSTANCE = 0


def convert(
    images_dir: Path | str,
    semantic_dir: Path | str,
    output: Path | str,
    *,
    split: str,
    categories: Path | str,
    instance_dir: Path | str | None = None,
    components: bool = False,
    overwrite: bool = False,
) -> Report:
    """Semantic and instance PNGs -> a split of a COCO panoptic folder.

    Files belong together by their names without the suffix; folders may have
    folders inside. Images without a semantic PNG are skipped.

    Args:
      images_dir: the images.
      semantic_dir: one PNG per image: each pixel is a category id, 0 or 255 for
        void (unless a category has this id).
      output: root of the COCO panoptic folder.
      split: its split.
      categories: JSON list of categories, or an object with `categories`.
      instance_dir: one PNG per image: pixels of one class and number are one
        object; 0 on a thing is a crowd; of stuff it is ignored.
      components: instead of instance PNGs, connected pixels of a thing class are
        one object.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileNotFoundError: a file is missing.
      FileExistsError: the split is there already.
      ValueError: things without instances, or a PNG that is damaged or does not
        fit.
    """
    label_space = read_label_space(categories)
    _check_instances(label_space, categories, instance_dir, components)
    maps = list_files(semantic_dir, (".png",))
    if not maps:
        raise ValueError(f"{semantic_dir}: holds no PNG; give the semantic maps")
    images = images_by_stem(images_dir)
    lacking = [name for name in maps if _stem(name) not in images]
    if lacking:
        raise FileNotFoundError(
            f"{images_dir}: has no image for {list_some(lacking)} of {semantic_dir} "
            f"({len(lacking)} of {len(maps)}); add the images or remove the PNGs"
        )
    if instance_dir is not None:
        check_names(Folder(instance_dir), maps, named_by=str(semantic_dir))
    inputs = [images_dir, semantic_dir, categories]
    with SplitWriter(
        output,
        split,
        label_space,
        total=len(images),
        inputs=inputs if instance_dir is None else [*inputs, instance_dir],
        overwrite=overwrite,
    ) as writer:
        for _ in range(len(images) - len(maps)):
            writer.skip("images without a semantic PNG")
        for image_id, name in enumerate(maps, start=1):
            image_name = images[_stem(name)]
            image = File.read(Path(images_dir, image_name))
            png = File.read(Path(semantic_dir, name))
            semantic = to_semantic(read_numbers(png, image), label_space, png.where)
            if instance_dir is not None:
                instance = read_numbers(File.read(Path(instance_dir, name)), image)
            else:
                instance = connected(semantic, label_space)
            writer.write(
                to_panoptic(semantic, instance, label_space),
                image=image,
                image_id=image_id,
                file_name=image_name,
            )
    return writer.report


def to_panoptic(
    semantic: np.ndarray, instance: np.ndarray, label_space: LabelSpace
) -> PanopticMap:
    """Semantic and instance channels of other people -> panoptic map.

    Stuff is one segment per class whatever its instance; instance 0 of a thing is
    a crowd: objects of its class that are not told apart.

    Args:
      semantic: [H, W] int, semantic ids, 0 = void.
      instance: [H, W] int >= 0.
      label_space: the categories.
    """
    is_thing = label_space.is_thing[semantic]
    number = np.where(is_thing, instance, _NO_INSTANCE).astype(np.int64)
    key = np.where(semantic == VOID, 0, number * label_space.num_classes + semantic)
    present, inverse = np.unique(key, return_inverse=True)
    table, segments = np.zeros(len(present), np.int32), []
    for row, value in enumerate(present.tolist()):
        number_of, semantic_of = divmod(value, label_space.num_classes)
        if semantic_of == VOID:
            continue
        table[row] = len(segments) + 1
        category_id = int(label_space.category_ids[semantic_of])
        is_crowd = bool(label_space.is_thing[semantic_of]) and number_of == _NO_INSTANCE
        segments.append(Segment(int(table[row]), category_id, is_crowd))
    return PanopticMap(table[inverse.reshape(key.shape)], tuple(segments))


def connected(semantic: np.ndarray, label_space: LabelSpace) -> np.ndarray:
    """Numbers of the connected parts of each thing class, corners count as touching.

    Args:
      semantic: [H, W] int, semantic ids.
      label_space: the categories.
    Returns:
      [H, W] int32, 1, 2, ... within a class; 0 elsewhere.
    """
    numbers = np.zeros(semantic.shape, np.int32)
    for value in np.unique(semantic).tolist():
        if label_space.is_thing[value]:
            mask, parts = semantic == value, np.zeros_like(numbers)
            ndimage.label(mask, structure=np.ones((3, 3)), output=parts)
            numbers += parts
    return numbers


def list_files(folder: Path | str, suffixes: Sequence[str]) -> list[str]:
    """Sorted names of the files with a suffix, also in folders inside."""
    found = Path(folder).rglob("*")
    return sorted(
        path.relative_to(folder).as_posix()
        for path in found
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def images_by_stem(folder: Path | str) -> dict[str, str]:
    """Images in a folder, name without suffix -> name.

    Raises:
      FileNotFoundError: no such folder.
      ValueError: it has no images, or two of one name.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; check the path")
    images: dict[str, str] = {}
    for name in list_files(folder, IMAGE_SUFFIXES):
        other = images.setdefault(_stem(name), name)
        if other != name:
            raise ValueError(
                f"{folder}: {other} and {name} differ in their suffix only; rename one"
            )
    if not images:
        raise ValueError(f"{folder}: holds no image; check the path")
    return images


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _check_instances(
    label_space: LabelSpace,
    categories: Path | str,
    instance_dir: Path | str | None,
    components: bool,
) -> None:
    if instance_dir is not None and components:
        raise ValueError(
            "instance PNGs and components exclude each other; give one of the two"
        )
    things = [c.name for c in label_space.categories if c.is_thing]
    if things and instance_dir is None and not components:
        raise ValueError(
            f"{categories}: {list_some(things)} are things, but there are no instance "
            "PNGs to tell them apart; give instance PNGs, take connected components, "
            "or make them stuff (isthing 0)"
        )
