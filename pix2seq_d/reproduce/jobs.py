"""What is left to do for some rows: trainings and evaluations, in order."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pix2seq_d.reproduce import recipes, runs, states
from pix2seq_d.reproduce.catalogue import TABLES
from pix2seq_d.reproduce.runs import Given, Run


@dataclasses.dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
      command: train or evaluate.
      flags: its arguments.
      runs: what it is for: a training's own run, or the runs that it evaluates.
      folder: where its output and its record lie.
      is_ladder: whether it evaluates several sampler settings at once.
    """

    command: str
    flags: tuple[str, ...]
    runs: tuple[Run, ...]
    folder: Path
    is_ladder: bool = False

    @property
    def text(self) -> str:
        """As a shell takes it."""
        return runs.command_text(self.command, self.flags)

    @property
    def name(self) -> str:
        """For people."""
        first = self.runs[0]
        if not self.is_ladder:
            return f"{self.command} {first.name}"
        table, rows = first.path.partition("/")[0], len(self.runs)
        return f"evaluate {table} seed {first.seed}, {rows} rows at once"


def trained_rows(paths: Sequence[str]) -> tuple[str, ...]:
    """`table/row` of all that have to be trained for some, each after its start."""
    found = (path for wanted in paths for path in recipes.needed(wanted, TABLES))
    return tuple(dict.fromkeys(found))


def scored_rows(paths: Sequence[str]) -> tuple[str, ...]:
    """`table/row` of those of some rows that have a result."""
    return tuple(p for p in paths if recipes.find_row(p, TABLES).is_scored)


def todo(paths: Sequence[str], seeds: Sequence[int], given: Given) -> Iterator[Job]:
    """The jobs that are not done, seed by seed; a row is evaluated once it is trained.

    Args:
      paths: `table/row` of the rows that are wanted.
      seeds: of the trainings.
      given: by the user.
    """
    for seed in seeds:
        scored = list(_missing(paths, seed, given))
        for path in trained_rows(paths):
            run = runs.make(path, seed, given)
            if not states.is_trained(run):
                yield _training(run, given)
            own = [other for other in scored if other.path == path]
            yield from (_evaluation(found, given) for found in own)
        yield from _evaluations_of_others(
            [run for run in scored if run.row.evaluates], given
        )


def _missing(paths: Iterable[str], seed: int, given: Given) -> Iterator[Run]:
    """Runs without a result, one for each result."""
    asked: set[str] = set()
    for path in scored_rows(tuple(paths)):
        if path in asked:
            continue
        asked.update(runs.twins(path))
        run = runs.make(path, seed, given)
        if states.score(run, given) is None:
            yield run


def _evaluations_of_others(some: Sequence[Run], given: Given) -> Iterator[Job]:
    """One evaluation for each grid of sampler settings on the same weights."""
    groups: dict[tuple[Path, str], list[Run]] = {}
    for run in some:
        table = run.path.partition("/")[0]
        groups.setdefault((run.weights, table), []).append(run)
    for group in groups.values():
        # Masks of a video depend on those before: there is no ladder of them.
        is_video = group[0].config.model.num_cond_frames > 0
        for grid in [[run] for run in group] if is_video else runs.grids(group):
            if len(grid) == 1:
                yield _evaluation(grid[0], given)
            else:
                yield _ladder(grid, given)


def _training(run: Run, given: Given) -> Job:
    flags = tuple(runs.train_flags(run, given))
    return Job("train", flags, (run,), run.folder)


def _evaluation(run: Run, given: Given) -> Job:
    flags = tuple(runs.evaluate_flags(run, given))
    return Job("evaluate", flags, (run,), run.score)


def _ladder(grid: Sequence[Run], given: Given) -> Job:
    flags = tuple(runs.ladder_flags(grid, given))
    folder = runs.ladder_folder(grid, given)
    return Job("evaluate", flags, tuple(grid), folder, is_ladder=True)
