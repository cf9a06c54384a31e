"""What a metric has to say: result, tables, rows; and what tables have in common."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pix2seq_d.evaluation.text_table import markdown, percent

_SHOWN = 20  # sequences in a table


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an evaluation has to say.

    Attributes:
      result: as JSON types, with the number of `missing_predictions`.
      tables: for a terminal.
      rows: one for each image, sequence or object, the worst first; for CSV.
      note: a line to read before the tables; empty if there is none.
    """

    result: dict[str, Any]
    tables: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    note: str = ""


def missing_note(count: int, unit: str, scored_as: str) -> str:
    """How many predictions are missing, and what became of them; empty if none is."""
    if not count:
        return ""
    lack = "s lack" if count > 1 else " lacks"
    return f"{count} {unit}{lack} a prediction, scored as {scored_as}"


def worst_first(rows: Sequence[Mapping[str, Any]], value: str) -> tuple[Any, ...]:
    """Rows by rising value, those without a value last, otherwise as they came."""
    known = (math.inf if row[value] is None else row[value] for row in rows)
    order = sorted(zip(known, range(len(rows)), strict=True))
    return tuple(rows[k] for _, k in order)


def sequence_rows(result: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    """A row for each of `per_sequence`, the worst by `columns[0]` first."""
    rows = [
        {"sequence": name} | {column: entry[column] for column in columns}
        for name, entry in result["per_sequence"].items()
    ]
    return worst_first(rows, columns[0])


def sequence_table(
    result: Mapping[str, Any],
    *,
    head: Sequence[str],
    title: str,
    worst_by: str,
    cells: Callable[[Mapping[str, Any]], Sequence[str]],
) -> str:
    """A row for all sequences, then one for each of the worst.

    Args:
      result: the values of all, and of each as `per_sequence`.
      head: titles of the columns.
      title: of the first row.
      worst_by: the value that says which sequences are the worst.
      cells: values -> the cells behind the title.
    """
    names = [row["sequence"] for row in sequence_rows(result, [worst_by])]
    rows = [(title, *cells(result))]
    rows += [(name, *cells(result["per_sequence"][name])) for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        more = f"... and {len(names) - _SHOWN} more, see --per_image"
        rows.append((more, *[""] * (len(head) - 1)))
    return markdown(head, rows)


def iou_table(iou: Mapping[int, float | None], names: Sequence[str]) -> str:
    """IoU of each class, and of the ignore label where it counts as one more."""
    rows = [
        (names[k] if k < len(names) else "ignore (counted)", percent(value))
        for k, value in iou.items()
        if k < len(names) or value is not None
    ]
    return markdown(("", "IoU"), rows)
