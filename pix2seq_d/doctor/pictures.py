"""Examples of the labels: a photo and its map side by side, and a sheet of them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pix2seq_d.doctor.examine import Examination, SplitResult
from pix2seq_d.doctor.finding import ERROR
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import segment_colors
from pix2seq_d.visualize.legend import (
    GREY,
    INK,
    PAPER,
    draw_legend,
    font,
    legend_entries,
    shorten,
)
from pix2seq_d.visualize.panels import panel, resize_photo

_SIDE = 256  # long side of a photo, pixels
_COLUMNS = 2  # pairs in a row of the sheet
_HEADING, _CAPTION, _NAME = 20, 14, 12  # font sizes, pixels
_GAP, _MARGIN = 12, 16


@dataclasses.dataclass(frozen=True)
class Picture:
    """A photo beside its map.

    Attributes:
      split: of the image.
      title: its id and file name.
      pixels: [H, W, 3] uint8.
      panoptic: the map, for the legend.
      label_space: its categories.
    """

    split: str
    title: str
    pixels: np.ndarray
    panoptic: PanopticMap
    label_space: LabelSpace


def draw(examination: Examination, *, per_split: int = 6) -> list[Picture]:
    """Pictures of some images without errors, evenly spaced in their splits."""
    return [
        picture
        for result in examination.splits
        for picture in _draw_split(result, per_split)
    ]


def contact_sheet(pictures: Sequence[Picture]) -> np.ndarray:
    """All pictures under the name of their split, and a legend.

    Args:
      pictures: at least one; those of a split together.
    Returns:
      [H, W, 3] uint8.
    """
    cell = max(p.pixels.shape[1] for p in pictures)
    width = 2 * _MARGIN + _COLUMNS * cell + (_COLUMNS - 1) * 2 * _GAP
    splits = list(dict.fromkeys(p.split for p in pictures))
    strips = [_heading_and_rows(pictures, s, width, cell) for s in splits]
    entries = {}
    for picture in pictures:
        maps = [picture.panoptic]
        for entry in legend_entries(maps, picture.label_space, counts=False):
            # One with more instances has more shades.
            old = entries.get(entry.name)
            if old is None or len(old.colors) < len(entry.colors):
                entries[entry.name] = entry
    ordered = sorted(entries.values(), key=lambda e: e.is_void)
    legend = draw_legend(ordered, font_size=_CAPTION, width=width)
    return np.concatenate([*strips, legend])


def _draw_split(result: SplitResult, number: int) -> list[Picture]:
    labels = result.split.label_space
    errors = [f for f in result.split.findings if f.severity == ERROR]
    errors += [f for c in result.checked for f in c.findings if f.severity == ERROR]
    bad = {f.image_id for f in errors if f.image_id is not None}
    good = [
        index
        for index, checked in enumerate(result.checked)
        if checked.image
        and checked.map
        and 1 not in checked.image.size
        and checked.image_id not in bad
    ]
    if labels is None or not good:
        return []
    number = min(number, len(good))
    chosen = [good[len(good) * (2 * k + 1) // (2 * number)] for k in range(number)]
    pictures = []
    for index in chosen:
        image, panoptic = result.split.picture(index)
        checked = result.checked[index]
        pictures.append(
            Picture(
                split=result.split.name,
                title=f"{checked.image_id}: {checked.name}",
                pixels=_pair(image, panoptic, labels),
                panoptic=panoptic,
                label_space=labels,
            )
        )
    return pictures


def _pair(image: np.ndarray, panoptic: PanopticMap, labels: LabelSpace) -> np.ndarray:
    height, width = image.shape[:2]
    factor = _SIDE / max(height, width)
    size = max(1, round(factor * height)), max(1, round(factor * width))
    drawn = panel(
        image,
        panoptic,
        labels,
        colors=segment_colors(panoptic, labels),
        size=size,
        font_size=_NAME,
    )
    gap = np.full((size[0], 4, 3), PAPER, np.uint8)
    return np.concatenate([resize_photo(image, size), gap, drawn], axis=1)


def _heading_and_rows(
    pictures: Sequence[Picture], split: str, width: int, cell: int
) -> np.ndarray:
    shown = [p for p in pictures if p.split == split]
    rows = [shown[k : k + _COLUMNS] for k in range(0, len(shown), _COLUMNS)]
    heights = [max(p.pixels.shape[0] for p in row) for row in rows]
    foot = _CAPTION + 2 * _GAP
    top = _MARGIN + _HEADING + _GAP
    canvas = Image.new("RGB", (width, top + sum(heights) + foot * len(rows)), PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((_MARGIN, _MARGIN), split, INK, font(_HEADING))
    y = top
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            x = _MARGIN + column * (cell + 2 * _GAP)
            canvas.paste(Image.fromarray(picture.pixels), (x, y))
            face = font(_CAPTION)
            title = shorten(picture.title, face, cell)
            spot = (x, y + picture.pixels.shape[0] + _GAP // 2)
            pen.text(spot, title, GREY, face)
        y += height + foot
    return np.asarray(canvas)
