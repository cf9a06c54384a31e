"""Flags of an evaluation in parts, and what all kinds of evaluation share of it."""

import contextlib
import dataclasses
import re
import shlex
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.evaluation import shards
from pix2seq_d.evaluation.shards import Record, Shards
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.journal import say

SECTION = "Several machines that know nothing of each other; docs/training.md"
NAMES = ("shard", "merge")
# No score depends on it, and hosts may differ in memory.
_FREE_FIELD = "evaluation.batch_size"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Share:
    """What this command evaluates.

    Attributes:
      limit: number of leading images; None: all.
      shard: value of --shard; None: all that is missing.
      merge: evaluate nothing.
      command: the same one without --shard and --merge, for messages.
    """

    limit: int | None = None
    shard: str | None = None
    merge: bool = False
    command: str = "python -m launch.evaluate"

    def of_step(self, step: int, *, given: bool) -> "Share":
        """With the checkpoint's step in the command, unless it is there already."""
        if given:
            return self
        return dataclasses.replace(self, command=f"{self.command} --step={step}")

    def positions(self, total: int, unit: str) -> range:
        """Positions in the source of what this command evaluates.

        Args:
          total: number of images or videos.
          unit: `image` or `video`, for messages.
        Raises:
          UsageError: --shard is of more than there are.
        """
        if self.merge:
            return range(0)
        if self.shard is None:
            return range(total)
        first, mark, second = _split(self.shard)
        if mark == "/":
            part = range(total * first // second, total * (first + 1) // second)
            if not part:
                raise app.UsageError(
                    f"--shard={self.shard}: has none of {total} {unit}s; take at most "
                    f"{total} parts"
                )
            return part
        if second > total:
            raise app.UsageError(
                f"--shard={self.shard}: there are {total} {unit}s; end with {total}"
            )
        return range(first, second)


WHOLE = Share()


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""
    flags.DEFINE_string(
        "shard",
        None,
        "The part that this command evaluates of all, on any host that has the same "
        "--output, at any time: 0/3, 1/3 or 2/3 for thirds, or 0:100 for images 0 to "
        "99 (of a model of video: videos). Whoever ends last writes the results.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "merge",
        False,
        "Evaluate nothing; write the results of all shards, or say what is missing.",
        flag_values=values,
    )


def parse(values: flags.FlagValues, argv: Sequence[str]) -> Share:
    """The share that the flags ask for.

    Args:
      values: parsed.
      argv: arguments of the command.
    Raises:
      UsageError: --shard is no part, or the flags do not go together.
    """
    if values.shard is not None and values.merge:
        raise app.UsageError("--shard and --merge exclude each other; give one")
    if values.follow and (values.shard is not None or values.merge):
        name = "--merge" if values.merge else "--shard"
        raise app.UsageError(
            f"{name} and --follow exclude each other; give --step with {name}"
        )
    if values.shard is not None:
        _split(values.shard)
    kept = list(argv)
    for k, argument in enumerate(argv):
        name, equals, _ = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name in NAMES:
            kept[k] = ""
            if name == "shard" and not equals:
                kept[k + 1] = ""
    return Share(
        limit=values.limit,
        shard=values.shard,
        merge=values.merge,
        command=shlex.join(["python", "-m", "launch.evaluate", *filter(None, kept)]),
    )


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
    made_of = {
        "step": trained.step,
        "total": total,
        **settings,
        **fields,
        "weights_crc32": _crc32(trained.variables),
    }
    return Shards(output / shards.FOLDER / kind, made_of)


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
        if made.own.exists():
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
    own = gather(str(made.own) if "own" in vars(made) else None)
    if jax.process_index():
        return None
    folders = [folder for folder in own if folder is not None]
    if len(set(folders)) < len(folders) or not all(Path(f).exists() for f in folders):
        raise FileNotFoundError(
            f"{made.folder}: what other processes of the job predicted is not there; "
            "give an --output that is one folder for all processes"
        )
    try:
        with made.locked():
            records = made.records()
            missing = [k for k in range(total) if k not in records]
            if not missing:
                result = write(dict(sorted(records.items())))
                made.remove()
                return result
    except FileNotFoundError:
        if made.folder.exists():
            raise
        say("another process has written the results")
        return None
    say(_missing(missing, share, total=total, unit=unit))
    return None


def _missing(missing: Sequence[int], share: Share, *, total: int, unit: str) -> str:
    """One line that names what is missing and how to evaluate it."""
    every = set(missing)
    starts = [k for k in missing if k - 1 not in every]
    stops = [k + 1 for k in missing if k + 1 not in every]
    ranges = [f"{a}:{b}" for a, b in zip(starts, stops, strict=True)]
    shown = ", ".join(ranges[:8]) + (", ..." if len(ranges) > 8 else "")
    return (
        f"{len(missing)} of {total} {unit}s are not evaluated: {shown}; the results "
        f"are written with the last of them: {share.command} --shard={ranges[0]}, or "
        "without --shard for all of these"
    )


def _split(text: str) -> tuple[int, str, int]:
    """'0/3' -> (0, '/', 3); '0:100' -> (0, ':', 100)."""
    match = re.fullmatch(r"(\d+)([/:])(\d+)", text)
    if match is None:
        raise app.UsageError(
            f"--shard={text}: no part; take one like 0/3, the first of three, or "
            "0:100, the first hundred"
        )
    first, mark, second = int(match[1]), match[2], int(match[3])
    if first >= second:
        cure = f"0/{second} to {second - 1}/{second}" if second else "0/1"
        if mark == ":":
            cure = "START:STOP with START below STOP"
        raise app.UsageError(f"--shard={text}: no part; take {cure}")
    return first, mark, second


def _crc32(variables: Any) -> int:
    """Of all weights; a checkpoint written again has the same."""
    value = 0
    for leaf in jax.tree.leaves(variables):
        value = zlib.crc32(np.asarray(leaf).tobytes(), value)
    return value
