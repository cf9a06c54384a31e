"""A ladder of sampler settings as a Markdown table and as JSON."""

from collections.abc import Sequence
from typing import Any

from pix2seq_d.evaluation import table, text_table
from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.ladder import Rung
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.labels import LabelSpace


def markdown(rungs: Sequence[Rung]) -> str:
    """A row for each rung, and the oracle's: percent, milliseconds an image.

    The time is the sampler's alone; `-` where it was not measured.
    """
    head = ("sampler steps", "time difference", "PQ", "things", "stuff", "SQ", "RQ")
    rows = []
    for rung in rungs:
        time = "-" if rung.seconds is None else f"{1000 * rung.seconds:.1f}"
        setting = str(rung.num_steps), f"{rung.time_difference:g}"
        rows.append((*setting, *_values(rung.report.pq), time))
    rows.append(("oracle", "", *_values(rungs[0].report.oracle), ""))
    return text_table.markdown((*head, "ms"), rows)


def to_json(rungs: Sequence[Rung], label_space: LabelSpace) -> dict[str, Any]:
    """The ladder as JSON types.

    Returns:
      `images`: how many. `rows`: of each rung `num_steps`, `time_difference`,
      `seconds_per_image` (or null), `pq`: groups -> pq, sq, rq, n, and `per_class` as
      in `table.to_json`; fractions. `oracle`: groups and `per_class`.
    """
    rows = []
    for rung in rungs:
        scores = table.to_json(rung.report, label_space)
        rows.append(
            {
                "num_steps": rung.num_steps,
                "time_difference": rung.time_difference,
                "seconds_per_image": rung.seconds,
                "pq": {group: scores[group] for group in GROUPS},
                "per_class": scores["per_class"],
            }
        )
    first = rungs[0].report
    return {
        "images": first.num_images,
        "rows": rows,
        "oracle": table.to_json(first, label_space)["oracle"],
    }


def _values(result: dict[str, dict[Any, Any]]) -> tuple[str, ...]:
    means = [result[group]["pq"] if result[group]["n"] else None for group in GROUPS]
    every = result["All"]
    return tuple(map(percent, (*means, every["sq"], every["rq"])))
