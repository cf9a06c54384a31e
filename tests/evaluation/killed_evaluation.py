"""A process that evaluates the images from 7 on, by a ladder too, and is then killed.

python killed_evaluation.py WORKDIR OUTPUT

It dies with a prediction written of image 4, before that is recorded.
"""

import os
import signal
import sys

import jax

from pix2seq_d.cli import app, evaluate
from pix2seq_d.evaluation.shards import Shards

add = Shards.add


def add_or_die(shards, position, *args, **options):
    if position == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    add(shards, position, *args, **options)


def main(workdir, output):
    # Three times the same programs; no other process reads them.
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", f"{output}_compiled")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)
    Shards.add = add_or_die
    for argv in (["--shard=7:10"], ["--shard=7:10", "--ladder=1,2"], ["--shard=0:7"]):
        argv += [f"--workdir={workdir}", f"--output={output}"]
        assert app.run(evaluate.main, "evaluate", argv) == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
