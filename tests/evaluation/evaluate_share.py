"""One of two processes that follow a workdir, then evaluate it by a ladder.

python evaluate_share.py WORKDIR OUTPUT COORDINATOR PROCESS_ID
"""

import shutil
import sys

import jax

from pix2seq_d.cli import app, evaluate
from pix2seq_d.training import checkpoint, follow
from pix2seq_d.training.checkpoint import CheckpointError

read = checkpoint.load


def load(path, *, step):
    """Step 1 is deleted when process 0 has read it and process 1 has not."""
    if step == 1 and jax.process_index() == 1:
        raise CheckpointError("it lacks ema")
    trained = read(path, step=step)
    if step == 1:
        shutil.rmtree(path / "checkpoints" / "1")
    return trained


def main(workdir, output, coordinator, process_id):
    job = [
        f"--coordinator={coordinator}",
        "--num_processes=2",
        f"--process_id={process_id}",
    ]
    checkpoint.load, follow.POLL_S = load, 0.1
    followed = [f"--workdir={workdir}", f"--output={output}/followed", "--follow"]
    status = app.run(evaluate.main, "evaluate", [*followed, "--all_steps", *job])
    ladder = [f"--workdir={workdir}", f"--output={output}/ladder", "--ladder=1,2"]
    return status or app.run(evaluate.main, "evaluate", ladder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
