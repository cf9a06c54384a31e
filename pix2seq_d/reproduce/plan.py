"""What a table needs, what of it is done, and what the rest will cost."""

import dataclasses
from collections.abc import Mapping, Sequence

from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.reproduce import costs, datasets, jobs, runs, states
from pix2seq_d.reproduce.datasets import Dataset
from pix2seq_d.reproduce.jobs import Job
from pix2seq_d.reproduce.runs import Given, Run

DONE, NOT_BEGUN = "done", "not begun"


@dataclasses.dataclass(frozen=True)
class Line:
    """A training or an evaluation of a row, with all seeds.

    Attributes:
      path: `table/row`.
      what: train or evaluate.
      amount: of one seed, for people.
      flops: of one seed; None where it is not known.
      states: seed -> done, at step N of M, not begun, cannot be run: why.
      left: share of the work that is left, of all seeds.
    """

    path: str
    what: str
    amount: str
    flops: float | None
    states: Mapping[int, str]
    left: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that `--dry_run` prints.

    Attributes:
      lines: in the order of the work; an evaluation that another line's result serves
        is left out.
      data: that the rows need.
      jobs: the commands that are left.
      blocked: names of runs that cannot be run -> why.
      prices: of the user, or None.
    """

    lines: tuple[Line, ...]
    data: tuple[Dataset, ...]
    jobs: tuple[Job, ...]
    blocked: Mapping[str, str]
    prices: Prices | None


def make(
    paths: Sequence[str], seeds: Sequence[int], given: Given, *, prices: Prices | None
) -> Plan:
    """The plan of some rows; reads folders, computes nothing on a device.

    Args:
      paths: `table/row` of the rows that are wanted.
      seeds: of the trainings.
      given: by the user.
      prices: of devices, or None.
    """
    lines = [_training(path, seeds, given) for path in jobs.trained_rows(paths)]
    asked: set[str] = set()
    for path in jobs.scored_rows(paths):
        if path not in asked:
            lines.append(_evaluation(path, seeds, given))
        asked.update(runs.twins(path))
    left = tuple(jobs.todo(paths, seeds, given))
    found = (datasets.of_row(run.row) for job in left for run in job.runs)
    blocked = {
        run.name: why
        for job in left
        for run in job.runs
        if (why := states.obstacle(run, given))
    }
    return Plan(tuple(lines), tuple(dict.fromkeys(found)), left, blocked, prices)


def _training(path: str, seeds: Sequence[int], given: Given) -> Line:
    some = [runs.make(path, seed, given) for seed in seeds]
    cost = costs.training(some[0])
    total = some[0].config.train.num_steps
    done = sum(min(states.step(run), total) / total for run in some)
    found = {run.seed: _training_state(run, given) for run in some}
    return Line(path, "train", cost.amount, cost.flops, found, len(some) - done)


def _training_state(run: Run, given: Given) -> str:
    why = states.obstacle(run, given)
    step, total = states.step(run), run.config.train.num_steps
    reached = f"at step {step:,d} of {total:,d}"
    if why == states.BUSY:
        return f"{reached}: {why}"
    if why:
        return f"cannot be run: {why}"
    if states.is_trained(run):
        return DONE
    return reached if step else NOT_BEGUN


def _evaluation(path: str, seeds: Sequence[int], given: Given) -> Line:
    some = [runs.make(path, seed, given) for seed in seeds]
    cost = costs.evaluation(some[0])
    found = {run.seed: _evaluation_state(run, given) for run in some}
    left = float(sum(state != DONE for state in found.values()))
    return Line(path, "evaluate", cost.amount, cost.flops, found, left)


def _evaluation_state(run: Run, given: Given) -> str:
    if states.score(run, given) is not None:
        return DONE
    if not states.is_trained(run):
        return f"after {run.row.evaluates or 'its training'}"
    why = states.obstacle(run, given)
    return f"cannot be run: {why}" if why else NOT_BEGUN
