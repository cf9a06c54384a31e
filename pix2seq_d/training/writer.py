"""Where metrics go: JSON lines always, TensorBoard where TensorFlow is there.

The only file that imports clu's writers; they import TensorFlow.
"""

import dataclasses
import importlib.util
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pix2seq_d import atomic_file
from pix2seq_d.config import Config, ConfigError

JSON_LINES = "metrics.jsonl"
WANDB_ID = "wandb_id"


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

    `time` is when the line was written, in seconds since 1970. Lines of steps after
    `resume_step` are dropped: a resumed training writes them again.

    Args:
      workdir: folder of the training.
      resume_step: step the training goes on from; 0 for a new one.
    """

    def __init__(self, workdir: Path, *, resume_step: int) -> None:
        self._path = path = workdir / JSON_LINES
        kept = [
            json.dumps(record)
            for record in _records(path)
            if record["step"] <= resume_step and resume_step
        ]
        atomic_file.replace_text(path, "".join(f"{line}\n" for line in kept))
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Appends one line and flushes it."""
        line = {"step": step} | {k: float(v) for k, v in scalars.items()}
        line["time"] = round(time.time(), 3)
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise atomic_file.cannot_write(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def is_evaluated(workdir: Path, step: int) -> bool:
    """Whether the metrics of a training have a line of an evaluation at a step."""
    return any(
        record["step"] == step and any(name.startswith("eval/") for name in record)
        for record in _records(workdir / JSON_LINES)
    )


def _records(path: Path) -> list[dict[str, Any]]:
    """Whole lines; one may have been cut off when the process was killed."""
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
                if isinstance(record["step"], int):
                    records.append(record)
            except (ValueError, KeyError, TypeError):
                continue
    return records


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


class WandbWriter:
    """A run of Weights & Biases; the run of a resumed training goes on.

    Its x axis is `step`: steps that a resumed training takes again are there twice.

    Args:
      workdir: keeps the run's files and its id; its name is the run's.
      config: shown with the run.
    Raises:
      ConfigError: the package is not installed.
    """

    def __init__(self, workdir: Path, config: Config) -> None:
        if importlib.util.find_spec("wandb") is None:
            raise ConfigError(
                "config field train.wandb=True needs Weights & Biases; "
                "pip install wandb, or take train.wandb=False"
            )
        import wandb  # pyright: ignore[reportMissingImports] - optional

        path = workdir / WANDB_ID
        if not path.exists():
            path.write_text(secrets.token_hex(8) + "\n", encoding="utf-8")
        self._run = wandb.init(
            project="pix2seq_d",
            name=workdir.name,
            id=path.read_text(encoding="utf-8").strip(),
            resume="allow",
            dir=workdir,
            config=dataclasses.asdict(config),
        )
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs scalars."""
        self._run.log({"step": step, **scalars})

    def close(self) -> None:
        """Sends what is left."""
        self._run.finish()


def make_writers(
    workdir: Path, *, resume_step: int, tensorboard: bool, wandb: Config | None = None
) -> list[Writer]:
    """The writers of a training; TensorBoard only where TensorFlow is installed.

    Args:
      workdir: folder of the training.
      resume_step: step the training goes on from; 0 for a new one.
      tensorboard: whether TensorBoard files are wanted.
      wandb: the config to show in Weights & Biases; None: not wanted there.
    """
    # First what may be refused.
    writers: list[Writer] = []
    if wandb is not None:
        writers.append(WandbWriter(workdir, wandb))
    writers.append(JsonLinesWriter(workdir, resume_step=resume_step))
    if tensorboard and importlib.util.find_spec("tensorflow"):
        writers.append(TensorBoardWriter(workdir))
    return writers
