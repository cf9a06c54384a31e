"""The checkpoints of a training that another job runs, as they appear (ours)."""

import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from pix2seq_d import config as config_lib
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import CheckpointError, Trained
from pix2seq_d.training.workdir import CONFIG_FILE

POLL_S = 5.0  # between two looks at the folder
DELETION_POLLS = 12  # until a checkpoint that is being deleted has gone


def wait_for_step(
    workdir: Path, done: Collection[int], *, all_steps: bool, timeout_s: float
) -> int | None:
    """Waits for a checkpoint that has not been evaluated.

    All processes have to call it; what the first one sees holds for all.

    Args:
      workdir: of the training; may be made while this waits.
      done: steps evaluated.
      all_steps: take the earliest such step; else the latest checkpoint only.
      timeout_s: how long to wait.
    Returns:
      The step; None where the training's last one is done.
    Raises:
      TimeoutError: no new checkpoint in time.
    """
    start = time.monotonic()
    while True:
        step = next_step(checkpoint.steps(workdir), done, all_steps=all_steps)
        ended = step is None and last_step(workdir) in done
        waited = time.monotonic() - start
        step, ended, waited = gather([step, ended, waited])[0]
        if step is not None or ended:
            return step
        if waited >= timeout_s:
            raise TimeoutError(
                f"{workdir}: no new checkpoint for {timeout_s:g} s, and the training "
                "has not reached its end; start again to go on, or raise "
                "--follow_timeout_s"
            )
        time.sleep(min(POLL_S, timeout_s - waited))


def next_step(
    steps: Sequence[int], done: Collection[int], *, all_steps: bool
) -> int | None:
    """The checkpoint to evaluate, None without one; arguments as above."""
    candidates = steps if all_steps else steps[-1:]
    return next((step for step in candidates if step not in done), None)


def last_step(workdir: Path) -> int | None:
    """The step at which a training ends; None before it has begun."""
    path = workdir / CONFIG_FILE
    if not path.exists():
        return None
    fields = json.loads(path.read_text(encoding="utf-8"))
    return config_lib.from_saved(fields).train.num_steps


def load(workdir: Path, step: int) -> Trained | None:
    """Reads a checkpoint that may be deleted meanwhile: None where it was.

    All processes have to call it.

    Raises:
      CheckpointError: it is there and cannot be read.
    """
    trained, error = None, None
    try:
        trained = checkpoint.load(workdir, step=step)
    except (CheckpointError, FileNotFoundError) as caught:
        error = str(caught)
    error = next((e for e in gather(error) if e is not None), None)
    if error is None:
        return trained
    for _ in range(DELETION_POLLS):
        time.sleep(POLL_S)
        if not gather(step in checkpoint.steps(workdir))[0]:
            return None
    raise CheckpointError(error)
