"""Legends: which colour is which class, and how much of it is there."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import Color, segment_semantics, shade

PAPER: Color = (255, 255, 255)
INK: Color = (32, 36, 42)
GREY: Color = (118, 124, 134)
VOID_DARK: Color = (44, 46, 52)
VOID_LIGHT: Color = (92, 95, 103)


@dataclasses.dataclass(frozen=True)
class LegendEntry:
    """One line of a legend: name, the swatch's colours, text at the right.

    Attributes:
      name: of the class.
      colors: of the swatch, side by side.
      detail: text at the right.
      is_void: the swatch is hatched as void.
      pixels: (height, width) -> [height, width, 3] uint8, the swatch instead.
    """

    name: str
    colors: tuple[Color, ...]
    detail: str = ""
    is_void: bool = False
    pixels: Callable[[int, int], np.ndarray] | None = None


@functools.lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font at `size` pixels; no font file is needed."""
    made = ImageFont.load_default(size=size)
    if not isinstance(made, ImageFont.FreeTypeFont):
        raise ValueError("this Pillow was built without FreeType; pip install pillow")
    return made


def hatch(height: int, width: int, *, period: int) -> np.ndarray:
    """[height, width] bool: diagonal stripes, a quarter of the area True."""
    stripe = np.arange(height + width) % period < period / 4
    return np.lib.stride_tricks.sliding_window_view(stripe, width)[:height]


def legend_entries(
    maps: Sequence[PanopticMap], label_space: LabelSpace, *, counts: bool = True
) -> list[LegendEntry]:
    """The classes in some maps: things by falling count, stuff by falling area, void.

    Args:
      maps: panoptic maps, ids [H, W] int.
      label_space: the categories.
      counts: whether to add the number of instances of a thing (crowd segments
        are not counted but named) and the percent area of stuff and void.
    Raises:
      ValueError: an id without a segment, or an unknown category.
    """
    area = np.zeros(label_space.num_classes)
    instances = np.zeros(label_space.num_classes, int)
    crowds = np.zeros(label_space.num_classes, int)
    for panoptic in maps:
        present, semantic, index = segment_semantics(panoptic, label_space)
        pixels = np.bincount(index.ravel(), minlength=len(present))
        np.add.at(area, semantic, pixels / (index.size * len(maps)))
        crowd_ids = [s.id for s in panoptic.segments if s.is_crowd]
        is_crowd = np.isin(present, crowd_ids)
        np.add.at(instances, semantic, ~is_crowd)
        np.add.at(crowds, semantic, is_crowd)
    thing = label_space.is_thing
    shown = [k for k in range(1, label_space.num_classes) if area[k] > 0]
    shown.sort(key=lambda k: (not thing[k], -instances[k] if thing[k] else -area[k]))
    entries = []
    for k in shown:
        color = label_space.categories[k - 1].color
        number = str(instances[k]) if instances[k] or not crowds[k] else ""
        detail = " + ".join(filter(None, [number, "crowd" if crowds[k] else ""]))
        shades = min(3, instances[k]) if thing[k] else 1
        entries.append(
            LegendEntry(
                name=label_space.names()[k],
                colors=tuple(shade(color, i) for i in range(max(1, shades))),
                detail=(detail if thing[k] else _percent(area[k])) if counts else "",
            )
        )
    if area[VOID] > 0:
        detail = _percent(area[VOID]) if counts else ""
        entries.append(LegendEntry("void", (VOID_DARK,), detail, is_void=True))
    return entries


def _percent(fraction: float) -> str:
    percent = 100 * fraction
    return "< 1 %" if percent < 1 else f"{percent:.0f} %"


def draw_legend(
    entries: Sequence[LegendEntry],
    *,
    font_size: int,
    width: int | None = None,
    height: int | None = None,
) -> np.ndarray:
    """Draws a legend: columns of equal width, filled downwards.

    Args:
      entries: the lines.
      font_size: pixels.
      width: fit this width, as many rows as that takes.
      height: with `width` None, fit this height, as many columns as that takes.
    Returns:
      [h, w, 3] uint8; w = `width` or h = max(height, one row). Names too long
      for `width` end in an ellipsis.
    Raises:
      ValueError: not exactly one of `width` and `height` is given.
    """
    if (width is None) == (height is None):
        raise ValueError("draw_legend: give either width or height")
    face = font(font_size)
    row_height = round(1.75 * font_size)
    pad, swatch, gap = font_size, round(1.5 * font_size), round(0.6 * font_size)
    name_width = max((face.getlength(e.name) for e in entries), default=0)
    detail_width = max((face.getlength(e.detail) for e in entries), default=0)
    if detail_width:
        detail_width += 1.5 * gap
    column = int(swatch + gap + name_width + detail_width) + 1
    if width is not None:
        column = max(swatch + gap, min(column, width - 2 * pad))
        columns = max(1, (width - 2 * pad + 2 * gap) // (column + 2 * gap))
        rows = max(1, -(-len(entries) // columns))
        height = rows * row_height + pad
    else:
        assert height is not None
        height = max(height, row_height + pad)
        rows = (height - pad) // row_height
        columns = max(1, -(-len(entries) // rows))
        # Even columns: 12 entries in 10 rows become 6 + 6.
        rows = max(1, -(-len(entries) // columns))
        width = columns * column + (columns - 1) * 2 * gap + 2 * pad
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    for k, entry in enumerate(entries):
        x = pad + (k // rows) * (column + 2 * gap)
        y = pad // 2 + (k % rows) * row_height
        box = (x, y + row_height // 6, swatch, round(1.15 * font_size))
        _draw_swatch(canvas, entry, box)
        middle = y + row_height // 6 + round(0.575 * font_size)
        room = column - swatch - gap - detail_width
        name = shorten(entry.name, face, room)
        draw.text((x + swatch + gap, middle), name, INK, face, anchor="lm")
        draw.text((x + column, middle), entry.detail, GREY, face, anchor="rm")
    return np.asarray(canvas)


def shorten(name: str, face: ImageFont.FreeTypeFont, room: float) -> str:
    """The text, cut with an ellipsis where it is wider than `room` pixels."""
    if face.getlength(name) <= room + 1:
        return name
    while name and face.getlength(name + "…") > room:
        name = name[:-1]
    return name + "…"


def _draw_swatch(
    canvas: Image.Image, entry: LegendEntry, box: tuple[int, int, int, int]
) -> None:
    x, y, width, height = box
    pixels = np.empty((height, width, 3), np.uint8)
    if entry.pixels is not None:
        pixels = entry.pixels(height, width)
    elif entry.is_void:
        stripes = hatch(height, width, period=8)
        pixels[:] = np.where(stripes[..., None], VOID_LIGHT, VOID_DARK)
    else:
        for part, columns in enumerate(
            np.array_split(np.arange(width), len(entry.colors))
        ):
            pixels[:, columns] = entry.colors[part]
    canvas.paste(Image.fromarray(pixels), (x, y))
    frame = (x, y, x + width - 1, y + height - 1)
    ImageDraw.Draw(canvas).rectangle(frame, outline=GREY)  # white on paper shows, too
