"""Flags of an evaluation in parts: which part a command evaluates."""

import dataclasses
import re
import shlex
from collections.abc import Sequence

from absl import flags

from pix2seq_d.cli import app

SECTION = "Several machines that know nothing of each other; docs/training.md"
NAMES = ("shard", "merge")


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

    @property
    def is_part(self) -> bool:
        """Whether others do the rest."""
        return self.merge or self.shard is not None

    def of_step(self, step: int, *, given: bool) -> "Share":
        """With the checkpoint's step in the command, unless it is there already."""
        if given:
            return self
        return dataclasses.replace(self, command=f"{self.command} --step={step}")

    def total(self, length: int) -> int:
        """Number of images of a source that has `length`."""
        return length if self.limit is None else min(self.limit, length)

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
