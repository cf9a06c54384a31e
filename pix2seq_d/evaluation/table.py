"""Panoptic quality as a Markdown table and as JSON."""

from collections.abc import Mapping
from typing import Any

from pix2seq_d.evaluation import text_table
from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.labels import LabelSpace


def markdown(report: Report, label_space: LabelSpace) -> str:
    """A table of PQ, SQ, RQ and the oracle's PQ: groups first, then each class.

    Values are percent; classes that neither truth nor prediction holds show `-`.
    """
    head = ("", "PQ", "SQ", "RQ", "oracle PQ", "TP", "FP", "FN")
    rows = []
    for group in GROUPS:
        values, oracle = report.pq[group], report.oracle[group]
        title = f"**{group.lower()}** ({values['n']})"
        rows.append((title, *_values(values, oracle), "", "", ""))
    for category in label_space.categories:
        values = report.pq["per_class"][category.id]
        oracle = report.oracle["per_class"][category.id]
        counts = tuple(str(values[k]) for k in ("tp", "fp", "fn"))
        rows.append((category.name, *_values(values, oracle), *counts))
    return text_table.markdown(head, rows)


def groups_markdown(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A row for each result: PQ, SQ, RQ of all, things and stuff, percent.

    Args:
      results: name -> groups, as `PanopticQuality.result` and `to_json` have them.
    """
    columns = [(group, value) for group in GROUPS for value in ("pq", "sq", "rq")]
    head = ("", *(f"{v.upper()} {g.lower()}" for g, v in columns))
    rows = [
        (name, *(percent(groups[g][v] if groups[g]["n"] else None) for g, v in columns))
        for name, groups in results.items()
    ]
    return text_table.markdown(head, rows)


def to_json(report: Report, label_space: LabelSpace) -> dict[str, Any]:
    """The report as JSON types; `per_class` by category id, with name and kind."""
    return {
        "num_images": report.num_images,
        **result_to_json(report.pq, label_space),
        "oracle": result_to_json(report.oracle, label_space),
    }


def result_to_json(
    result: dict[str, dict[Any, Any]], label_space: LabelSpace
) -> dict[str, Any]:
    """What `PanopticQuality.result` gives as JSON types: groups and `per_class`."""
    classes = {
        str(c.id): {"name": c.name, "isthing": int(c.is_thing)}
        | result["per_class"][c.id]
        for c in label_space.categories
    }
    return {group: result[group] for group in GROUPS} | {"per_class": classes}


def _values(values: dict[str, Any], oracle: dict[str, Any]) -> tuple[str, ...]:
    if not values["n"]:
        return ("-", "-", "-", percent(oracle["pq"]) if oracle["n"] else "-")
    shown = (values["pq"], values["sq"], values["rq"], oracle["pq"])
    return tuple(percent(v) for v in shown)
