"""Kills and stops one training many times; it has to end as one left alone.

python tests/soak.py [FOLDER]     (`make soak`)

Writes FOLDER/soak.md. Exit status 1 where a line of metrics or an array differs.
"""

import datetime
import logging
import os
import platform
import random
import shutil
import signal
import sys
import time
from importlib import metadata
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
from conftest import MICRO
from killed_training import (
    Training,
    curve,
    is_saving,
    last_logged,
    records,
    saved_steps,
    state,
)

SIGNALS = [signal.SIGKILL] * 20 + [signal.SIGTERM] * 5
STEPS, CHECKPOINT_EVERY, LOG_EVERY, EVAL_EVERY = 1000, 25, 10, 300
ARGV = [
    "--config=shapes:tiny",
    *MICRO,
    f"--config.train.num_steps={STEPS}",
    f"--config.train.checkpoint_every={CHECKPOINT_EVERY}",
    f"--config.train.log_every={LOG_EVERY}",
    f"--config.train.eval_every={EVAL_EVERY}",
    "--config.train.eval_images=8",
    "--config.data.source.train_images=100",
]


def main(folder: Path) -> int:
    # Orbax misses a file that checkpoints of one item have.
    logging.getLogger("absl").setLevel(logging.ERROR)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began, began_at = time.monotonic(), time.time()
    undisturbed = folder / "undisturbed"
    training = Training(undisturbed, ARGV)
    assert training.end(timeout_s=3600) == 0, training.errors()
    lasted = time.monotonic() - began
    times = [record["time"] for record in records(undisturbed)]
    stepping = times[-1] - times[1]
    print(f"undisturbed: {lasted:.0f} s, {stepping:.0f} s of them steps", flush=True)

    rng = random.Random(0)
    signals = rng.sample(SIGNALS, len(SIGNALS))
    disturbed = folder / "disturbed"
    # While it starts, or within the next twelfth of the steps.
    starting, rows = times[0] - began_at, []
    for number, sent in enumerate(signals, start=1):
        delay = rng.uniform(0.2 * starting, starting + stepping / 12)
        row, begun = disturb(disturbed, sent, delay)
        if begun is not None:
            starting = begun
        rows.append(row)
        print(f"{number:2d}  {row}", flush=True)
    training = Training(disturbed, ARGV)
    assert training.end(timeout_s=3600) == 0, training.errors()

    equal_lines = curve(disturbed) == curve(undisturbed)
    arrays = [state(workdir, STEPS) for workdir in (disturbed, undisturbed)]
    pairs = list(zip(*arrays, strict=True))
    equal_arrays = sum(np.array_equal(a, b) for a, b in pairs)
    goodput = [r["goodput"] for r in records(disturbed) if "goodput" in r][-1]
    packages = ("jax", "jaxlib", "flax", "orbax-checkpoint", "numpy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    lines = [
        f"{datetime.date.today()}, {os.cpu_count()} CPU cores, Python "
        f"{platform.python_version()}, {versions}, "
        f"{(time.monotonic() - began) / 60:.0f} minutes.",
        "",
        f"* {len(curve(undisturbed))} lines of metrics, all numbers that do not depend "
        f"on the clock: {'equal to the last bit' if equal_lines else 'DIFFERENT'}",
        f"* checkpoint of step {STEPS}: {equal_arrays} of {len(pairs)} arrays equal to "
        "the last bit",
        "* goodput since the last start at step 0, all later starts and lost steps in "
        f"it: {100 * goodput:.0f} %",
        "",
        "| | signal | while it | goes on from | last line | saved then | status |",
        "|---|---|---|---|---|---|---|",
        *(f"| {number} | {row} |" for number, row in enumerate(rows, start=1)),
    ]
    (folder / "soak.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0 if equal_lines and equal_arrays == len(pairs) else 1


def disturb(
    workdir: Path, sent: signal.Signals, delay: float
) -> tuple[str, float | None]:
    """Starts, and sends a signal after a while.

    Returns:
      A row of the table; seconds until the first steps were done, None if they were
      not.
    """
    before, start, begun = saved_steps(workdir)[-1:], time.time(), None
    training = Training(workdir, ARGV)
    if sent == signal.SIGTERM:  # the training has to be there to take it
        training.wait_until(lambda: "parameters," in training.errors())
    while time.time() - start < delay:
        lines = (r for r in records(workdir) if "loss" in r)
        if begun is None and any(line["time"] > start for line in lines):
            begun = time.time() - start
        time.sleep(0.01)
    compiling = "compiling" in training.errors()
    doing = "starts" if not compiling else "compiles" if begun is None else "steps"
    if begun is not None and is_saving(workdir):
        doing += ", saves"
    training.send(sent)
    status = training.end()
    assert status == (75 if sent == signal.SIGTERM else -9), training.errors()
    after = saved_steps(workdir)[-1:]
    columns = (
        sent.name,
        doing,
        before[0] if before else "none",
        last_logged(workdir),
        after[0] if after else "none",
        status,
    )
    return " | ".join(map(str, columns)), begun


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "work/soak").resolve()))
