"""PQ against the number of sampler steps, as `launch.evaluate --ladder` measures it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import parse_json

FILE = "ladder.json"
_WIDTH, _HEIGHT = 520, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 112, 14, 46  # margins of the plot


@dataclasses.dataclass(frozen=True)
class Rung:
    """PQ of all, things, stuff, as fractions, with a number of sampler steps."""

    num_steps: int
    pq: tuple[float, ...]


def read(path: Path, *, time_difference: float) -> tuple[Rung, ...]:
    """Reads a ladder, by rising number of steps.

    Args:
      path: the file.
      time_difference: of the sampler; rows of others are left out.
    Returns:
      The rungs; () where the ladder was measured with other time differences.
    Raises:
      ValueError: not JSON, or a field is missing or wrong; the message names the file.
    """
    content = parse_json(File.read(path))
    try:
        rows = content["rows"]
        times = [row.get("time_difference", time_difference) for row in rows]
        rungs = [
            Rung(
                int(row["num_steps"]),
                tuple(float(row["pq"][group]["pq"]) for group in GROUPS),
            )
            for row, time in zip(rows, times, strict=True)
            if time == time_difference
        ]
        if not rows or min((rung.num_steps for rung in rungs), default=1) < 1:
            raise ValueError("no rows, or one without steps")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: is no ladder of launch.evaluate ({type(error).__name__}: "
            f"{error}); measure it again, or remove the file"
        ) from error
    return tuple(sorted(rungs, key=lambda rung: rung.num_steps))


def section(rungs: Sequence[Rung], *, command: str) -> list[str]:
    """The plot and its table.

    Args:
      rungs: empty where no ladder was measured.
      command: that measures it, for that case.
    """
    parts = ["<h2>PQ against sampler steps</h2>"]
    if not rungs:
        return [
            *parts,
            f'<p class="soft">Not measured. <code>{escape(command)}</code> measures '
            "it, and the next report has it.</p>",
        ]
    head = "".join(f"<th scope=col>{group.lower()}</th>" for group in GROUPS)
    rows = "".join(
        f"<tr><th scope=row>{rung.num_steps}</th>"
        f"{''.join(f'<td>{percent(value)}</td>' for value in rung.pq)}</tr>"
        for rung in rungs
    )
    return [
        *parts,
        _plot(rungs),
        "<details><summary>The same as a table</summary><div class=scroll><table>"
        f"<thead><tr><th scope=col>steps</th>{head}</tr></thead><tbody>{rows}</tbody>"
        "</table></div></details>",
    ]


def _plot(rungs: Sequence[Rung]) -> str:
    """Lines over log2 of the steps; each group has its own dash and marker."""
    logs = [math.log2(rung.num_steps) for rung in rungs]
    low, span = logs[0], max(logs[-1] - logs[0], 1e-9)
    most = max(value for rung in rungs for value in rung.pq)
    top = max(1, math.ceil(10 * most)) / 10

    def x(log: float) -> float:
        share = (log - low) / span if len(rungs) > 1 else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for k in range(round(10 * top) + 1):
        if k % (2 if top > 0.5 else 1) == 0:
            height = y(k / 10)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
                f'y1="{height:.1f}" y2="{height:.1f}"/><text x="{_LEFT - 8}" '
                f'y="{height + 4:.1f}" text-anchor="end">{10 * k}</text>'
            )
    for rung, log in zip(rungs, logs, strict=True):
        parts.append(
            f'<text x="{x(log):.1f}" y="{_HEIGHT - _BOTTOM + 18}" '
            f'text-anchor="middle">{rung.num_steps}</text>'
        )
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 4}" '
        'text-anchor="middle">sampler steps</text>'
    )
    ends = _apart([y(value) for value in rungs[-1].pq])
    for k, group in enumerate(GROUPS):
        points = [
            (x(log), y(rung.pq[k])) for log, rung in zip(logs, rungs, strict=True)
        ]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<g class="line{k}"><polyline points="{line}"/>')
        for (px, py), rung in zip(points, rungs, strict=True):
            parts.append(
                f'<path d="{_marker(k, px, py)}"><title>{group.lower()}, '
                f"{rung.num_steps} steps: PQ {percent(rung.pq[k])}</title></path>"
            )
        parts.append(
            f'<text x="{points[-1][0] + 10:.1f}" y="{ends[k] + 4:.1f}">'
            f"{group.lower()} {percent(rungs[-1].pq[k])}</text></g>"
        )
    label = "; ".join(
        f"{rung.num_steps} steps: PQ {percent(rung.pq[0])}" for rung in rungs
    )
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def _marker(k: int, x: float, y: float) -> str:
    """A square, a triangle or a diamond."""
    corners = (
        ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        ((0, -5), (5, 4), (-5, 4)),
        ((0, -6), (6, 0), (0, 6), (-6, 0)),
    )[k]
    return "M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners) + "Z"


def _apart(heights: Sequence[float], least: float = 16.0) -> list[float]:
    """The heights, moved down where two are too near for their labels."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    moved = list(heights)
    for before, k in itertools.pairwise(order):
        moved[k] = max(moved[k], moved[before] + least)
    return moved
