"""A small line plot: axes with round ticks, a grid, curves and a legend."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pix2seq_d.visualize.colors import Color
from pix2seq_d.visualize.legend import GREY, INK, PAPER, font

_GRID: Color = (228, 231, 236)
_SCALE = 2  # supersampling, for smooth lines
_SIZE = (720, 480)  # width, height
_LEFT, _TOP, _RIGHT, _BOTTOM = 76, 56, 24, 60  # margins around the axes
_TITLE, _TEXT = 20, 15  # font sizes


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line through points.

    Attributes:
      x: [N] float, ascending, finite.
      y: [N] float, finite.
      color: RGB.
      width: pixels.
      label: text in the legend; no line there if empty.
      dashed: whether the line is dashed.
    """

    x: np.ndarray
    y: np.ndarray
    color: Color
    width: int = 3
    label: str = ""
    dashed: bool = False


def linear_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round ticks (1, 2 or 5 times a power of ten apart), from <= low to >= high."""
    if not high > low:
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s / rough - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks 1, 2, 5 times powers of ten, from <= low to >= high; low > 0."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    first = max(k for k, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    last = min(k for k, tick in enumerate(ticks) if tick >= high * (1 - 1e-9))
    # Past three decades only the powers themselves.
    every = 3 if last - first > 9 else 1
    return [t for k, t in enumerate(ticks) if first <= k <= last and k % every == 0]


def tick_text(value: float) -> str:
    """Short text of a tick: 0.05, 20, 5k, 1.5M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"


def draw_plot(
    curves: Sequence[Curve],
    *,
    title: str,
    x_title: str,
    y_range: tuple[float, float],
    log: bool = False,
) -> np.ndarray:
    """Draws curves into axes; what lies outside `y_range` is cut off.

    Args:
      curves: at least one, each of at least one point.
      title: above the axes.
      x_title: below them.
      y_range: values the axis has to show; it ends on round ticks around them.
      log: whether the y axis is logarithmic; `y_range` and curves > 0.
    Returns:
      [480, 720, 3] uint8.
    Source: ours.
    """
    x_ticks = linear_ticks(
        min(c.x[0] for c in curves), max(c.x[-1] for c in curves), count=6
    )
    y_ticks = log_ticks(*y_range) if log else linear_ticks(*y_range)
    # The x axis ends where the data do, not at the next round number.
    x_low, x_high = min(c.x[0] for c in curves), max(c.x[-1] for c in curves)
    if x_low == x_high:
        x_low, x_high = x_ticks[0], x_ticks[-1]
    warp = np.log10 if log else np.asarray
    y_low, y_high = (
        (min(*warp(y_range), float(warp(y_ticks[0]))), float(warp(y_ticks[-1])))
    )
    left, top = _SCALE * _LEFT, _SCALE * _TOP
    width = _SCALE * (_SIZE[0] - _LEFT - _RIGHT)
    height = _SCALE * (_SIZE[1] - _TOP - _BOTTOM)

    def column(x: np.ndarray | float) -> np.ndarray:
        return (np.asarray(x) - x_low) / (x_high - x_low) * width

    def line(y: np.ndarray | float) -> np.ndarray:
        return (y_high - warp(y)) / (y_high - y_low) * height

    # The axes' inside is its own picture, which cuts the curves off.
    inside = Image.new("RGB", (width + 1, height + 1), PAPER)
    canvas = Image.new("RGB", (_SCALE * _SIZE[0], _SCALE * _SIZE[1]), PAPER)
    draw, draw_inside = ImageDraw.Draw(canvas), ImageDraw.Draw(inside)
    text = font(_SCALE * _TEXT)
    for y in y_ticks:
        row = float(line(y))
        draw_inside.line([(0, row), (width, row)], _GRID, _SCALE)
        spot = (left - _SCALE * 10, top + row)
        draw.text(spot, tick_text(y), GREY, text, anchor="rm")
    for x in x_ticks:
        if x_low <= x <= x_high:
            spot = (left + float(column(x)), top + height + _SCALE * 14)
            draw.text(spot, tick_text(x), GREY, text, anchor="mm")
            draw.line(
                [(spot[0], top + height), (spot[0], top + height + _SCALE * 5)],
                GREY,
                _SCALE,
            )
    for curve in curves:
        points = np.stack([column(curve.x), line(curve.y)], -1)
        _draw_line(draw_inside, points, curve)
    canvas.paste(inside, (left, top))
    draw.line([(left, top + height), (left + width, top + height)], GREY, _SCALE)
    draw.text((left, _SCALE * 28), title, INK, font(_SCALE * _TITLE), anchor="lm")
    spot = (left + width / 2, _SCALE * (_SIZE[1] - 18))
    draw.text(spot, x_title, GREY, text, anchor="mm")
    return canvas
