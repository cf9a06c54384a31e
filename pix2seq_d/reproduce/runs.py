"""Rows with a seed in a folder: where they lie, and the commands that make them."""

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pix2seq_d.config import Config
from pix2seq_d.reproduce import datasets
from pix2seq_d.reproduce.catalogue import TABLES
from pix2seq_d.reproduce.recipes import Row, find_row

SCORE = "score"  # folder of a result in that of its run
LADDERS = "ladders"  # folder of evaluations that serve several rows, in a table's


@dataclasses.dataclass(frozen=True)
class Given:
    """What the user says beside the table.

    Attributes:
      workdir: folder of everything.
      roots: flag of a `Dataset` -> its folder.
      detection_encoder: file of the weights that an image encoder starts from, or ''.
      overrides: `--config.…` arguments for all rows.
      for_evaluation: beginnings of the fields that an evaluation takes, too.
      load: arguments of `launch.train` -> its config.
    """

    workdir: Path
    roots: Mapping[str, str]
    detection_encoder: str
    overrides: tuple[str, ...]
    for_evaluation: tuple[str, ...]
    load: Callable[[Sequence[str]], Config]


@dataclasses.dataclass(frozen=True)
class Run:
    """A row with a seed.

    Attributes:
      path: `table/row`.
      row: it.
      seed: of the training.
      folder: workdir of the training, or that of the evaluation alone.
      weights: workdir of the training whose weights are evaluated.
      config: of the training; of a row that evaluates other weights what theirs would
        be with its sampler.
    """

    path: str
    row: Row
    seed: int
    folder: Path
    weights: Path
    config: Config

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.path} seed {self.seed}"

    @property
    def score(self) -> Path:
        """Folder of the result."""
        return self.folder / SCORE


def folder_of(path: str, seed: int, workdir: Path) -> Path:
    """WORKDIR/table/row/seed_k."""
    return workdir / path / f"seed_{seed}"


def make(path: str, seed: int, given: Given) -> Run:
    """The run of a row."""
    row = find_row(path, TABLES)
    return Run(
        path=path,
        row=row,
        seed=seed,
        folder=folder_of(path, seed, given.workdir),
        weights=folder_of(row.evaluates or path, seed, given.workdir),
        config=given.load(_config_flags(row, seed, given)),
    )


def train_flags(run: Run, given: Given) -> list[str]:
    """Arguments of `launch.train`."""
    return [*_config_flags(run.row, run.seed, given), f"--workdir={run.folder}"]


def evaluate_flags(run: Run, given: Given) -> list[str]:
    """Arguments of `launch.evaluate`."""
    sampler = [
        f"--config.{field}={value}" for field, value in run.row.sampler.overrides
    ]
    folders = [f"--workdir={run.weights}", f"--output={run.score}"]
    return [*folders, *sampler, *_evaluation_overrides(run.row, given)]


def command_text(command: str, flags: Sequence[str]) -> str:
    """A command as a shell takes it.

    Args:
      command: train or evaluate.
      flags: its arguments.
    """
    return shlex.join(("python", "-m", f"launch.{command}", *flags))


def ladder_folder(ladder: Sequence[Run], given: Given) -> Path:
    """Where the evaluation of several rows of a table lies: names its settings."""
    steps, differences = ladder_settings(ladder)
    name = f"steps_{'_'.join(steps)}_td_{'_'.join(differences)}"
    table = ladder[0].path.partition("/")[0]
    return given.workdir / table / LADDERS / f"seed_{ladder[0].seed}" / name


def ladder_flags(ladder: Sequence[Run], given: Given) -> list[str]:
    """Arguments of `launch.evaluate` for rows that make up a `grid`."""
    steps, differences = ladder_settings(ladder)
    return [
        f"--workdir={ladder[0].weights}",
        f"--output={ladder_folder(ladder, given)}",
        f"--ladder={','.join(steps)}",
        f"--ladder_time_difference={','.join(differences)}",
        *_evaluation_overrides(ladder[0].row, given),
    ]


def ladder_settings(ladder: Sequence[Run]) -> tuple[list[str], list[str]]:
    """Numbers of steps and time differences of some rows, ascending."""
    samplers = [run.row.sampler for run in ladder]
    steps = sorted({sampler.num_steps for sampler in samplers})
    differences = sorted({sampler.time_difference for sampler in samplers})
    return list(map(str, steps)), [f"{value:g}" for value in differences]


def grids(some: Sequence[Run]) -> list[list[Run]]:
    """Runs of the same weights, parted so that each part is steps x time differences.

    A ladder evaluates every number of steps with every time difference.
    """

    def difference(run: Run) -> float:
        return run.row.sampler.time_difference

    parts: dict[tuple[int, ...], list[Run]] = {}
    for _, column in itertools.groupby(sorted(some, key=difference), key=difference):
        found = list(column)
        steps = tuple(sorted(run.row.sampler.num_steps for run in found))
        parts.setdefault(steps, []).extend(found)
    return list(parts.values())


def twins(path: str) -> tuple[str, ...]:
    """`table/row` of all rows whose result is the same by definition, itself first.

    They have the same weights and the same sampler.
    """
    wanted = _identity(path)
    others = (f"{table.name}/{row.name}" for table in TABLES for row in table.rows)
    same = (other for other in others if other != path and _identity(other) == wanted)
    return (path, *same)


def _identity(path: str) -> tuple[object, ...]:
    row = find_row(path, TABLES)
    return (row.evaluates or path, row.sampler.overrides)


def _config_flags(row: Row, seed: int, given: Given) -> list[str]:
    flags = [*row.flags, f"--config.train.seed={seed}"]
    root = given.roots.get(datasets.of_row(row).flag)
    if root:
        flags.append(f"--config.data.source.root={root}")
    if row.start:
        start = folder_of(row.start, seed, given.workdir)
        flags.append(f"--config.init.from={start}")
    if row.detection_encoder and given.detection_encoder:
        flags.append(f"--config.init.encoder={given.detection_encoder}")
    return [*flags, *given.overrides]


def _evaluation_overrides(row: Row, given: Given) -> list[str]:
    root = given.roots.get(datasets.of_row(row).flag)
    flags = [f"--config.data.source.root={root}"] if root else []
    beginnings = tuple(f"--config.{field}" for field in given.for_evaluation)
    taken = [
        argument for argument in given.overrides if argument.startswith(beginnings)
    ]
    return [*flags, *taken]
