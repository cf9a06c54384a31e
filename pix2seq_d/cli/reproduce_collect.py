"""Writes a collected table: Markdown, JSON and pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pix2seq_d import atomic_file
from pix2seq_d.reproduce import (
    catalogue,
    earlier,
    history,
    jobs,
    page,
    plots,
    results,
)
from pix2seq_d.reproduce.page import Collected
from pix2seq_d.reproduce.recipes import Table
from pix2seq_d.reproduce.runs import Given


def write(
    name: str,
    tables: Sequence[Table],
    seeds: Sequence[int],
    given: Given,
    output: Path,
    *,
    known: earlier.Tables,
    made_by: Mapping[str, str],
) -> Path:
    """Reads the results that are there and writes `<name>.md`, `.json` and pictures.

    Args:
      name: of the table, or of the group.
      tables: its tables.
      seeds: of the trainings.
      given: by the user.
      output: folder, made if absent.
      known: an earlier collection, for runs that are not in the folders.
      made_by: command, date, commit of the collection.
    Returns:
      The Markdown file.
    Raises:
      ValueError: a row of the earlier collection was drawn by another sampler.
    """
    output.mkdir(parents=True, exist_ok=True)
    some = [_collect(table, seeds, given, output, known) for table in tables]
    title = catalogue.GROUP_TITLES.get(name, tables[0].title)
    text = page.markdown(title[0].upper() + title[1:], _made_by(made_by), some)
    atomic_file.replace_text(output / f"{name}.md", text)
    content = json.dumps(page.to_json(made_by, some), indent=2) + "\n"
    atomic_file.replace_text(output / f"{name}.json", content)
    return output / f"{name}.md"


def _collect(
    table: Table,
    seeds: Sequence[int],
    given: Given,
    output: Path,
    known: earlier.Tables,
) -> Collected:
    found = results.collect(table, seeds, given)
    found, taken = earlier.complete(found, table, seeds, known)
    paths = [f"{table.name}/{row.name}" for row in table.rows]
    return Collected(
        table=table,
        seeds=seeds,
        results=found,
        outcomes=[results.judge(check, found) for check in table.checks],
        origins=(
            *earlier.origins(table, taken, known),
            *history.of_rows(jobs.scored_rows(paths), seeds, given),
        ),
        pictures=plots.draw(table, found, output),
    )


def _made_by(made_by: Mapping[str, str]) -> str:
    commit = made_by["commit"][:12] or "not known"
    return (
        f"Collected {made_by['date'][:16].replace('T', ' ')} UTC, commit {commit}, by "
        f"`{made_by['command']}`."
    )
