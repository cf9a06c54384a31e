"""Charts of lines, drawn with matplotlib and named at the ends of the lines."""

import dataclasses
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from scipy import optimize

from pix2seq_d.visualize.diagram import GREY, INK

# Okabe and Ito's colours, which are apart for colour-blind readers, too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v")

_GRID = "#e2e6eb"
_SHADE = 0.75  # of a line's colour in its label: light words are hard to read
_TEXT, _TITLE = 9, 11  # points
_PANEL = (6.4, 4.0)  # inches


@dataclasses.dataclass(frozen=True)
class Line:
    """A line through points.

    Attributes:
      x: [N] float, finite.
      y: [N] float, finite.
      color: as matplotlib has it.
      label: stands at its end, in its colour; nothing does if empty.
      marker: at each point, as matplotlib has it; none if empty.
      dashed: whether the line is dashed.
      width: points.
    """

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    color: str
    label: str = ""
    marker: str = ""
    dashed: bool = False
    width: float = 1.8


def new_figure(panels: int, *, title: str = "") -> tuple[Figure, list[Axes]]:
    """A white figure of axes side by side, two in a row.

    Args:
      panels: number of axes.
      title: above all of them.
    """
    columns = min(panels, 2)
    rows = -(-panels // columns)
    size = _PANEL[0] * columns, _PANEL[1] * rows
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    if title:
        wrapped = textwrap.fill(title, 70 * columns)
        figure.suptitle(wrapped, x=0.02, ha="left", fontsize=_TITLE, color=INK)
    axes = [figure.add_subplot(rows, columns, k + 1) for k in range(panels)]
    return figure, axes


def draw(
    axes: Axes, lines: Sequence[Line], *, title: str, x_title: str, log_y: bool = False
) -> None:
    """Draws lines into axes; later ones lie on top. `name_ends` has to follow.

    Args:
      axes: of `new_figure`.
      lines: at least one.
      title: above the axes.
      x_title: below them.
      log_y: whether the y axis is logarithmic.
    """
    axes.set_title(title, loc="left", fontsize=_TEXT, color=INK)
    axes.set_xlabel(x_title, fontsize=_TEXT, color=GREY)
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    for line in lines:
        # A single point would not be seen.
        marker = line.marker or ("o" if len(line.x) == 1 else "")
        (drawn,) = axes.plot(
            line.x,
            line.y,
            color=line.color,
            marker=marker,
            markersize=5.5,
            linestyle=(0, (5, 3)) if line.dashed else "solid",
            linewidth=line.width,
            clip_on=not marker,
        )
        # The name of the line's group in an SVG.
        drawn.set_gid(line.label or None)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, labelsize=_TEXT, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def name_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Puts the labels of lines right of the axes, each near the end of its line.

    The axes have their limits by now.
    """
    named = sorted((line for line in lines if line.label), key=lambda line: line.y[-1])
    if not named:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # so that the axes have a size
    ends = np.array([(0.0, line.y[-1]) for line in named])
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]
    row = 1.35 * _TEXT / 72 * figure.dpi / axes.bbox.height
    # As near to the ends as labels can be that do not touch.
    steps = row * np.arange(len(named))
    spread = optimize.isotonic_regression(np.clip(heights, 0, 1) - steps).x + steps
    for line, height in zip(named, spread, strict=True):
        axes.text(
            1.02,
            float(height),
            line.label,
            color=np.multiply(_SHADE, to_rgb(line.color)),
            fontsize=_TEXT,
            va="center",
            transform=axes.transAxes,
        )
