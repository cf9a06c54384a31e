"""Pictures of collected tables: against the sampler's settings, or rows as dots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.reproduce.recipes import Table
from pix2seq_d.reproduce.results import Number, Result
from pix2seq_d.visualize import chart, diagram, ladder_plot
from pix2seq_d.visualize.diagram import GREY, INK

_TITLES = {"All": "PQ (%)", "Things": "PQ of things (%)", "Stuff": "PQ of stuff (%)"}
_DOTS = ("All", "Things")  # stuff is right nearly everywhere
_CROSS = "x"


def draw(
    table: Table, results: Sequence[Result], folder: Path
) -> list[tuple[str, str]]:
    """Draws what was run of a table of PQ into files named after it.

    Args:
      table: it.
      results: of its rows.
      folder: for the files, SVG and PNG.
    Returns:
      (SVG file, what it shows); [] where there is nothing to draw, or no oracle to
      draw beside it.
    """
    run = [result for result in results if result.seeds]
    # One row shows nothing beside its number.
    if table.metric != "pq" or len(run) < 2:
        return []
    found = sorted({seed for result in run for seed in result.seeds})
    names = ", ".join(map(str, found))
    title = f"{table.title}; seed {names}"
    if len(found) > 1:
        title = f"{table.title}; lines: mean; dots: seeds {names}"
    if any(number.paper for result in run for number in result.numbers):
        title += "; crosses: the paper"
    if _is_of_the_sampler(table):
        oracle = next((r.oracle_pq for r in run if r.oracle_pq is not None), None)
        if oracle is None:
            return []
        figure, text = _against_sampler(run, title, oracle)
    else:
        figure, text = _dots(run, title), "PQ of all and of things for every row"
    for suffix in diagram.SUFFIXES:
        diagram.save(figure, folder / f"{table.name}{suffix}")
    return [(f"{table.name}.svg", text)]


def _is_of_the_sampler(table: Table) -> bool:
    """Whether all rows evaluate the same weights."""
    return len({row.evaluates or row.name for row in table.rows}) == 1


def _against_sampler(
    run: Sequence[Result], title: str, oracle: float
) -> tuple[Figure, str]:
    rows = [_mean_row(result) for result in run]
    content = {"rows": rows, "oracle": {"All": {"pq": oracle / 100}}}
    if len({row["time_difference"] for row in rows}) == 1:
        figure = ladder_plot.against_steps(content, title=title)
        (axes,) = figure.axes
        for result in run:
            for k, group in enumerate(GROUPS):
                number = result.number((group, "pq"))
                x = result.row.sampler.num_steps
                _seeds(axes, x, number, chart.COLORS[k])
        return figure, "PQ against the steps of the sampler"
    figure = ladder_plot.against_time_difference(content, title=title)
    (axes,) = figure.axes
    steps = sorted({row["num_steps"] for row in rows})
    for result in run:
        sampler, number = result.row.sampler, result.number(("All", "pq"))
        color = chart.COLORS[steps.index(sampler.num_steps) % len(chart.COLORS)]
        _seeds(axes, sampler.time_difference, number, color)
    _make_room(axes, [v for r in run for v in r.number(("All", "pq")).ours.values()])
    return figure, "PQ against the time difference"


def _mean_row(result: Result) -> dict[str, Any]:
    """A row as `evaluation.ladder_table.to_json` has it, means over seeds."""
    sampler = result.row.sampler
    means = {group: result.number((group, "pq")).mean or 0.0 for group in GROUPS}
    return {
        "num_steps": sampler.num_steps,
        "time_difference": sampler.time_difference,
        "pq": {group: {"pq": mean / 100} for group, mean in means.items()},
    }


def _seeds(axes: Axes, x: float, number: Number, color: str) -> None:
    """A small dot for each seed, and the paper's figure as a cross."""
    if len(number.ours) > 1:
        values = list(number.ours.values())
        axes.plot([x] * len(values), values, ".", color=color, markersize=5)
    if number.paper is not None:
        axes.plot([x], [number.paper.percent], _CROSS, color=color, clip_on=False)


def _make_room(axes: Axes, values: Sequence[float]) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, min(values) - 0.5), max(high, max(values) + 0.5))


def _dots(run: Sequence[Result], title: str) -> Figure:
    figure, panels = chart.new_figure(len(_DOTS), title=title)
    names = [result.row.name for result in run]
    for axes, group in zip(panels, _DOTS, strict=True):
        numbers = [result.number((group, "pq")) for result in run]
        axes.set_title(_TITLES[group], loc="left", fontsize=9, color=INK)
        for x, number in enumerate(numbers):
            _dot(axes, x, number)
        axes.set_xticks(range(len(names)), labels=names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        papers = (number.paper for number in numbers)
        values = [paper.percent for paper in papers if paper]
        values += [value for number in numbers for value in number.ours.values()]
        axes.set_ylim(0, 1.1 * max(*values, 1.0))
        axes.grid(axis="y", color="#e2e6eb")
        axes.set_axisbelow(True)
        axes.tick_params(colors=GREY, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
    return figure


def _dot(axes: Axes, x: int, number: Number) -> None:
    """A row's mean as a bar with its value, its seeds as dots."""
    mean, color = number.mean, chart.COLORS[0]
    if mean is None:
        return
    axes.hlines(mean, x - 0.25, x + 0.25, color=color, linewidth=1.8)
    values = list(number.ours.values())
    axes.plot([x] * len(values), values, "o", color=color, markersize=5, alpha=0.7)
    axes.annotate(
        f"{mean:.1f}",
        (x + 0.25, mean),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
    )
    if number.paper is not None:
        axes.plot([x], [number.paper.percent], _CROSS, color=GREY)
