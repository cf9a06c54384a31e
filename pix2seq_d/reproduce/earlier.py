"""Numbers of an earlier collection, for runs whose folders are elsewhere or gone."""

import dataclasses
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.reproduce import runs
from pix2seq_d.reproduce.history import Origin
from pix2seq_d.reproduce.recipes import Table, find_row
from pix2seq_d.reproduce.results import Result

# name -> as `page.to_json` has it, but figures as a dictionary and `Origin`s.
Tables = Mapping[str, Mapping[str, Any]]


def read(path: Path, *, argv: Sequence[str]) -> Tables:
    """The tables of a collected JSON file.

    Args:
      path: the file.
      argv: arguments of the command that takes its numbers over.
    Raises:
      ValueError: it is none, or of other settings; the message names the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tables = {table["name"]: table for table in content["tables"]}
        for table in tables.values():
            table["origins"] = [Origin(**entry) for entry in table["origins"]]
            for row in table["rows"]:
                _ = row["name"], row["sampler"]
                figures = [(each["figure"], each["ours"]) for each in row["figures"]]
                row["figures"] = {name: dict(ours) for name, ours in figures}
        arguments = shlex.split(content["command"])
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(
            f"{path}: not a collected table; take a .json that launch.reproduce wrote"
        ) from None
    made = _settings(arguments)
    if made != _settings(argv):
        raise ValueError(
            f"{path}: was collected with {shlex.join(made) or 'no such settings'}, so "
            "that its numbers may be of other settings; give the same"
        )
    return tables


def _settings(argv: Sequence[str]) -> list[str]:
    """Of a command's arguments, those that its numbers depend on, sorted."""
    joined = list(argv)
    for k, argument in enumerate(argv[:-1]):
        if argument.lstrip("-") == "detection_encoder":
            joined[k] = f"{argument}={argv[k + 1]}"
    found = []
    for argument in joined:
        name, _, value = argument.lstrip("-").partition("=")
        if name == "detection_encoder":  # which may lie elsewhere there
            value = Path(value).name
        if name == "detection_encoder" or name.startswith("config."):
            found.append(f"--{name}={value}")
    return sorted(found)


def complete(
    results: Sequence[Result], table: Table, seeds: Sequence[int], known: Tables
) -> tuple[tuple[Result, ...], frozenset[tuple[str, int]]]:
    """Results with the numbers of an earlier collection for seeds that have none.

    Args:
      results: of the table's rows, as its folders tell.
      table: it.
      seeds: that are wanted.
      known: the earlier collection.
    Returns:
      The results and the (`table/row`, seed) that were taken over.
    Raises:
      ValueError: a row of the earlier collection was drawn by another sampler.
    """
    rows = {row["name"]: row for row in known.get(table.name, {}).get("rows", ())}
    completed, taken = [], set()
    for result in results:
        found = rows.get(result.row.name)
        if found is not None:
            new = [s for s in seeds if s not in result.seeds and _has(found, s)]
            if new and found["sampler"] != dataclasses.asdict(result.row.sampler):
                raise ValueError(
                    f"{table.name}/{result.row.name}: the earlier collection has it "
                    f"with the sampler {found['sampler']}; leave that file out"
                )
            taken |= {(f"{table.name}/{result.row.name}", seed) for seed in new}
            result = _with(result, found, new)
        completed.append(result)
    return tuple(completed), frozenset(taken)


def origins(
    table: Table, taken: Iterable[tuple[str, int]], known: Tables
) -> tuple[Origin, ...]:
    """Where numbers that were taken over are from, as the earlier collection says.

    Args:
      table: of the numbers.
      taken: of `complete`.
      known: the earlier collection.
    """
    names = {
        f"{other} seed {seed}"
        for path, seed in taken
        for other in (*runs.twins(path), find_row(path, [table]).evaluates)
    }
    found = known.get(table.name, {}).get("origins", ())
    return tuple(origin for origin in found if origin.name in names)


def _has(row: Mapping[str, Any], seed: int) -> bool:
    return any(str(seed) in ours for ours in row["figures"].values())


def _with(result: Result, row: Mapping[str, Any], seeds: Sequence[int]) -> Result:
    """A result with an earlier one's numbers of some seeds, in the order of seeds."""
    numbers = []
    for number in result.numbers:
        earlier = row["figures"].get("/".join(number.key), {})
        ours = dict(number.ours) | {
            seed: earlier[str(seed)] for seed in seeds if str(seed) in earlier
        }
        ours = {seed: ours[seed] for seed in sorted(ours)}
        numbers.append(dataclasses.replace(number, ours=ours))
    # Collections from before 2026-11-27 do not say it.
    oracle = row.get("oracle_pq") if result.oracle_pq is None else result.oracle_pq
    return dataclasses.replace(result, numbers=tuple(numbers), oracle_pq=oracle)
