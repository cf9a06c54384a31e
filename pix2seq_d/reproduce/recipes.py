"""What stands in a table of the paper, as rows that can be trained and evaluated."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

# How far a figure may be trusted, best first (spec 0): read in the released code or a
# third party's text, or remembered with high, medium, low confidence.
TAGS = ("code", "secondary", "memory H", "memory M", "memory L", "ours")

Overrides = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number of the paper.

    Attributes:
      key: path in the result of the table's metric, e.g. ("All", "pq").
      percent: the number.
      tag: of `TAGS`; all but the first two are to be confirmed before use.
    """

    key: tuple[str, ...]
    percent: float
    tag: str


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How masks are drawn for a row.

    Attributes:
      num_steps: of an image, or of a video's first frame.
      time_difference: td (spec 3.2).
      tag: of `TAGS`, the less certain of the settings.
      num_steps_next: of a video's later frames; None for images.
    """

    num_steps: int
    time_difference: float
    tag: str
    num_steps_next: int | None = None

    @property
    def overrides(self) -> Overrides:
        """The config fields that say it."""
        found: Overrides = (
            ("diffusion.num_steps", self.num_steps),
            ("diffusion.time_difference", self.time_difference),
        )
        if self.num_steps_next is not None:
            found = (*found, ("diffusion.num_steps_next", self.num_steps_next))
        return found


@dataclasses.dataclass(frozen=True)
class Row:
    """A training and its evaluation, or an evaluation of another row's weights.

    Attributes:
      name: within its table.
      config: file and variant, as `--config` takes them.
      sampler: of the evaluation.
      figures: of the paper; () where none is known.
      overrides: (field, value) pairs on the config.
      start: `table/row` whose weights the training starts from; None: none.
      evaluates: `table/row` whose weights are evaluated, with no training of its own.
      detection_encoder: whether the image encoder starts from Objects365 detection
        weights, which the user has to bring (spec 5.4).
      is_scored: False for a stage that only others start from.
    """

    name: str
    config: str
    sampler: Sampler
    figures: tuple[Figure, ...] = ()
    overrides: Overrides = ()
    start: str | None = None
    evaluates: str | None = None
    detection_encoder: bool = False
    is_scored: bool = True

    @property
    def flags(self) -> tuple[str, ...]:
        """Arguments of `launch.train`: the config, its overrides, the sampler."""
        fields = (*self.overrides, *self.sampler.overrides)
        return (
            f"--config={self.config}",
            *(f"--config.{field}={value}" for field, value in fields),
        )


@dataclasses.dataclass(frozen=True)
class Check:
    """A statement of the paper that a program can hold against results.

    Attributes:
      text: the statement, for people.
      tag: of `TAGS`.
      pairs: (row, row) of a table: the first one's figure is above the second's.
      within: instead, they are this many points apart at most.
      key: of the figure that is compared.
    """

    text: str
    tag: str
    pairs: tuple[tuple[str, str], ...]
    within: float | None = None
    key: tuple[str, ...] = ("All", "pq")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or figure of the paper, or a study of ours.

    Attributes:
      name: as `--table` takes it.
      title: for people.
      source: section of the spec that has it.
      metric: pq, davis or stq, as `launch.metrics --kind` takes it.
      rows: each after those that it needs.
      claim: what the paper says beside the figures, with its tag; may be empty.
      checks: of it, what a program can tell.
      seeds: of the trainings, by default.
      is_ours: a study of this project, whose figures are not the paper's.
    """

    name: str
    title: str
    source: str
    metric: str
    rows: tuple[Row, ...]
    claim: str = ""
    checks: tuple[Check, ...] = ()
    seeds: tuple[int, ...] = (0,)
    is_ours: bool = False


def best(row: str, *others: str) -> tuple[tuple[str, str], ...]:
    """The pairs of a `Check` that a row is above all others."""
    return tuple((row, other) for other in others)


def find_table(name: str, tables: Sequence[Table]) -> Table:
    """The table of that name.

    Raises:
      ValueError: there is none; lists those that there are.
    """
    for table in tables:
        if table.name == name:
            return table
    known = ", ".join(table.name for table in tables)
    raise ValueError(f"no table is called {name!r}; choose one of {known}")


def find_row(path: str, tables: Sequence[Table]) -> Row:
    """The row of `table/row`.

    Raises:
      ValueError: no such table or row; lists those that there are.
    """
    table_name, _, name = path.partition("/")
    table = find_table(table_name, tables)
    for row in table.rows:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in table.rows)
    raise ValueError(f"{table_name} has no row {name!r}; choose one of {known}")


def needed(path: str, tables: Sequence[Table]) -> tuple[str, ...]:
    """`table/row` of all rows that have to be trained for one, first to last.

    Args:
      path: `table/row`; the last of the result unless it evaluates another row.
      tables: where the rows are.
    """
    return tuple(reversed(tuple(_back_from(path, tables))))


def _back_from(path: str | None, tables: Sequence[Table]) -> Iterator[str]:
    while path is not None:
        row = find_row(path, tables)
        if row.evaluates is None:
            yield path
        path = row.evaluates or row.start
