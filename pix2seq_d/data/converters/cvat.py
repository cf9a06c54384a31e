"""CVAT's "Segmentation mask 1.1", folder or zip file -> COCO panoptic."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pix2seq_d.data.converters.category_map import check_size, read_numbers
from pix2seq_d.data.converters.class_names import ClassNames
from pix2seq_d.data.converters.output import Report, SplitWriter, upright
from pix2seq_d.data.converters.png_pairs import IMAGE_SUFFIXES, to_panoptic
from pix2seq_d.files import Files, Folder
from pix2seq_d.image_files import File, open_image
from pix2seq_d.labels import VOID
from pix2seq_d.panoptic import rgb_to_ids
from pix2seq_d.panoptic_index import list_some
from pix2seq_d.zip_files import ZipFiles

# Pascal VOC's names of pixels that are no class.
VOID_LABELS = ("background", "ignored")

_LABELS = "labelmap.txt"
_CLASSES, _OBJECTS = "SegmentationClass", "SegmentationObject"
_IMAGES, _SETS = "JPEGImages", "ImageSets/Segmentation"


def convert(
    source: Path | str,
    output: Path | str,
    *,
    split: str,
    subset: str | None = None,
    images_dir: Path | str | None = None,
    categories: Path | str | None = None,
    overwrite: bool = False,
) -> Report:
    """A CVAT export -> a split of a COCO panoptic folder.

    Black, and the labels `background` and `ignored`, are void unless they are
    categories. Pixels of one label and one object colour are one object; of a
    thing without an object colour, a crowd. Images without masks are skipped;
    those that EXIF turns are saved turned, as CVAT shows them.

    Args:
      source: the export: labelmap.txt, SegmentationClass/, SegmentationObject/,
        ImageSets/Segmentation/ and, exported with images, JPEGImages/.
      output: root of the COCO panoptic folder.
      split: its split.
      subset: which list of ImageSets/Segmentation; None where there is only one.
      images_dir: the images, where the export has none.
      categories: JSON list of categories, found by name; without it every label
        is a thing, ids in the order of labelmap.txt.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileNotFoundError: a file is missing.
      FileExistsError: the split is there already.
      ValueError: a file is damaged or does not fit, or a label is no category.
    """
    files = _open(Path(source))
    colors = _read_labels(files.read(_LABELS))
    found = [name for name in colors.values() if name not in VOID_LABELS]
    where = files.where(_LABELS)
    classes = ClassNames.of(categories, found, where)
    semantic_of = {0: VOID}
    for color, name in colors.items():
        if name in VOID_LABELS and name not in classes:
            semantic_of[color] = VOID
        else:
            category_id = classes.category_id(name, where)
            semantic_of[color] = classes.label_space.semantic_of[category_id]
    images = files if images_dir is None else Folder(images_dir)
    folder = _IMAGES if images_dir is None else ""
    stems = _stems(files, subset)
    mask_names, image_names = _listing(files), _listing(images)
    with SplitWriter(
        output,
        split,
        classes.label_space,
        total=len(stems),
        inputs=[source] if images_dir is None else [source, images_dir],
        overwrite=overwrite,
    ) as writer:
        for image_id, stem in enumerate(stems, start=1):
            mask = PurePosixPath(_CLASSES, f"{stem}.png")
            if mask.name not in mask_names(str(mask.parent)):
                writer.skip("images without masks")
                continue
            name = _image_name(image_names, PurePosixPath(folder, stem), images)
            image = upright(images.read(name))
            png = files.read(str(mask))
            semantic = _semantic(png, image, semantic_of, list(colors))
            instance, _ = _values(files.read(f"{_OBJECTS}/{stem}.png"), image)
            writer.write(
                to_panoptic(semantic, instance, classes.label_space),
                image=image,
                image_id=image_id,
                file_name=name.removeprefix(f"{_IMAGES}/"),
            )
    return writer.report


def _open(source: Path) -> Files:
    if source.is_dir():
        return Folder(source)
    return ZipFiles(source)


def _read_labels(file: File) -> dict[int, str]:
    """labelmap.txt -> colour, as R + 256 G + 65536 B, -> label; in file order."""
    colors: dict[int, str] = {}
    text = file.data.decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file.where}: line {number}"
        fields = line.strip().rsplit(":", 3)
        values = fields[1].split(",") if len(fields) == 4 else []
        if len(values) != 3 or not all(_is_byte(v) for v in values):
            raise ValueError(f"{where}: is not 'label:R,G,B::'; export it again")
        color = int(rgb_to_ids(np.array([int(v) for v in values], np.uint8)))
        if color in colors:
            raise ValueError(
                f"{where}: {fields[0]!r} has the colour of {colors[color]!r}; give "
                "labels different colours and export again"
            )
        if color == 0 and fields[0] not in VOID_LABELS:
            raise ValueError(
                f"{where}: {fields[0]!r} is black as the background; give it another "
                "colour and export again"
            )
        colors[color] = fields[0]
    return colors


def _is_byte(text: str) -> bool:
    return text.strip().isdecimal() and int(text) <= 255


def _stems(files: Files, subset: str | None) -> list[str]:
    """Names of the images without suffix, as ImageSets lists them."""
    lists = [n for n in files.names(_SETS) if n.endswith(".txt")]
    where = files.where(_SETS)
    if subset is None and len(lists) != 1:
        found = ", ".join(n.removesuffix(".txt") for n in lists) or "none"
        raise ValueError(f"{where}: subsets found: {found}; name the one to convert")
    if subset is not None and f"{subset}.txt" not in lists:
        raise FileNotFoundError(
            f"{where}: no {subset}.txt; found {list_some(lists) or 'none'}; name one"
        )
    name = lists[0] if subset is None else f"{subset}.txt"
    text = files.read(f"{_SETS}/{name}").data.decode("utf-8-sig", errors="replace")
    stems = dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())
    if not stems:
        raise ValueError(f"{where}: {name} names no image; choose another subset")
    return list(stems)


_Listing = Callable[[str], frozenset[str]]


def _listing(files: Files) -> _Listing:
    """Folder -> names of its files; each folder is listed once."""
    return functools.cache(lambda folder: frozenset(files.names(folder)))


def _image_name(listing: _Listing, stem: PurePosixPath, images: Files) -> str:
    parent = "" if str(stem.parent) == "." else str(stem.parent)
    for suffix in (*IMAGE_SUFFIXES, *(s.upper() for s in IMAGE_SUFFIXES)):
        if f"{stem.name}{suffix}" in listing(parent):
            return str(stem.with_name(f"{stem.name}{suffix}"))
    raise FileNotFoundError(
        f"{images.where(str(stem))}: no such image (.jpg, .png, ...); export with "
        "images, or give their folder"
    )


def _semantic(
    png: File, image: File | np.ndarray, labels: dict[int, int], names: Sequence[int]
) -> np.ndarray:
    """SegmentationClass PNG -> semantic ids, [H, W].

    Args:
      png: colours, or, where it is gray, positions in labelmap.txt.
      image: its image.
      labels: colour -> semantic id.
      names: the colours of labelmap.txt, in its order.
    """
    values, is_gray = _values(png, image)
    if is_gray:
        labels = {k: labels[color] for k, color in enumerate(names)}
    present, inverse = np.unique(values, return_inverse=True)
    unknown = [v for v in present.tolist() if v not in labels]
    if unknown:
        what = "values" if is_gray else "colours"
        shown = unknown if is_gray else [_rgb(v) for v in unknown]
        raise ValueError(
            f"{png.where}: {what} {list_some(shown)} are not in {_LABELS}; export again"
        )
    table = np.array([labels[v] for v in present.tolist()], np.int32)
    return table[inverse.reshape(values.shape)]


def _values(png: File, image: File | np.ndarray) -> tuple[np.ndarray, bool]:
    """Colours as R + 256 G + 65536 B, or gray values, [H, W]; whether it is gray."""
    picture = open_image(png)
    if picture.mode not in ("RGB", "RGBA", "P"):
        return read_numbers(png, image), True
    check_size(png.where, (picture.height, picture.width), image)
    # Straight to RGB, PIL warns about palettes with transparency.
    return rgb_to_ids(np.asarray(picture.convert("RGBA"))[..., :3]), False


def _rgb(color: int) -> str:
    return f"({color & 255}, {color >> 8 & 255}, {color >> 16})"
