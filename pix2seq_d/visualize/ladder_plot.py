"""PQ against the settings of the sampler, as `ladder.json` holds it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.visualize import chart
from pix2seq_d.visualize.chart import Line
from pix2seq_d.visualize.diagram import GREY

Row = Mapping[str, Any]

# Labels of ticks that are nearer than this share of the axis would touch.
_TICK_SHARE = 0.045


def against_steps(content: Mapping[str, Any], *, title: str) -> Figure:
    """PQ over the logarithm of the sampler steps: of all, things and stuff.

    Of several time differences: of all, a line for each.

    Args:
      content: as `evaluation.ladder_table.to_json` gives it.
      title: what was evaluated.
    """
    rows = content["rows"]
    times = sorted({row["time_difference"] for row in rows})
    if len(times) == 1:
        series = {group.lower(): (rows, group) for group in GROUPS}
    else:
        series = {
            f"time difference {td:g}": (
                [row for row in rows if row["time_difference"] == td],
                "All",
            )
            for td in times
        }
    figure, (axes,) = chart.new_figure(1, title=title)
    lines = _lines(series, "num_steps")
    steps = sorted({row["num_steps"] for row in rows})
    _draw(axes, lines, content, what="sampler steps", x_range=(steps[0], steps[-1]))
    axes.set_xscale("log")
    axes.set_xticks(steps, labels=_tick_labels(steps))
    axes.xaxis.set_minor_locator(NullLocator())
    if len(steps) == 1:
        axes.set_xlim(steps[0] / 2, steps[0] * 2)
    return figure


def against_time_difference(content: Mapping[str, Any], *, title: str) -> Figure:
    """PQ of all over the time difference, a line for each number of sampler steps.

    Args:
      content: as `evaluation.ladder_table.to_json` gives it.
      title: what was evaluated.
    """
    rows = content["rows"]
    steps = sorted({row["num_steps"] for row in rows})
    series = {
        f"{n} step{'s' if n > 1 else ''}": (
            [row for row in rows if row["num_steps"] == n],
            "All",
        )
        for n in steps
    }
    figure, (axes,) = chart.new_figure(1, title=title)
    times = sorted({row["time_difference"] for row in rows})
    lines = _lines(series, "time_difference")
    _draw(axes, lines, content, what="time difference", x_range=(times[0], times[-1]))
    axes.set_xticks(times, labels=[f"{td:g}" for td in times])
    return figure


def _lines(series: Mapping[str, tuple[Sequence[Row], str]], x_name: str) -> list[Line]:
    """A line for each name: rows and the group whose PQ is drawn, in percent."""
    lines = []
    for k, (name, (rows, group)) in enumerate(series.items()):
        values = [100 * row["pq"][group]["pq"] for row in rows]
        lines.append(
            Line(
                [row[x_name] for row in rows],
                values,
                chart.COLORS[k % len(chart.COLORS)],
                label=f"{name} {values[-1]:.1f}",
                marker=chart.MARKERS[k % len(chart.MARKERS)],
            )
        )
    return lines


def _draw(
    axes: Axes,
    lines: Sequence[Line],
    content: Mapping[str, Any],
    *,
    what: str,
    x_range: tuple[float, float],
) -> None:
    """Draws lines and, behind them, the oracle of all."""
    best = 100 * content["oracle"]["All"]["pq"]
    label = f"oracle of all {best:.1f}"
    oracle = Line(x_range, [best, best], GREY, label=label, dashed=True, width=1.2)
    shown = [oracle, *lines]
    chart.draw(axes, shown, title=f"PQ (%) against {what}", x_title=what)
    axes.set_ylim(0, min(100.0, 1.08 * max(1.0, *(max(line.y) for line in shown))))
    chart.name_ends(axes, shown)


def _tick_labels(steps: Sequence[int]) -> list[str]:
    """The numbers; '' for one that would touch the one before."""
    span = math.log(steps[-1] / steps[0]) or 1.0
    labels, last = [], -math.inf
    for n in steps:
        fits = math.log(n / steps[0]) / span - last >= _TICK_SHARE
        labels.append(str(n) if fits else "")
        if fits:
            last = math.log(n / steps[0]) / span
    return labels
