"""What a workdir tells of its training: commands, commit, versions, time."""

import datetime
import shlex
from pathlib import Path
from typing import Any

from pix2seq_d import assets
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.labels import LabelSpace
from pix2seq_d.training import checkpoint, ledger
from pix2seq_d.training import checkpoint_format as formats
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.workdir import CHECKPOINTS, FREE_FIELDS
from pix2seq_d.training.writer import JSON_LINES
from pix2seq_d.visualize.curves import read_metrics

VERSIONS = ("jax", "jaxlib", "flax")


def training(
    trained: Trained, workdir: Path, *, base: str, hardware: str
) -> dict[str, Any]:
    """What `card` says of a training.

    Args:
      trained: a checkpoint of it.
      workdir: of the training.
      base: as of `commands`.
      hardware: that it was trained on, for people.
    """
    return {
        "commands": commands(workdir, trained.config, trained.labels, base),
        "hardware": hardware,
        **history(workdir, trained.step),
    }


def commands(workdir: Path, config: Config, labels: LabelSpace, base: str) -> list[str]:
    """The trainings that lead to a model, first to last, as a shell takes them.

    Args:
      workdir: of the training.
      config: of it.
      labels: of its data.
      base: config file and variant that the command starts from.
    """
    fields = config_lib.flatten(
        sources.with_label_space(app.load_config([f"--config={base}"]), labels)
    )
    free = tuple(f for f in FREE_FIELDS if f.startswith(("train.", "sharding.")))
    overrides, before = [], []
    for name, value in config_lib.flatten(config).items():
        if value == fields[name] or name.startswith(free):
            continue
        if name == "init.from_":
            if value not in assets.names():
                start = checkpoint.load(value)
                name_before = start.config.data.source.name
                # Other data has a config file of its own, with the same variant.
                first = f"{name_before}:{base.partition(':')[2]}"
                if name_before == config.data.source.name:
                    first = base
                before = commands(Path(value), start.config, start.labels, first)
            name, value = "init.from", place(value)
        if name == "data.source.root":
            value = "DIR"  # elsewhere it is another one
        overrides.append(f"--config.{name}={str(value).replace(' ', '')}")
    where = f"--workdir={place(str(workdir))}"
    argv = ("python", "-m", "launch.train", f"--config={base}", where, *overrides)
    return [*before, shlex.join(argv)]


def history(workdir: Path, step: int) -> dict[str, Any]:
    """Commit, versions, seconds and day of a training."""
    code = formats.read_meta(workdir / CHECKPOINTS / str(step))["code"]
    lines = read_metrics(workdir / JSON_LINES)
    ended = max(line["time"] for line in lines if line["step"] <= step)
    return {
        "commit": code["commit"],
        "versions": {name: code[name] for name in VERSIONS},
        "seconds": round(ledger.step_seconds(workdir, step)),
        "ended": datetime.datetime.fromtimestamp(ended, datetime.UTC)
        .date()
        .isoformat(),
    }


def place(path: str) -> str:
    """What a command calls a workdir or a shipped model."""
    return path if path in assets.names() else f"work/{Path(path).name}"
