"""The folder of one training: it remembers its config and refuses another."""

import dataclasses
import json
from pathlib import Path

from pix2seq_d import config as config_lib
from pix2seq_d.config import Config, ConfigError

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"

# Fields in which a resumed training may differ from the one that began.
FREE_FIELDS = (
    "train.checkpoint_every",
    "train.keep",
    "train.keep_best",
    "train.grad_accumulation",
    "train.remat",
    "train.on_nonfinite",
    "train.max_nonfinite",
    "train.log_every",
    "train.eval_every",
    "train.eval_images",
    "train.eval_at_start",
    "train.tensorboard",
    "sharding.",
    "evaluation.",
    "diffusion.num_steps",
    "diffusion.time_difference",
    "diffusion.sampler",
    "diffusion.sample_schedule.",
    "data.source.root",
    "data.source.eval_split",
    "data.source.eval_images",
)


def claim(workdir: Path, config: Config, *, flag: str = "workdir") -> None:
    """Writes the config into the workdir, or checks the one that is there.

    Without a checkpoint there is nothing to lose, and any config may begin.

    Args:
      workdir: made if absent.
      config: of the training.
      flag: that named the workdir, for messages.
    Raises:
      ConfigError: the workdir holds a training of another config.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--{flag}={workdir} cannot be made: {error}") from error
    path = workdir / CONFIG_FILE
    if path.exists() and any((workdir / CHECKPOINTS).glob("[0-9]*")):
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            before = config_lib.flatten(config_lib.from_config_dict(text))
        except ValueError as error:
            raise ConfigError(
                f"{path} cannot be read ({error}); take another --{flag}"
            ) from error
        for field, value in config_lib.flatten(config).items():
            if value != before[field] and not field.startswith(FREE_FIELDS):
                raise ConfigError(
                    f"{workdir} holds a training with {field}={before[field]!r}, not "
                    f"{value!r}; take another --{flag} or the same config"
                )
    part = path.with_name(path.name + ".part")
    part.write_text(
        json.dumps(dataclasses.asdict(config), indent=2) + "\n", encoding="utf-8"
    )
    part.replace(path)
