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
    """1, 2, 5 times powers of ten inside [low, high]; past 2 decades powers only."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high <= 100 * low else (1,)
    ticks = [m * 10.0**p for p in decades for m in steps]
    return [t for t in ticks if low <= t * (1 + 1e-9) and t * (1 - 1e-9) <= high]


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
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    log: bool = False,
    legend_at_top: bool = True,
) -> np.ndarray:
    """Draws curves into axes; what lies outside them is cut off.

    Args:
      curves: at least one, each of at least one point; later ones on top.
      title: above the axes.
      x_title: below them.
      x_range: ends of the x axis, the first less than the second.
      y_range: values the y axis has to show; a linear one ends on round ticks.
      log: whether the y axis is logarithmic; then 0 < y_range[0] < y_range[1].
      legend_at_top: whether the legend is in the upper or the lower right corner.
    Returns:
      [480, 720, 3] uint8.
    Source: ours.
    """
    y_ticks = log_ticks(*y_range) if log else linear_ticks(*y_range)
    if not log:
        y_range = y_ticks[0], y_ticks[-1]

    width = _SCALE * (_SIZE[0] - _LEFT - _RIGHT)
    height = _SCALE * (_SIZE[1] - _TOP - _BOTTOM)
    # Lines along the ends of the axes keep their width: curves are cut off `spill`
    # pixels outside the axes.
    spill = 3 * _SCALE
    left, top = _SCALE * _LEFT, _SCALE * _TOP

    def column(x: np.ndarray | float) -> np.ndarray:
        return (np.asarray(x) - x_range[0]) / (x_range[1] - x_range[0]) * width + spill

    def row(y: np.ndarray | float) -> np.ndarray:
        # Below the axis, where a log has no value, is cut off anyway.
        y, ends = np.asarray(y), np.asarray(y_range)
        if log:
            y, ends = np.log10(np.maximum(y, ends[0] / 10)), np.log10(ends)
        return (ends[1] - y) / (ends[1] - ends[0]) * height + spill

    canvas = Image.new("RGB", (_SCALE * _SIZE[0], _SCALE * _SIZE[1]), PAPER)
    axes = Image.new("RGB", (width + 2 * spill, height + 2 * spill), PAPER)
    draw, draw_axes = ImageDraw.Draw(canvas), ImageDraw.Draw(axes)
    text, grey_line = font(_SCALE * _TEXT), {"fill": GREY, "width": _SCALE}
    for y in y_ticks:
        at = float(row(y))
        draw_axes.line([(spill, at), (spill + width, at)], _GRID, _SCALE)
        spot = (left - 10 * _SCALE, top + at - spill)
        draw.text(spot, tick_text(y), GREY, text, anchor="rm")
    for curve in curves:
        _draw_curve(draw_axes, np.stack([column(curve.x), row(curve.y)], -1), curve)
    _draw_legend(draw_axes, [c for c in curves if c.label], axes.size, legend_at_top)
    canvas.paste(axes, (left - spill, top - spill))
    draw.line([(left, top + height), (left + width, top + height)], **grey_line)
    for x in linear_ticks(*x_range, count=6):
        if x_range[0] <= x <= x_range[1]:
            at, end = left - spill + float(column(x)), top + height
            draw.line([(at, end), (at, end + 5 * _SCALE)], **grey_line)
            draw.text((at, end + 18 * _SCALE), tick_text(x), GREY, text, anchor="mm")
    draw.text((left, 28 * _SCALE), title, INK, font(_SCALE * _TITLE), anchor="lm")
    spot = (left + width / 2, (_SIZE[1] - 14) * _SCALE)
    draw.text(spot, x_title, GREY, text, anchor="mm")
    return np.asarray(canvas.resize(_SIZE, Image.Resampling.LANCZOS))


def _draw_curve(draw: ImageDraw.ImageDraw, points: np.ndarray, curve: Curve) -> None:
    """Draws a line, or a dot if there is one point; points [N, 2] in pixels."""
    width = _SCALE * curve.width
    if len(points) == 1:
        x, y = points[0].tolist()
        draw.ellipse((x - width, y - width, x + width, y + width), curve.color)
        return
    pieces = _dashes(points, 7.0 * _SCALE) if curve.dashed else [points]
    for piece in pieces:
        xy = [(x, y) for x, y in piece.tolist()]
        draw.line(xy, curve.color, width, joint="curve")


def _dashes(points: np.ndarray, length: float) -> list[np.ndarray]:
    """Cuts a polyline [N, 2] into dashes as long as the gaps between them."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    dashes = []
    for start in np.arange(0.0, along[-1], 2 * length):
        end = min(start + length, along[-1])
        inner = along[(along > start) & (along < end)]
        at = np.concatenate([[start], inner, [end]])
        dashes.append(
            np.stack([np.interp(at, along, points[:, k]) for k in (0, 1)], -1)
        )
    return dashes


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    curves: Sequence[Curve],
    size: tuple[int, int],
    at_top: bool,
) -> None:
    """Names the curves in a right corner of the axes of `size` (width, height)."""
    face = font(_SCALE * _TEXT)
    line, gap, row = 30 * _SCALE, 10 * _SCALE, 24 * _SCALE
    names = max((face.getlength(c.label) for c in curves), default=0)
    width, height = line + 3 * gap + names, row * len(curves) + gap
    x = size[0] - width - gap / 2
    y = gap / 2 if at_top else size[1] - height - gap / 2
    draw.rounded_rectangle(
        (x, y, x + width, y + height), gap // 2, PAPER, _GRID, _SCALE
    )
    for k, curve in enumerate(curves):
        middle = y + gap / 2 + (k + 0.5) * row
        points = np.array([[x + gap, middle], [x + gap + line, middle]])
        _draw_curve(draw, points, curve)
        spot = (x + 2 * gap + line, middle)
        draw.text(spot, curve.label, INK, face, anchor="lm")
