"""Training curves: loss and PQ against the step, drawn with Pillow."""

import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from pix2seq_d.visualize.colors import Color
from pix2seq_d.visualize.plot import Curve, draw_plot

COLORS = ((31, 105, 196), (226, 106, 30), (36, 150, 86), (150, 72, 180), (196, 42, 72))


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


def training_curves(
    paths: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
) -> None:
    """Draws the metrics files of one or more runs into the PNG `output`.

    Several runs are named after their files, or after their folders where the
    files have one name.

    Raises:
      FileNotFoundError, ValueError: see `read_metrics` and `draw_curves`.
    """
    several = [paths] if isinstance(paths, str | PathLike) else list(paths)
    files = [Path(p) for p in several]
    names = [p.stem for p in files]
    if len(set(names)) < len(names):
        names = [p.resolve().parent.name for p in files]
    if len(set(names)) < len(names):
        names = [str(p) for p in files]
    runs = {n: read_metrics(p) for n, p in zip(names, files, strict=True)}
    Image.fromarray(draw_curves(runs)).save(output)


def draw_curves(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> np.ndarray:
    """Loss (raw light, smoothed dark) and, if evaluated, PQ (oracle dashed).

    The loss axis is logarithmic where the smoothed loss spans more than a factor
    5. Where a step occurs twice (a resumed run), its last value counts; values that
    are not finite are left out.

    Args:
      runs: name -> records with `step` and `loss`, or `step` and `eval/pq` and
        perhaps `eval/oracle_pq`, both fractions.
    Returns:
      [480, 720, 3] uint8, 1440 wide where there is PQ as well as loss.
    Raises:
      ValueError: no record of any run has a finite loss or PQ.
    Source: ours.
    """
    raw, smooth, quality = [], [], []
    for k, (name, records) in enumerate(runs.items()):
        color = COLORS[k % len(COLORS)]
        suffix = f", {name}" if len(runs) > 1 else ""
        steps, values = _series(records, "loss")
        if len(steps):
            raw.append(Curve(steps, values, _lighten(color), width=1))
            smoothed = _smooth(values)
            label = f"loss {smoothed[-1]:.3g}{suffix}"
            smooth.append(Curve(steps, smoothed, color, label=label))
        for key, text in (("eval/pq", "PQ"), ("eval/oracle_pq", "oracle PQ")):
            steps, values = _series(records, key)
            if len(steps):
                label = f"{text} {100 * values[-1]:.1f}{suffix}"
                dashed = key == "eval/oracle_pq"
                quality.append(Curve(steps, 100 * values, color, 3, label, dashed))
    if not smooth and not quality:
        raise ValueError(
            f"no finite 'loss' or 'eval/pq' in {', '.join(runs) or 'no runs'}; give "
            "the metrics of a run that has logged a step"
        )
    x_range = _step_axis([*smooth, *quality])
    plots = []
    if smooth:
        y_range, log = _loss_axis(raw, smooth)
        plots.append(
            draw_plot(
                [*raw, *smooth],
                title="Training loss",
                x_title="training step",
                x_range=x_range,
                y_range=y_range,
                log=log,
            )
        )
    if quality:
        plots.append(
            draw_plot(
                quality,
                title="Panoptic quality (PQ, %)",
                x_title="training step",
                x_range=x_range,
                y_range=(0.0, max(1.0, *(float(c.y.max()) for c in quality))),
                legend_at_top=False,
            )
        )
    return np.concatenate(plots, axis=1)


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


def _lighten(color: Color) -> Color:
    red, green, blue = (round(v + 0.62 * (255 - v)) for v in color)
    return red, green, blue


def _step_axis(curves: Sequence[Curve]) -> tuple[float, float]:
    """Both plots' step axis: from 0 unless the first step is far from it."""
    low = float(min(c.x[0] for c in curves))
    high = float(max(c.x[-1] for c in curves))
    if low == high:
        return low - 1.0, high + 1.0
    return (0.0 if 0 <= low <= 0.2 * high else low), high


def _loss_axis(
    raw: Sequence[Curve], smooth: Sequence[Curve]
) -> tuple[tuple[float, float], bool]:
    """The range of the loss axis, and whether it is logarithmic.

    It holds the smoothed losses and 99 % of the raw ones: a single spike must not
    flatten the rest.
    """
    values = np.concatenate([c.y for c in smooth])
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high > 5 * low
    for curve in raw:
        ends = np.percentile(curve.y, (0.5, 99.5))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    if log:
        low = max(low, float(values.min()) / 3)
        return (low / 1.1, high * 1.1), True
    return (low, high), False
