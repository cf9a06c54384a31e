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
    steps = sorted({row["num_steps"] for row in rows})
    times = sorted({row["time_difference"] for row in rows})
    figure, (axes,) = chart.new_figure(1, title=title)
    if len(times) == 1:
        lines = _lines({group.lower(): (rows, group) for group in GROUPS}, "num_steps")
        _draw_groups(axes, lines, content)
    else:
        series = {
            f"time difference {td:g}": (_where(rows, "time_difference", td), "All")
            for td in times
        }
        _draw_all(axes, _lines(series, "num_steps"), content, "sampler steps")
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
    series = {
        f"{n} step{'s' if n > 1 else ''}": (_where(rows, "num_steps", n), "All")
        for n in sorted({row["num_steps"] for row in rows})
    }
    figure, (axes,) = chart.new_figure(1, title=title)
    _draw_all(axes, _lines(series, "time_difference"), content, "time difference")
    times = sorted({row["time_difference"] for row in rows})
    axes.set_xticks(times, labels=[f"{td:g}" for td in times])
    return figure


def _where(rows: Sequence[Row], key: str, value: float) -> list[Row]:
    return [row for row in rows if row[key] == value]


def _draw_groups(axes: Axes, lines: Sequence[Line], content: Mapping[str, Any]) -> None:
    """All, things and stuff from 0 on, and behind them the oracle of all."""
    best = 100 * content["oracle"]["All"]["pq"]
    ends = [lines[0].x[0], lines[0].x[-1]]
    label = f"oracle of all {best:.1f}"
    oracle = Line(ends, [best, best], GREY, label, dashed=True, width=1.2)
    shown = [oracle, *lines]
    title = "PQ (%) against sampler steps"
    chart.draw(axes, shown, title=title, x_title="sampler steps")
    axes.set_ylim(0, min(100.0, 1.08 * max(max(line.y) for line in shown)))
    chart.name_ends(axes, shown)


def _draw_all(
    axes: Axes, lines: Sequence[Line], content: Mapping[str, Any], what: str
) -> None:
    """Lines of all, which are near to one another: not from 0 on."""
    best = 100 * content["oracle"]["All"]["pq"]
    title = f"PQ of all (%) against {what}; oracle {best:.1f}"
    chart.draw(axes, lines, title=title, x_title=what)
    values = [value for line in lines for value in line.y]
    margin = max(1.0, 0.1 * (max(values) - min(values)))
    axes.set_ylim(max(0.0, min(values) - margin), min(100.0, max(values) + margin))
    chart.name_ends(axes, lines)


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
