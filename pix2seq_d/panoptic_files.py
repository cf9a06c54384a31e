"""COCO panoptic files: reading id PNGs, and the writer of PNGs and JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pix2seq_d.atomic_file import WrittenWhole, link, replace_text
from pix2seq_d.image_files import File, open_image, png_bit_depth
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import (
    PanopticMap,
    Segment,
    areas,
    ids_to_rgb,
    runs,
)
from pix2seq_d.panoptic_index import MAX_ID, ImageId, PanopticIndex, list_some


def read_png_ids(file: File | Path) -> np.ndarray:
    """Panoptic PNG -> int32 [H, W] ids, R + 256 G + 65536 B.

    Raises:
      FileNotFoundError: no such file.
      ValueError: damaged, not a PNG, or not 8-bit RGB.
    """
    file = file if isinstance(file, File) else File.read(file)
    return png_ids(open_image(file), file)


def png_ids(image: Image.Image, file: File) -> np.ndarray:
    """As `read_png_ids`, of a file that is decoded already."""
    if image.format != "PNG":
        raise ValueError(
            f"{file.where}: is a {image.format} file, which may alter ids; write it as "
            "PNG"
        )
    if image.mode != "RGB":
        raise ValueError(
            f"{file.where}: has mode {image.mode}, not RGB; write ids as 8-bit RGB, "
            "id = R + 256 G + 65536 B, without palette or alpha"
        )
    if png_bit_depth(file) != 8:
        # Pillow drops the lower 8 bits without a word.
        raise ValueError(
            f"{file.where}: has {png_bit_depth(file)} bits per channel, not 8; write "
            "ids as 8-bit RGB, id = R + 256 G + 65536 B"
        )
    # As Pillow holds a pixel, in four bytes: half the time of packing three.
    words = np.frombuffer(image.tobytes("raw", "RGBX"), "<i4")
    return (words & 0xFFFFFF).reshape(image.height, image.width)


def decode_map(
    file: File, *, segments: tuple[Segment, ...], described_in: object
) -> PanopticMap:
    """Panoptic PNG and its segments -> panoptic map.

    Segments without a pixel are kept: tiny ones vanish when maps are scaled.

    Args:
      file: the PNG.
      segments: what its ids are.
      described_in: the file that describes them, for messages.
    Raises:
      ValueError: the PNG is damaged, not RGB, or holds ids without a segment.
    """
    made = PanopticMap(read_png_ids(file), segments)
    unknown = sorted(made.areas.keys() - {VOID, *(s.id for s in segments)})
    if unknown:
        raise ValueError(
            f"{file.where}: ids {list_some(unknown)} are not in segments_info "
            f"of {described_in}; add them there or paint them 0 (void)"
        )
    return made


def read_map(index: PanopticIndex, png_dir: Path, image_id: ImageId) -> PanopticMap:
    """Reads one image's panoptic map; errors as `decode_map`, or no such PNG."""
    file = File.read(png_dir / index.png_name(image_id))
    segments = index.segments(image_id)
    return decode_map(file, segments=segments, described_in=index.path)


class PanopticWriter(WrittenWhole):
    """Writes `<directory>/<name>/*.png` and, when closed, `<directory>/<name>.json`.

    A context manager. An earlier JSON is removed at once and the new one appears
    in one step at the end, after an error not at all: a JSON always belongs to a
    complete set of PNGs.

    Args:
      directory: made if absent.
      label_space: its categories go into the JSON.
      name: name of the JSON and of the PNG folder.
    """

    def __init__(
        self, directory: Path | str, label_space: LabelSpace, *, name: str = "panoptic"
    ) -> None:
        self.json_path = Path(directory) / f"{name}.json"
        self.png_dir = Path(directory) / name
        self._label_space = label_space
        self._images: dict[ImageId, dict[str, Any]] = {}
        self._annotations: list[dict[str, Any]] = []
        self._taken: set[str] = set()
        self.png_dir.mkdir(parents=True, exist_ok=True)
        self.json_path.unlink(missing_ok=True)

    def write(
        self,
        panoptic: PanopticMap,
        *,
        image_id: ImageId,
        file_name: str,
        segments_info: list[dict[str, Any]] | None = None,
    ) -> Path:
        """Writes one map as `<stem>.png`, or `<stem>-2.png` ... where that is taken.

        Args:
          panoptic: ids in [0, 2**24); segments without a pixel are left out.
          image_id: id of the image, unique.
          file_name: the image's file name; its folder and suffix are dropped.
          segments_info: of `describe_segments`, where it is known; entries may have
            more fields, as `score`.
        Returns:
          Path of the PNG.
        Raises:
          ValueError: an image id given twice, an id without segment or too large,
            an unknown category.
        """
        if segments_info is None:
            segments_info = describe_segments(panoptic, self._label_space)
        image = describe_image(panoptic, image_id=image_id, file_name=file_name)
        path = self._add(image, segments_info)
        Image.fromarray(ids_to_rgb(panoptic.ids)).save(path)
        return path

    def take(
        self, png: Path, image: dict[str, Any], segments_info: list[dict[str, Any]]
    ) -> Path:
        """Adds a PNG that is written already; a link, or a copy where there are none.

        Args:
          png: of `ids_to_rgb`.
          image: of `describe_image`.
          segments_info: of `describe_segments`.
        Returns:
          Path of the PNG, named as `write` would.
        Raises:
          ValueError: an image id given twice.
        """
        path = self._add(image, segments_info)
        link(png, path)
        return path

    def close(self) -> None:
        """Writes the JSON (temporary file, then rename)."""
        content = {
            "images": list(self._images.values()),
            "annotations": self._annotations,
            "categories": self._label_space.to_json(),
        }
        replace_text(self.json_path, json.dumps(content))

    def _add(self, image: dict[str, Any], segments_info: list[dict[str, Any]]) -> Path:
        """Lists an image and returns the path of its PNG."""
        image_id = image["id"]
        if image_id in self._images:
            raise ValueError(f"image id {image_id!r} was written before; use each once")
        self._images[image_id] = image
        stem = free_stem(Path(image["file_name"]).stem, self._taken)
        png_name = f"{stem}.png"
        self._annotations.append(
            {
                "image_id": image_id,
                "file_name": png_name,
                "segments_info": segments_info,
            }
        )
        return self.png_dir / png_name


def free_stem(stem: str, taken: set[str]) -> str:
    """The stem, or `<stem>-2` ... where that is taken; it is taken from now on."""
    # Lower case: on some file systems A.png and a.png are one file.
    name, number = stem, 2
    while name.lower() in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name.lower())
    return name


def describe_image(
    panoptic: PanopticMap, *, image_id: ImageId, file_name: str
) -> dict[str, Any]:
    """An image's entry in the JSON's `images`."""
    height, width = panoptic.ids.shape
    return {"id": image_id, "file_name": file_name, "height": height, "width": width}


def describe_segments(
    panoptic: PanopticMap, label_space: LabelSpace
) -> list[dict[str, Any]]:
    """`segments_info` of a map: id, category, kind, area, box, of what has pixels.

    Raises:
      ValueError: an id without segment or too large, an unknown category.
    """
    height, width = panoptic.ids.shape
    present, sizes = areas(panoptic.ids)
    values, lengths = runs(panoptic.ids)
    inverse = np.repeat(np.searchsorted(present, values), lengths)
    inverse = inverse.reshape(height, width)
    if present[0] < 0 or present[-1] > MAX_ID:
        raise ValueError(
            f"segment ids reach from {present[0]} to {present[-1]}, a PNG holds "
            f"0..{MAX_ID}; renumber them"
        )
    x, box_width = _extents(inverse * width + np.arange(width), len(present), width)
    y, box_height = _extents(
        inverse * height + np.arange(height)[:, None], len(present), height
    )
    row_of = {int(i): row for row, i in enumerate(present) if i != VOID}
    infos = []
    for segment in panoptic.segments:
        semantic = label_space.semantic_of.get(segment.category_id)
        if semantic is None:
            raise ValueError(
                f"segment {segment.id} has category_id {segment.category_id}, which "
                "is not in the label space; use one of its category ids"
            )
        row = row_of.pop(segment.id, None)
        if row is None:
            continue
        infos.append(
            {
                "id": segment.id,
                "category_id": segment.category_id,
                "isthing": int(label_space.is_thing[semantic]),
                "area": int(sizes[row]),
                "bbox": [int(v[row]) for v in (x, y, box_width, box_height)],
                "iscrowd": int(segment.is_crowd),
            }
        )
    if row_of:
        raise ValueError(
            f"ids {list_some(list(row_of))} of the map have no segment; "
            "describe each id"
        )
    return infos


def _extents(key: np.ndarray, rows: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First position and length along one axis; key is row * size + position."""
    hit = np.bincount(key.ravel(), minlength=rows * size).reshape(rows, size) > 0
    first = hit.argmax(axis=1)
    return first, size - hit[:, ::-1].argmax(axis=1) - first
