"""Training curves of one run or of several, against the training step."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from scipy import ndimage

from pix2seq_d.visualize import chart
from pix2seq_d.visualize.chart import Line
from pix2seq_d.visualize.diagram import GREY

# Keys of the scores in a record, and what they are called.
QUALITY = {
    "eval/pq": "PQ",
    "eval/things_pq": "things",
    "eval/stuff_pq": "stuff",
    "eval/oracle_pq": "oracle",
    "eval/stq": "STQ",
    "eval/vpq": "VPQ",
    "eval/oracle_stq": "oracle STQ",
}
_OF_ONE_RUN = ("eval/things_pq", "eval/stuff_pq")  # of several they are too much


@dataclasses.dataclass(frozen=True)
class _Panel:
    """Lines for one pair of axes, and behind them the same before smoothing."""

    title: str
    lines: list[Line]
    raw: list[Line] = dataclasses.field(default_factory=list)


def read_metrics(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Reads a JSON-lines file of metrics, one object with `step` a line.

    A last line without its line end is left out if it does not parse: the run
    is still writing it.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a line is no JSON object with a number `step`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such metrics file; give a .jsonl of a run")
    lines = path.read_text(encoding="utf-8").split("\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise ValueError(
                f"{path}:{number}: not JSON; delete or repair this line"
            ) from None
        if not isinstance(record, dict) or not isinstance(
            record.get("step"), int | float
        ):
            raise ValueError(
                f"{path}:{number}: no number 'step'; each line must be a JSON object "
                'such as {"step": 1, "loss": 0.5}'
            )
        records.append(record)
    return records


def draw_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss, quality, learning rate and gradient norm against the training step.

    What no run has logged gets no axes. Loss and norm are drawn light as they are and
    dark smoothed, on a logarithmic axis where the smoothed ones span more than a factor
    5. Quality is PQ, of videos STQ, with the oracle dashed; of a single run also that
    of things and stuff. Where a step occurs twice (a resumed run), its last value
    counts; values that are not finite are left out.

    Args:
      runs: name -> records with `step` and any of `loss`, `learning_rate`, `grad_norm`
        and the keys of `QUALITY`, which are fractions.
    Raises:
      ValueError: no record of any run has a finite loss, PQ or STQ.
    Source: ours.
    """
    loss, quality = _panel(runs, "loss", "training loss"), _quality(runs)
    if not loss.lines and not quality.lines:
        raise ValueError(
            "no finite 'loss', 'eval/pq' or 'eval/stq' in "
            f"{', '.join(runs) or 'no run'}; give a run that has logged a step"
        )
    rate = _panel(runs, "learning_rate", "learning rate", smooth=False)
    norm = _panel(runs, "grad_norm", "gradient norm, before clipping")
    panels = [panel for panel in (loss, quality, rate, norm) if panel.lines]
    figure, axes = chart.new_figure(
        len(panels), title=next(iter(runs)) if len(runs) == 1 else ""
    )
    x_range = _step_axis([line for panel in panels for line in panel.lines])
    for panel, axis in zip(panels, axes, strict=True):
        y_range, log = _value_axis(panel)
        chart.draw(
            axis,
            [*panel.raw, *panel.lines],
            title=panel.title,
            x_title="training step",
            log_y=log,
        )
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_xlim(*x_range)
        axis.set_ylim(*y_range)
        chart.name_ends(axis, panel.lines)
    return figure


def _panel(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    key: str,
    title: str,
    *,
    smooth: bool = True,
) -> _Panel:
    """One value of all runs."""
    panel = _Panel(title, [])
    for k, (name, records) in enumerate(runs.items()):
        color = chart.COLORS[k % len(chart.COLORS)]
        steps, values = _series(records, key)
        if not len(steps):
            continue
        if smooth:
            panel.raw.append(Line(steps, values, _lighten(color), width=0.7))
            values = _smooth(values)
        label = f"{values[-1]:.3g}" + (f" {name}" if len(runs) > 1 else "")
        panel.lines.append(Line(steps, values, color, label))
    return panel


def _quality(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> _Panel:
    """The scores of all runs, in percent."""
    panel = _Panel("quality (%)", [])
    alone = len(runs) == 1
    for k, (name, records) in enumerate(runs.items()):
        for number, (key, text) in enumerate(QUALITY.items()):
            steps, values = _series(records, key)
            if not len(steps) or (key in _OF_ONE_RUN and not alone):
                continue
            is_oracle = "oracle" in key
            # A run's colour among several, a score's where there is one run.
            color = chart.COLORS[(number if alone else k) % len(chart.COLORS)]
            panel.lines.append(
                Line(
                    steps,
                    100 * values,
                    GREY if alone and is_oracle else color,
                    f"{text} {100 * values[-1]:.1f}" + ("" if alone else f" {name}"),
                    "" if is_oracle else chart.MARKERS[number % len(chart.MARKERS)],
                    dashed=is_oracle,
                )
            )
    return panel


def _series(
    records: Sequence[Mapping[str, Any]], key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Steps [N] ascending and finite values [N] of one key, float64."""
    values = {
        float(r["step"]): float(r[key])
        for r in records
        if isinstance(r.get(key), int | float) and math.isfinite(r[key])
    }
    steps = sorted(values)
    return np.array(steps), np.array([values[s] for s in steps])


def _smooth(values: np.ndarray) -> np.ndarray:
    """Gaussian mean over about a fortieth of the run: no lag, unlike a running one.

    Of logarithms where all values are positive, so that one spike makes no hill.
    """
    positive = len(values) > 0 and values.min() > 0
    smoothed = ndimage.gaussian_filter1d(
        np.log(values) if positive else values, max(len(values) / 80, 0.5)
    )
    return np.exp(smoothed) if positive else smoothed


def _lighten(color: str) -> str:
    red, green, blue = (v + 0.62 * (1 - v) for v in colors.to_rgb(color))
    return colors.to_hex((red, green, blue))


def _step_axis(lines: Sequence[Line]) -> tuple[float, float]:
    """All plots' step axis: from 0 unless the first step is far from it."""
    low = float(min(line.x[0] for line in lines))
    high = float(max(line.x[-1] for line in lines))
    if low == high:
        return low - 1.0, high + 1.0
    return (0.0 if 0 <= low <= 0.2 * high else low), high


def _value_axis(panel: _Panel) -> tuple[tuple[float, float], bool]:
    """The range of a panel's axis, and whether it is logarithmic.

    It begins at 0 unless the values are smoothed. Then it holds the smoothed ones and
    99 % of the raw ones: a single spike must not flatten the rest.
    """
    values = np.concatenate([line.y for line in panel.lines])
    low, high = float(values.min()), float(values.max())
    if not panel.raw:
        return (0.0, 1.05 * high or 1.0), False
    log = low > 0 and high > 5 * low
    for line in panel.raw:
        ends = np.percentile(line.y, (0.5, 99.5))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    if log:
        low = max(low, float(values.min()) / 3)
        return (low / 1.1, high * 1.1), True
    margin = 0.05 * (high - low) or abs(high) / 2 or 1.0
    return (low - margin, high + margin), False
