"""What becomes of a step whose loss or gradient is no number.

The step itself has left the update out (`step.train_step`), so the state is unharmed;
here it is recorded, so that it can be looked into.
"""

import json
import math
from pathlib import Path
from typing import Any

from pix2seq_d.config import Config
from pix2seq_d.data import order

FOLDER = "nonfinite"


class NonFiniteError(RuntimeError):
    """The loss or the gradient norm of a step is no number."""


def record(
    folder: Path,
    step: int,
    scalars: dict[str, float],
    *,
    config: Config,
    num_images: int,
) -> None:
    """Writes `step.json`: a step's scalars and the images of its batch.

    Args:
      folder: of `folder_of`; made if absent.
      step: that was left out; the first of a training is 1.
      scalars: that it returned.
      config: of the training.
      num_images: of the training data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "step": step,
        # Strict JSON knows neither NaN nor infinity.
        "scalars": {k: v if math.isfinite(v) else str(v) for k, v in scalars.items()},
        "batch": batch_of(step, config=config, num_images=num_images),
    }
    path = folder / "step.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def folder_of(workdir: Path, step: int) -> Path:
    """Where a step's record is, and the state as `checkpoints/` if training stopped."""
    return workdir / FOLDER / f"step_{step}"


def batch_of(step: int, *, config: Config, num_images: int) -> dict[str, Any]:
    """Which images a step took: {'seed', 'epoch': [B ints], 'index': [B ints]}.

    `index` is the position in the data source; epoch, index and seed name the
    augmentation. (An unreadable image had been replaced, data.max_skipped.)
    """
    train = config.train
    epoch, index = order.locate(
        order.batch_positions(step - 1, batch_size=train.batch_size),
        num_examples=num_images,
        seed=train.seed,
    )
    return {"seed": train.seed, "epoch": epoch.tolist(), "index": index.tolist()}


def message(step: int, scalars: dict[str, float]) -> str:
    """Says what is no number, e.g. 'step 3: loss nan, gradient norm nan'."""
    return (
        f"step {step}: loss {scalars['loss']:.4g}, gradient norm "
        f"{scalars['grad_norm']:.4g}"
    )
