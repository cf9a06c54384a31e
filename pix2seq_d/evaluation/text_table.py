"""Tables for a terminal that are Markdown as well."""

from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its columns aligned: the first to the left, others to the right.

    Args:
      head: titles of the columns.
      rows: as long as `head`; a `|` in a cell is escaped.
    """
    head, *rows = ([cell.replace("|", r"\|") for cell in row] for row in (head, *rows))
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))
        return "| " + " | ".join((first, *rest)) + " |"

    rule = "|" + "|".join(
        ["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]
    )
    return "\n".join([line(head), rule + "|", *map(line, rows)])


def percent(value: float | None, digits: int = 1) -> str:
    """0.5 -> '50.0'; '-' for what is not defined."""
    return "-" if value is None else f"{100 * value:.{digits}f}"
