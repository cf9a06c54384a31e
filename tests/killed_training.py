"""A training in a process of its own that is killed, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

ROOT = Path(__file__).resolve().parents[1]
# What depends on the clock.
_TIMED = ("seconds/", "images_per_second", "goodput", "time")


class Training:
    """`launch.train` on one CPU device; what it compiled is kept beside the workdir.

    Args:
      workdir: of the training.
      argv: of the command.
      process: which one, in a job of several that share the workdir.
    """

    def __init__(self, workdir: Path, argv: list[str], *, process: int = 0) -> None:
        self.workdir = workdir
        workdir.parent.mkdir(parents=True, exist_ok=True)
        self._errors = workdir.parent / f"{workdir.name}.{process}.log"
        environment = os.environ | {
            "JAX_ENABLE_COMPILATION_CACHE": "1",
            "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        }
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "launch.train", f"--workdir={workdir}", *argv],
                cwd=ROOT,
                env=environment,
                stderr=errors,
            )

    def wait_until(self, condition, *, timeout_s=300.0):
        """Waits for something to happen in the workdir, however briefly."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert self._process.poll() is None, f"it has ended:\n{self.errors()}"
            assert time.monotonic() < end, f"it has not happened:\n{self.errors()}"
            time.sleep(0.001)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, *, timeout_s=300.0) -> int:
        """The exit status."""
        try:
            return self._process.wait(timeout_s)
        finally:
            self._process.kill()

    def errors(self) -> str:
        return self._errors.read_text()


def records(workdir: Path) -> list[dict]:
    """Whole lines of `metrics.jsonl`."""
    path = workdir / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def curve(workdir: Path) -> list[dict]:
    """All that does not depend on the clock, exact to the last bit."""
    return [
        {k: v for k, v in record.items() if not k.startswith(_TIMED)}
        for record in records(workdir)
    ]


def last_logged(workdir: Path) -> int:
    return max((r["step"] for r in records(workdir) if "loss" in r), default=0)


def saved_steps(workdir: Path) -> list[int]:
    """Steps of the complete checkpoints."""
    names = [path.name for path in (workdir / "checkpoints").glob("[0-9]*")]
    return sorted(int(name) for name in names if name.isdigit())


def is_saving(workdir: Path) -> bool:
    """Whether a checkpoint is being written."""
    return any((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp*"))


def state(workdir: Path, step: int) -> list[np.ndarray]:
    """The arrays of a checkpoint."""
    folder = workdir / "checkpoints" / str(step)
    arrays = []
    with ocp.PyTreeCheckpointer() as reader:
        for item in ("variables", "ema", "optimizer"):
            tree = reader.metadata(folder / item).item_metadata.tree
            args = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
            )
            arrays += jax.tree.leaves(reader.restore(folder / item, restore_args=args))
    return arrays
