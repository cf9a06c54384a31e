"""Which training and which evaluation a result is of: commands, dates, hardware."""

import dataclasses
import datetime
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pix2seq_d.reproduce import records, runs, states
from pix2seq_d.reproduce.runs import Given, Run
from pix2seq_d.training import checkpoint_format, workdir
from pix2seq_d.training.writer import JSON_LINES

_NOT_RECORDED = "not recorded"


@dataclasses.dataclass(frozen=True)
class Origin:
    """A training or an evaluation that results are of.

    Attributes:
      name: `table/row seed k`.
      what: trained or evaluated, how far.
      ended: day and time, UTC.
      hardware: devices.
      commit: of the code, '' where it is not known.
      command: as a shell takes it; of the last start.
    """

    name: str
    what: str
    ended: str
    hardware: str
    commit: str
    command: str


def of_rows(
    paths: Iterable[str], seeds: Sequence[int], given: Given
) -> tuple[Origin, ...]:
    """The origins of all results of some rows, each named once, in their order."""
    found: dict[tuple[str, str], Origin] = {}
    for seed in seeds:
        for path in paths:
            run = runs.make(path, seed, given)
            for origin in _of(run, given):
                found.setdefault((origin.name, origin.what), origin)
    return tuple(found.values())


def _of(run: Run, given: Given) -> Iterator[Origin]:
    score = states.score(run, given)
    if score is None:
        return
    trained = runs.make(run.row.evaluates or run.path, run.seed, given)
    if states.step(trained):  # its weights may be deleted by now
        yield _training(trained, given)
    yield _evaluation(run, score[0], given)


def _training(run: Run, given: Given) -> Origin:
    starts = records.read(run.folder)
    step, total = states.step(run), run.config.train.num_steps
    command = starts[-1].command if starts else _command("train", run, given)
    ended = starts[-1].ended if starts else _last_line(run.folder / JSON_LINES)
    return Origin(
        name=run.name,
        what=f"trained {step:,d} of {total:,d} steps",
        ended=_minute(ended),
        hardware=_hardware(starts),
        commit=_commit(run, step),
        command=command,
    )


def _evaluation(run: Run, folder: Path, given: Given) -> Origin:
    starts = records.read(folder)
    path = folder.parent.parent.relative_to(given.workdir)
    command = starts[-1].command if starts else _command("evaluate", run, given)
    changed = datetime.datetime.fromtimestamp(
        (folder / states.METRICS).stat().st_mtime, datetime.UTC
    )
    return Origin(
        name=f"{path} seed {run.seed}",
        what="evaluated",
        ended=_minute(starts[-1].ended if starts else changed.isoformat()),
        hardware=_hardware(starts),
        commit=starts[-1].commit if starts else "",
        command=command,
    )


def _command(command: str, run: Run, given: Given) -> str:
    flags = runs.train_flags if command == "train" else runs.evaluate_flags
    return runs.command_text(command, flags(run, given))


def _hardware(starts: Sequence[records.Record]) -> str:
    return ", then ".join(dict.fromkeys(s.hardware for s in starts)) or _NOT_RECORDED


def _commit(run: Run, step: int) -> str:
    folder = run.folder / workdir.CHECKPOINTS / str(step)
    return checkpoint_format.read_meta(folder).get("code", {}).get("commit") or ""


def _last_line(path: Path) -> str:
    """Time of the last line of a training's metrics."""
    try:
        *_, last = path.read_text(encoding="utf-8").splitlines()
        time = json.loads(last)["time"]
    except (OSError, ValueError, KeyError):
        return ""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat()


def _minute(text: str) -> str:
    """'2026-11-26 04:05' of ISO 8601."""
    return text[:16].replace("T", " ") or _NOT_RECORDED
