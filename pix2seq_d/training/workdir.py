"""The folder of one training: it remembers its config and refuses another."""

import dataclasses
import json
import shlex
from pathlib import Path

import jax

from pix2seq_d import atomic_file
from pix2seq_d import config as config_lib
from pix2seq_d.config import Config, ConfigError
from pix2seq_d.training import checkpoint_format as formats

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"

# Fields in which a resumed training may differ from the one that began.
FREE_FIELDS = (
    "train.checkpoint_every",
    "train.keep",
    "train.keep_best",
    "train.remat",
    "train.on_nonfinite",
    "train.max_nonfinite",
    "train.log_every",
    "train.eval_every",
    "train.eval_images",
    "train.eval_at_start",
    "train.tensorboard",
    "train.wandb",
    "sharding.",
    "evaluation.",
    "diffusion.num_steps",
    "diffusion.stop_changed",
    "diffusion.new_share",
    "diffusion.time_difference",
    "diffusion.start_time",
    "diffusion.sampler",
    "diffusion.sample_schedule.",
    "data.max_skipped",
    "data.read_timeout_s",
    "data.source.root",
    "data.source.eval_split",
    "data.source.eval_images",
)


def claim(workdir: Path, config: Config, *, flag: str = "workdir") -> None:
    """Writes the config into the workdir, or checks the one that is there.

    Without a checkpoint there is nothing to lose, and any config may begin. Every
    process checks, process 0 writes.

    Args:
      workdir: made if absent.
      config: of the training.
      flag: that named the workdir, for messages.
    Raises:
      ConfigError: the workdir holds a training of another config, or cannot be read
        or written.
    """
    check(workdir, config, flag=flag)
    if jax.process_index() == 0:
        try:
            _write(workdir / CONFIG_FILE, config)
        except OSError as error:
            raise ConfigError(
                f"--{flag}={workdir} cannot be written ({error.strerror or error}); "
                "take another folder, or mend this one"
            ) from error


def check(workdir: Path, config: Config, *, flag: str = "workdir") -> None:
    """Raises ConfigError if the workdir holds a training of another config.

    Args:
      workdir: may be absent.
      config: as the training would write it.
      flag: that named the workdir, for messages.
    """
    before = config_of(workdir, flag=flag)
    if before is None:
        return
    fields = config_lib.flatten(before)
    for field, value in config_lib.flatten(config).items():
        if value != fields[field] and not _is_free(field, config):
            raise ConfigError(
                f"{workdir} holds a training with {field}={fields[field]!r}, not "
                f"{value!r}; take another --{flag}, or go on with "
                + shlex.quote(f"--config.{field}={fields[field]}")
            )


def _is_free(field: str, config: Config) -> bool:
    if field == "train.grad_accumulation":
        # Else batch-norm normalises each part by itself, and learns other statistics.
        return config.train.freeze_batch_norm
    return field.startswith(FREE_FIELDS)


def config_of(workdir: Path, *, flag: str = "workdir") -> Config | None:
    """The config of the training that the workdir holds, None without a checkpoint.

    Args:
      workdir: may be absent.
      flag: that named the workdir, for messages.
    Raises:
      ConfigError: it cannot be read.
    """
    folders = [p for p in (workdir / CHECKPOINTS).glob("[0-9]*") if p.name.isdigit()]
    if not folders:
        return None
    path = workdir / CONFIG_FILE
    try:
        return config_lib.from_saved(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        fault = error
    for folder in sorted(folders, key=lambda p: int(p.name), reverse=True):
        try:
            return config_lib.from_saved(formats.read_json(folder, "config"))
        except (OSError, ValueError):
            continue
    raise ConfigError(f"{path} cannot be read ({fault}); take another --{flag}")


def _write(path: Path, config: Config) -> None:
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_file.replace_text(path, text)
