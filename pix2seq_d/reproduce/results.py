"""The numbers of a table: the paper's, ours of every seed, and what they say."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pix2seq_d.reproduce import runs, states
from pix2seq_d.reproduce.recipes import Check, Figure, Row, Table
from pix2seq_d.reproduce.runs import Given

# What a table shows of every row, whether the paper has it or not.
_KEYS = {
    "pq": (("All", "pq"), ("Things", "pq"), ("Stuff", "pq")),
    "stq": (("STQ",), ("AQ",), ("SQ",)),
    "davis": (
        *(("J&F-Mean",), ("J-Mean",), ("J-Recall",)),
        *(("F-Mean",), ("F-Recall",)),
    ),
}
# In the metrics.json of launch.evaluate.
_WHERE = {"pq": (), "stq": (), "davis": ("j_and_f",)}

HOLDS, ON_MEAN, FAILS, UNKNOWN = "yes", "for the mean", "no", "not known"


@dataclasses.dataclass(frozen=True)
class Number:
    """One number of a row.

    Attributes:
      key: of the result, see `recipes.Figure`.
      paper: the paper's figure, or None.
      ours: seed -> percent; only of seeds that were run.
    """

    key: tuple[str, ...]
    paper: Figure | None
    ours: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        """Over the seeds that were run."""
        values = list(self.ours.values())
        return sum(values) / len(values) if values else None

    @property
    def half_range(self) -> float | None:
        """Half of the largest difference between seeds; None with fewer than two."""
        values = list(self.ours.values())
        return (max(values) - min(values)) / 2 if len(values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Ours - the paper's, points."""
        if self.mean is None or self.paper is None:
            return None
        return self.mean - self.paper.percent


@dataclasses.dataclass(frozen=True)
class Result:
    """A scored row.

    Attributes:
      row: it.
      numbers: in the order of the table's keys.
      oracle_pq: percent, of all classes: the most that masks of the row's size reach;
        None for other metrics, and where nothing was run.
    """

    row: Row
    numbers: tuple[Number, ...]
    oracle_pq: float | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """That were run."""
        return tuple(sorted({seed for number in self.numbers for seed in number.ours}))

    def number(self, key: tuple[str, ...]) -> Number:
        """The number of that key."""
        return next(number for number in self.numbers if number.key == key)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Whether a statement of the paper holds here.

    Attributes:
      check: the statement.
      holds: yes, with every seed; for the mean; no; not known.
      because: the numbers, for people.
    """

    check: Check
    holds: str
    because: str


def collect(table: Table, seeds: Sequence[int], given: Given) -> tuple[Result, ...]:
    """Reads the results of all scored rows; what is not there has no numbers."""
    return tuple(
        _result(table, row, seeds, given) for row in table.rows if row.is_scored
    )


def judge(check: Check, results: Sequence[Result]) -> Outcome:
    """Holds a statement against results.

    With seeds that both rows have, it is compared seed by seed, for the same seed has
    the same order of the data.
    """
    by_name = {result.row.name: result.number(check.key) for result in results}
    verdicts, reasons = [], []
    for first, second in check.pairs:
        verdict, reason = _compare(check, first, second, by_name)
        verdicts.append(verdict)
        reasons.append(reason)
    order = (FAILS, UNKNOWN, ON_MEAN, HOLDS)
    worst = min(verdicts, key=order.index)
    return Outcome(check, worst, "; ".join(dict.fromkeys(reasons)))


def _compare(
    check: Check, first: str, second: str, numbers: Mapping[str, Number]
) -> tuple[str, str]:
    a, b = numbers[first], numbers[second]
    if a.mean is None or b.mean is None:
        missing = first if a.mean is None else second
        return UNKNOWN, f"{missing} not run"
    same = [seed for seed in a.ours if seed in b.ours]
    pairs = [(a.ours[seed], b.ours[seed]) for seed in same]

    def is_so(x: float, y: float) -> bool:
        return x > y if check.within is None else abs(x - y) <= check.within

    sign = ">" if a.mean > b.mean else "<" if a.mean < b.mean else "="
    reason = f"{first} {a.mean:.1f} {sign} {second} {b.mean:.1f}"
    if not is_so(a.mean, b.mean):
        return FAILS, reason
    every = bool(pairs) and all(itertools.starmap(is_so, pairs))
    return (HOLDS if every else ON_MEAN), reason


def _result(table: Table, row: Row, seeds: Sequence[int], given: Given) -> Result:
    metrics = {}
    for seed in seeds:
        run = runs.make(f"{table.name}/{row.name}", seed, given)
        found = states.score(run, given)
        if found is not None:
            metrics[seed] = found[1]
    papers = {figure.key: figure for figure in row.figures}
    numbers = tuple(
        Number(
            key,
            papers.get(key),
            {
                seed: value
                for seed, content in metrics.items()
                if (value := _percent(content, table.metric, key)) is not None
            },
        )
        for key in _KEYS[table.metric]
    )
    (oracle, *_) = (m.get("oracle") for m in (*metrics.values(), {}))
    return Result(row, numbers, _percent(oracle, table.metric, ("All", "pq")))


def _percent(content: Any, metric: str, key: tuple[str, ...]) -> float | None:
    for name in (*_WHERE[metric], *key):
        content = (content or {}).get(name)
    return None if content is None else 100 * content
