"""Where metrics go: JSON lines always, TensorBoard where TensorFlow is there.

The only file that imports clu's writers; they import TensorFlow.
"""

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

JSON_LINES = "metrics.jsonl"


class Writer(Protocol):
    """Takes the scalars of a step."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes {name: value} of a step."""
        ...

    def close(self) -> None:
        """Makes sure that everything is on disk."""
        ...


class JsonLinesWriter:
    """Appends {"step": ..., name: value, ...} lines to `<workdir>/metrics.jsonl`.

    Lines of steps after `resume_step` are dropped: a resumed training writes
    them again.

    Args:
      workdir: folder of the training.
      resume_step: step the training goes on from; 0 for a new one.
    """

    def __init__(self, workdir: Path, *, resume_step: int) -> None:
        path = workdir / JSON_LINES
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= resume_step and resume_step:
                        kept.append(line)
                except (ValueError, KeyError, TypeError):
                    continue  # a line cut off when the process was killed
        part = path.with_name(path.name + ".part")
        part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        part.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Appends one line and flushes it."""
        line = {"step": step} | {k: float(v) for k, v in scalars.items()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoardWriter:
    """TensorBoard event files in the workdir, written by clu."""

    def __init__(self, workdir: Path) -> None:
        # TensorFlow's start-up chatter says nothing about this training.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from clu import metric_writers

        self._writer = metric_writers.SummaryWriter(str(workdir))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars."""
        self._writer.write_scalars(step, scalars)

    def close(self) -> None:
        """Flushes and closes the event file."""
        self._writer.close()


def make_writers(workdir: Path, *, resume_step: int, tensorboard: bool) -> list[Writer]:
    """The writers of a training; TensorBoard only where TensorFlow is installed.

    Args:
      workdir: folder of the training.
      resume_step: step the training goes on from; 0 for a new one.
      tensorboard: whether TensorBoard files are wanted.
    """
    writers: list[Writer] = [JsonLinesWriter(workdir, resume_step=resume_step)]
    if tensorboard and importlib.util.find_spec("tensorflow"):
        writers.append(TensorBoardWriter(workdir))
    return writers
