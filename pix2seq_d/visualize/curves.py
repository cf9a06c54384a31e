"""Training curves: loss and PQ against the step, drawn with Pillow."""

import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pix2seq_d.visualize.colors import Color
from pix2seq_d.visualize.legend import GREY, INK, PAPER, font

_COLORS = ((31, 105, 196), (226, 106, 30), (36, 150, 86), (150, 72, 180), (196, 42, 72))
_GRID: Color = (226, 229, 234)
_SCALE = 2  # supersampling
_PLOT = (720, 480)  # width and height of one plot with its texts, pixels

Series = tuple[np.ndarray, np.ndarray]  # steps [N] ascending, values [N] finite


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
      [480, 720 or 1440, 3] uint8.
    Raises:
      ValueError: no record of any run has a finite loss or PQ.
    Source: ours.
    """
    loss: list[_Curve] = []
    quality: list[_Curve] = []
    for k, (name, records) in enumerate(runs.items()):
        color = _COLORS[k % len(_COLORS)]
        raw = _series(records, "loss")
        if len(raw[0]):
            light = tuple(round(v + 0.68 * (255 - v)) for v in color)
            loss.append(_Curve(raw, light, 1))
            text = name if len(runs) > 1 else "loss, smoothed"
            loss.append(_Curve((raw[0], _smooth(raw[1])), color, 3, text))
        for key, text in (("eval/pq", "PQ"), ("eval/oracle_pq", "oracle PQ")):
            steps, values = _series(records, key)
            if len(steps):
                label = f"{text}, {name}" if len(runs) > 1 else text
                dashed = key == "eval/oracle_pq"
                quality.append(
                    _Curve((steps, 100 * values), color, 3, label, dashed=dashed)
                )
    plots = []
    if loss:
        loss.sort(key=lambda c: c.width)  # smoothed curves above all raw ones
        smooth = np.concatenate([c.series[1] for c in loss if c.label])
        log = smooth.min() > 0 and smooth.max() > 5 * smooth.min()
        plots.append(_plot(loss, "Training loss", log=bool(log)))
    if quality:
        plots.append(_plot(quality, "Panoptic quality (%)", log=False))
    if not plots:
        raise ValueError(
            f"no finite 'loss' or 'eval/pq' in {', '.join(runs) or 'no runs'}; give "
            "metrics of a run that has logged a step"
        )
    return np.concatenate(plots, axis=1)
