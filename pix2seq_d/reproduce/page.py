"""A collected table as Markdown and as JSON: the paper's figures beside ours."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pix2seq_d.evaluation import text_table
from pix2seq_d.reproduce.history import Origin
from pix2seq_d.reproduce.recipes import Table
from pix2seq_d.reproduce.results import Number, Outcome, Result

NOT_RUN = "not run"
TAGS = (
    "Tags say how far a figure of the paper may be trusted: *code* and *secondary* "
    "were read, in the released code or in others' papers; *memory H, M, L* were "
    "remembered with high, medium, low confidence and are to be confirmed; *ours* is "
    "not the paper's."
)

_HOLDS = (
    "*yes*: with every seed that was run; *for the mean*: not with every one; *not "
    "known*: a row was not run."
)
_TITLES = {"All/pq": "PQ", "Things/pq": "PQ things", "Stuff/pq": "PQ stuff"}


@dataclasses.dataclass(frozen=True)
class Collected:
    """A table with its results.

    Attributes:
      table: it.
      seeds: that were asked for.
      results: of all scored rows.
      outcomes: of the table's checks.
      origins: of trainings and evaluations, those of each row together.
      pictures: (file, what it shows), beside the page.
    """

    table: Table
    seeds: Sequence[int]
    results: Sequence[Result]
    outcomes: Sequence[Outcome]
    origins: Sequence[Origin]
    pictures: Sequence[tuple[str, str]]


def markdown(title: str, made_by: str, some: Sequence[Collected]) -> str:
    """A page of one table or of several.

    Args:
      title: of the page.
      made_by: command, date and commit of the collection.
      some: the tables.
    """
    parts = [f"# {title}", made_by]
    if any(number.paper for one in some for r in one.results for number in r.numbers):
        parts.append(TAGS)
    if len(some) > 1 and any(one.outcomes for one in some):
        parts += ["## Does the paper's direction hold?", _summary(some)]
    for one in some:
        parts += _section(one, level=2 if len(some) > 1 else 0)
    return "\n\n".join(parts) + "\n"


def to_json(made_by: Mapping[str, str], some: Sequence[Collected]) -> dict[str, Any]:
    """The same as JSON types; figures are percent, what was not run is null."""
    return {**made_by, "tables": [_table_json(one) for one in some]}


def _summary(some: Sequence[Collected]) -> str:
    """Each statement and whether it holds; the sections have the numbers."""
    rows = [
        (outcome.check.text, one.table.name, outcome.check.tag, outcome.holds)
        for one in some
        for outcome in one.outcomes
    ]
    head = ("the paper's direction", "table", "tag", "holds here")
    return f"{text_table.markdown(head, rows)}\n\n{_HOLDS}"


def _section(one: Collected, *, level: int) -> list[str]:
    table = one.table
    parts = [f"{'#' * level} {table.name}: {table.title}"] if level else []
    about = "A study of ours." if table.is_ours else "A table of the paper."
    if table.claim:
        about += f" What the paper says: {table.claim}."
    parts += [about, _numbers(one)]
    parts.append(_seeds_note(_seeds_run(one)))
    if one.outcomes:
        parts.append(_outcomes(one))
    parts += [f"![{text}]({file})" for file, text in one.pictures]
    parts += _origins(one)
    return parts


def _seeds_run(one: Collected) -> list[int]:
    """Seeds of which anything was run."""
    return sorted({seed for result in one.results for seed in result.seeds})


def _seeds_note(run: Sequence[int]) -> str:
    if not run:
        return "Nothing of it was run."
    if len(run) == 1:
        return f"Percent; seed {run[0]} alone, so that no spread is known."
    names = ", ".join(map(str, run))
    return (
        f"Percent; mean over seeds {names} ± half their range, in brackets each seed. "
        "A number without ± is of the seed that it names."
    )


def _numbers(one: Collected) -> str:
    several = len(_seeds_run(one)) > 1
    keys = [number.key for number in one.results[0].numbers]
    has_paper = any(n.paper for result in one.results for n in result.numbers)
    if not has_paper:
        # Numbers of a row side by side.
        head = ("row", *map(_title, keys))
        rows = [
            (result.row.name, *(_ours(number, several) for number in result.numbers))
            for result in one.results
        ]
        return text_table.markdown(head, rows)
    head = ("row", "figure", "paper", "tag", "ours", "ours - paper")
    rows = []
    for result in one.results:
        for number in result.numbers:
            paper, difference = number.paper, number.difference
            rows.append(
                (
                    result.row.name,
                    _title(number.key),
                    f"{paper.percent:.1f}" if paper else "-",
                    paper.tag if paper else "-",
                    _ours(number, several),
                    "-" if difference is None else f"{difference:+.1f}",
                )
            )
    return text_table.markdown(head, rows)


def _ours(number: Number, several: bool) -> str:
    """'50.3', or with several seeds '50.3 ± 0.2 (50.1, 50.5)' or '50.3 (seed 1)'."""
    if number.mean is None:
        return NOT_RUN
    if number.half_range is None:
        (seed,) = number.ours
        return f"{number.mean:.1f}" + (f" (seed {seed})" if several else "")
    each = ", ".join(f"{value:.1f}" for value in number.ours.values())
    return f"{number.mean:.1f} ± {number.half_range:.1f} ({each})"


def _title(key: tuple[str, ...]) -> str:
    return _TITLES.get("/".join(key), key[0])


def _outcomes(one: Collected) -> str:
    head = ("the paper's direction", "tag", "holds here", "numbers")
    rows = [
        (
            outcome.check.text,
            outcome.check.tag,
            outcome.holds,
            f"{_title(outcome.check.key)}: {outcome.because}",
        )
        for outcome in one.outcomes
    ]
    return f"{text_table.markdown(head, rows)}\n\n{_HOLDS}"


def _origins(one: Collected) -> list[str]:
    if not one.origins:
        return []
    head = ("run", "what", "ended", "hardware", "commit")
    rows = [
        (_names(group), first.what, first.ended, first.hardware, _short(first.commit))
        for group in _at_once(one.origins)
        for first in group[:1]
    ]
    commands = dict.fromkeys(o.command for o in one.origins if o.command)
    parts = ["Where the numbers are from:", text_table.markdown(head, rows)]
    if commands:
        parts.append("\n".join(("```bash", *commands, "```")))
    return parts


def _at_once(origins: Sequence[Origin]) -> list[list[Origin]]:
    """Origins that are of one command together, in their order."""
    groups: dict[tuple[str, str, str], list[Origin]] = {}
    for origin in origins:
        key = (origin.what, origin.command, origin.ended)
        groups.setdefault(key, []).append(origin)
    return list(groups.values())


def _names(group: Sequence[Origin]) -> str:
    """'study_steps seed 0: 1_steps, 2_steps' of the rows that a command was for."""
    if len(group) == 1:
        return group[0].name
    table = group[0].name.partition("/")[0]
    seed = group[0].name.rpartition(" seed ")[2]
    rows = (o.name.partition("/")[2].rpartition(" seed ")[0] for o in group)
    return f"{table} seed {seed}: {', '.join(rows)}"


def _short(commit: str) -> str:
    """Twelve digits of a commit, and whether the code was changed."""
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "") or "-"


def _table_json(one: Collected) -> dict[str, Any]:
    table = one.table
    return {
        "name": table.name,
        "title": table.title,
        "spec": table.source,
        "is_ours": table.is_ours,
        "claim": table.claim,
        "seeds": list(one.seeds),
        "rows": [_row_json(result) for result in one.results],
        "checks": [
            {
                "text": outcome.check.text,
                "tag": outcome.check.tag,
                "holds": outcome.holds,
                "numbers": outcome.because,
            }
            for outcome in one.outcomes
        ],
        "origins": [dataclasses.asdict(origin) for origin in one.origins],
    }


def _row_json(result: Result) -> dict[str, Any]:
    sampler = result.row.sampler
    numbers = [
        {
            "figure": "/".join(number.key),
            "paper": number.paper.percent if number.paper else None,
            "tag": number.paper.tag if number.paper else None,
            "ours": {str(seed): value for seed, value in number.ours.items()},
            "mean": number.mean,
            "half_range": number.half_range,
            "difference": number.difference,
        }
        for number in result.numbers
    ]
    return {
        "name": result.row.name,
        "state": "run" if result.seeds else NOT_RUN,
        "sampler": dataclasses.asdict(sampler),
        "oracle_pq": result.oracle_pq,
        "figures": numbers,
    }
