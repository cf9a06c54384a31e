"""What all kinds of evaluation share: records so far, what is left, and the end."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.cli.evaluate_shard import Share
from pix2seq_d.evaluation import shards
from pix2seq_d.evaluation.shards import Record, Shards
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import checksums
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.journal import say

# No score depends on it, and hosts may differ in memory.
_FREE_FIELD = "evaluation.batch_size"

T = TypeVar("T")


def open_shards(
    output: Path, trained: Trained, *, kind: str, total: int, **settings: Any
) -> Shards:
    """The records of an evaluation; they are refused for other settings.

    Args:
      output: folder of the results, one for all processes.
      trained: the checkpoint, with the config that it is evaluated with.
      kind: of evaluation; several may be under way in one output.
      total: number of images or videos.
      **settings: others, of JSON types.
    """
    fields = config_lib.flatten(trained.config)
    del fields[_FREE_FIELD]
    header = {
        "step": trained.step,
        "total": total,
        **settings,
        **fields,
        # A checkpoint written again has the same.
        "weights_crc32": checksums.of_arrays(trained.variables),
    }
    return Shards(output / shards.FOLDER / kind, header)


def made_of(trained: Trained) -> dict[str, Any]:
    """What files of results say that they come of; JSON types."""
    return {
        "step": trained.step,
        "sampler": dataclasses.asdict(trained.config.diffusion),
        "evaluation": dataclasses.asdict(trained.config.evaluation),
        "dtype": trained.config.train.dtype,
    }


def left(made: Shards, share: Share, *, total: int, unit: str) -> list[int]:
    """Positions that this command has to evaluate; all processes have to call it.

    Args:
      made: what is done.
      share: what the command takes.
      total: number of images or videos.
      unit: `image` or `video`, for messages.
    Raises:
      UsageError: --merge, and something is missing.
      ValueError: as of `Shards.records`.
    """
    part = share.positions(total, unit)
    if share.is_part and gather(made.finished)[0]:
        return []
    done = made.records()
    if share.merge:
        missing = [k for k in range(total) if k not in done]
        if missing:
            raise app.UsageError(_missing(missing, share, total=total, unit=unit))
    # Folders may differ in what their hosts know of them: process 0 decides.
    rest = gather([k for k in part if k not in done])[0]
    if 0 < len(rest) < len(part):
        where = f" of --shard={share.shard}" if share.shard else ""
        say(f"going on after {len(part) - len(rest)} of {len(part)} {unit}s{where}")
    return rest


@contextlib.contextmanager
def under_way(made: Shards) -> Iterator[None]:
    """While images are scored: an error that says so if others have ended meanwhile.

    Raises:
      RuntimeError: the results were written and the records removed.
    """
    try:
        yield
    except FileNotFoundError as error:
        if not made.has_own or made.own.exists():
            raise
        raise RuntimeError(
            f"{made.folder}: another process evaluated the same and has written the "
            "results; give each process its own --shard"
        ) from error


def finish(
    made: Shards,
    share: Share,
    write: Callable[[Mapping[int, Record]], T],
    *,
    total: int,
    unit: str,
) -> T | None:
    """Writes the results if nothing is missing; all processes have to call it.

    Args:
      made: what is done; removed afterwards.
      share: what this command took.
      write: makes the results of the records in order, and returns them.
      total: number of images or videos.
      unit: `image` or `video`, for messages.
    Returns:
      What `write` returns; None where the results are not made by this process.
    Raises:
      FileNotFoundError: what another process of the job has done is not in `output`.
    """
    own = gather(str(made.own) if made.has_own else None)
    if jax.process_index():
        return None
    if share.is_part and made.finished:
        say(f"all is evaluated already; to evaluate anew: {share.command}")
        return None
    try:
        with made.locked():
            _check_shared([folder for folder in own if folder is not None])
            records = made.records()
            missing = [k for k in range(total) if k not in records]
            if not missing:
                result = write(dict(sorted(records.items())))
                made.finish()
                return result
    except FileNotFoundError:
        if made.folder.exists():
            raise
        say("another process has written the results")
        return None
    say(_missing(missing, share, total=total, unit=unit))
    return None


def _check_shared(folders: Sequence[str]) -> None:
    """Refuses an output of which each host of a job has one of its own."""
    for folder in folders:
        if not Path(folder).exists():
            raise FileNotFoundError(
                f"{folder}: what a process of this job predicted is not there; give an "
                "--output that is one folder for all processes"
            )


def _missing(missing: Sequence[int], share: Share, *, total: int, unit: str) -> str:
    """One line that names what is missing and how to evaluate it."""
    every = set(missing)
    starts = [k for k in missing if k - 1 not in every]
    stops = [k + 1 for k in missing if k + 1 not in every]
    ranges = [f"{a}:{b}" for a, b in zip(starts, stops, strict=True)]
    shown = ", ".join(ranges[:8]) + (", ..." if len(ranges) > 8 else "")
    return (
        f"{len(missing)} of {total} {unit}s are not evaluated yet: {shown}; the "
        f"results are written with the last of them: {share.command} "
        f"--shard={ranges[0]}, or without --shard for all of these"
    )
