"""Boxes, arrows and words of a block diagram, drawn with matplotlib."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, GREY, LINE = "#1b2733", "#5b6b7b", "#33475b"
SUFFIXES = (".png", ".svg")

_LEADING = 0.2  # inches from one line of a box to the next


class Diagram:
    """A white page to draw on, from (left, 0) to (right, height).

    All places are in inches; y goes up.

    Attributes:
      figure: matplotlib's, at 100 pixels an inch.
    """

    def __init__(self, left: float, right: float, height: float) -> None:
        size = right - left, height
        self.figure = Figure(figsize=size, dpi=100, facecolor="white")
        self._axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set_axis_off()
        self._axes.set_xlim(left, right)
        self._axes.set_ylim(0, height)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        color: str = INK,
        size: float = 9,
        bold: bool = False,
        left: bool = False,
    ) -> None:
        """Words centred on (x, y), or beginning there."""
        self._axes.text(
            x,
            y,
            words,
            color=color,
            fontsize=size,
            fontweight="bold" if bold else "normal",
            horizontalalignment="left" if left else "center",
            verticalalignment="center",
        )

    def box(
        self,
        x: float,
        y: float,
        lines: Sequence[str],
        *,
        width: float,
        height: float,
        color: str,
    ) -> None:
        """A box around (x, y), outlined in color, with a bold first line."""
        corner = x - width / 2, y - height / 2
        self._rounded(corner, width, height, radius=0.07, fill="white", edge=color)
        for index, words in enumerate(lines):
            first = index == 0
            at = y + ((len(lines) - 1) / 2 - index) * _LEADING
            self.text(x, at, words, color=INK if first else GREY, bold=first)

    def panel(
        self, left: float, right: float, bottom: float, top: float, *, color: str
    ) -> None:
        """A shaded area behind all else."""
        size = right - left, top - bottom
        self._rounded((left, bottom), *size, radius=0.15, fill=color, edge="none")

    def arrow(self, *points: tuple[float, float], soft: bool = False) -> None:
        """An arrow along points; a soft one is thin and dashed."""
        color, width = (GREY, 0.9) if soft else (LINE, 1.5)
        style = (0, (4, 2.5)) if soft else "solid"
        head = FancyArrowPatch(
            points[-2],
            points[-1],
            arrowstyle="-|>",
            mutation_scale=8 if soft else 12,
            shrinkA=0,
            shrinkB=0,
            linestyle=style,
            linewidth=width,
            color=color,
        )
        self._axes.add_patch(head)
        xs, ys = zip(*points[:-1], strict=True)
        self._axes.plot(xs, ys, color=color, linestyle=style, linewidth=width, zorder=1)

    def _rounded(
        self,
        corner: tuple[float, float],
        width: float,
        height: float,
        *,
        radius: float,
        fill: str,
        edge: str,
    ) -> None:
        patch = FancyBboxPatch(
            corner,
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={radius}",
            facecolor=fill,
            edgecolor=edge,
            linewidth=1.3,
            zorder=0 if edge == "none" else 2,
        )
        self._axes.add_patch(patch)


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """Writes a figure; the same figure gives the same bytes.

    Args:
      figure: of a `Diagram`.
      path: ends in .png or .svg; its folder exists.
    Raises:
      ValueError: another ending.
      OSError: the file cannot be written.
    """
    path = check_path(path)
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None}
    # Text stays text in an SVG, and its ids do not change from run to run.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "diagram"}):
        figure.savefig(path, metadata=metadata)


def check_path(path: str | PathLike[str]) -> Path:
    """The path, if a figure may be written there.

    Raises:
      ValueError: it ends in neither .png nor .svg.
      FileNotFoundError: its folder does not exist.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: figures are drawn as .png or .svg; name it so")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder for {path.name}")
    return path
