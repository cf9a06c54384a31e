"""The file of results: one record a case, kept as soon as it is made."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.scaling.cases import Case
from pix2seq_d.scaling.compiled import Record


@dataclasses.dataclass(frozen=True)
class Results:
    """What is known so far.

    Attributes:
      recipes: name -> `compiled.facts`.
      cases: key of the case -> `compiled.record`.
    """

    recipes: dict[str, Record]
    cases: dict[str, Record]


def read(path: Path) -> Results:
    """The results; empty ones where there is no file yet.

    Raises:
      ValueError: it is no file of results.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; give a file as --output")
    if not path.is_file():
        return Results({}, {})
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON file: {error}; delete it") from error
    fields = [field.name for field in dataclasses.fields(Results)]
    if not isinstance(content, dict) or sorted(content) != sorted(fields):
        raise ValueError(f"{path}: no results of this program; give another --output")
    return Results(**content)


def write(path: Path, results: Results) -> None:
    """Writes all results, whole or not at all.

    Raises:
      OSError: it cannot be written; the message names the file and the cure.
    """
    text = json.dumps(dataclasses.asdict(results), indent=1, sort_keys=True)
    replace_text(path, text + "\n")


def missing(
    cases: Iterable[Case],
    results: Results,
    fingerprints: Mapping[str, str],
    *,
    to_the_end: bool,
) -> list[Case]:
    """Cases without a record, or with one that something else was compiled for.

    Args:
      cases: all that are wanted.
      results: of `read`.
      fingerprints: case's key -> fingerprint now.
      to_the_end: whether one whose cycles are not known is missing, too.
    """

    def is_missing(case: Case) -> bool:
        record = results.cases.get(case.key)
        if record is None or record["fingerprint"] != fingerprints[case.key]:
            return True
        return to_the_end and record["fits"] and record["cycles"] is None

    return [case for case in cases if is_missing(case)]
