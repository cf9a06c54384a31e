"""What the files of a truth and of a prediction have to agree on."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.files import Folder, check_names
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_index import ImageId, PanopticIndex, list_some

_CURE = "or pass allow_missing to score such images as void"


def find_missing(
    truth: PanopticIndex, found: PanopticIndex, folder: Path, *, allowed: bool
) -> frozenset[ImageId]:
    """Images of the truth without an annotation or a PNG in the prediction.

    Args:
      truth: its index.
      found: index of the prediction.
      folder: PNGs of the prediction.
      allowed: whether some may be missing.
    Raises:
      FileNotFoundError: a PNG or the folder is missing and may not.
      ValueError: an annotation is missing and may not, or every image is; ids are
        text on one side and numbers on the other.
    """
    unnamed = [i for i in truth.rows if i not in found.rows]
    _check_types(unnamed, truth, found)
    if unnamed and not allowed:
        raise ValueError(
            f"{found.path}: no annotation for image_id {list_some(unnamed)} of "
            f"{truth.path}; predict every image (one without segments has an empty "
            f"segments_info), {_CURE}"
        )
    png_of = {i: found.png_name(i) for i in truth.rows if i in found.rows}
    if not allowed:
        names = list(png_of.values())
        try:
            check_names(Folder(folder), names, named_by=f"annotations of {found.path}")
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}, {_CURE}") from None
    present = _present(folder, png_of.values())
    missing = {*unnamed, *(i for i, name in png_of.items() if name not in present)}
    if len(missing) == len(truth.rows):
        # A slip in a path, and no model that finds nothing.
        raise ValueError(
            f"{found.path}: not one of the {len(missing)} images of {truth.path} has "
            f"an annotation here and a PNG in {folder}; correct the path"
        )
    return frozenset(missing)


def _check_types(
    unnamed: Sequence[ImageId], truth: PanopticIndex, found: PanopticIndex
) -> None:
    """Raises ValueError where an image is absent for the type of its id only."""
    by_text = {str(i): i for i in found.rows}
    for wanted in unnamed:
        given = by_text.get(str(wanted))
        if given is not None:
            here, there = (
                "text" if isinstance(i, str) else "a number" for i in (given, wanted)
            )
            raise ValueError(
                f"{found.path}: image_id is {here} here and {there} in {truth.path}, "
                f"such as {given!r} and {wanted!r}; write it as {there}"
            )


def _present(folder: Path, names: Iterable[str]) -> set[str]:
    """Those of the names that are files below a folder; each folder is listed once."""
    present: set[str] = set()
    for inner in {os.path.dirname(name) for name in names}:
        prefix = f"{inner}/" if inner else ""
        present |= {prefix + name for name in Folder(folder).names(inner)}
    return present


def check_predicted_categories(
    found: PanopticIndex,
    image_ids: Sequence[ImageId],
    categories: Categories,
    *,
    defined_in: str,
) -> None:
    """Raises ValueError where the prediction uses a category that it should not.

    That is one which the truth lacks, or one that the prediction's own JSON calls by
    another name: ids that mean something else would give a score without a meaning.

    Args:
      found: index of the prediction.
      image_ids: the images that are scored; what others use does not matter.
      categories: of the truth.
      defined_in: the file that they come from, for the message.
    """
    used = np.zeros(len(found.segment_ids), bool)
    for image_id in image_ids:
        row = found.rows[image_id]
        used[found.offsets[row] : found.offsets[row + 1]] = True
    unknown = used & ~np.isin(found.category_ids, categories.ids)
    if unknown.any():
        first = int(np.argmax(unknown))
        raise ValueError(
            f"{found.place(first)} has category_id {found.category_ids[first]}, which "
            f"is not in categories of {defined_in}; predict the truth's categories, "
            "or add it there"
        )
    name_of = dict(zip(categories.ids, categories.names, strict=True))
    predicted = set(np.unique(found.category_ids[used]).tolist())
    for entry in found.categories:
        category, name = entry["id"], entry.get("name")
        if category in predicted and name not in (None, name_of[category]):
            raise ValueError(
                f"{found.path}: category {category} is {name!r} here and "
                f"{name_of[category]!r} in {defined_in}; correct category_id in the "
                "prediction, or leave out its categories if only the names differ"
            )


def check_stated_areas(index: PanopticIndex) -> None:
    """Raises ValueError where an `area` is no number of pixels at all."""
    bad = np.flatnonzero(index.areas == -2)
    if bad.size:
        raise ValueError(
            f"{index.place(int(bad[0]))} has an area that is no whole number from 0 "
            "on; correct or remove it"
        )


def check_areas(panoptic: PanopticMap, index: PanopticIndex, image_id: ImageId) -> None:
    """Raises ValueError where the JSON states another area than the PNG has.

    The official tool takes the area of the truth from the JSON, so a wrong one
    would give another PQ there. That of crowd and of absent segments has no effect.

    Args:
      panoptic: truth of an image.
      index: that it was read from.
      image_id: of the image.
    """
    first = int(index.offsets[index.rows[image_id]])
    for row, segment in enumerate(panoptic.segments, start=first):
        stated = index.areas[row]
        pixels = panoptic.areas.get(segment.id, 0)
        if stated in (-1, pixels) or segment.is_crowd or not pixels:
            continue
        raise ValueError(
            f"{index.place(row)} has area {stated} but {pixels} pixels, and the "
            "official tool would compute with the former; correct or remove the area"
        )
