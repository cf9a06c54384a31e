"""How long does saving a checkpoint hold a training up, on all devices at hand?

  python benchmarks/save.py --config=shapes:small [--saves=3] [--output=save.json]
  JAX_NUM_CPU_DEVICES=8 python benchmarks/save.py --config=shapes:small

Saves a state of zeros, laid out as the training lays it, in a folder that is deleted
again. Compiled programs are not kept, as for a training's first start.
"""

import dataclasses
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np
from absl import flags
from speed import command, report

from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.evaluation import text_table
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program
from pix2seq_d.training.store import CheckpointStore

_LABELS = LabelSpace((Category(1, "sky", False, (0, 0, 255)),))


def main(argv: list[str]) -> None:
    """Prints a row for each save."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_integer(
        "saves", 3, "One after another.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    report.check_output(values.output)
    config = command.config_of(*(a for a in argv if a.startswith("--config")))
    jax.config.update("jax_enable_compilation_cache", False)
    found = measure(config, saves=values.saves)
    print(
        f"{found['arrays']:,} arrays of {found['bytes'] / 1e6:,.1f} MB on "
        f"{jax.device_count()} devices\n"
    )
    rows = [
        [f"{number}", f"{row['held_up_s']:.2f}", f"{row['whole_s']:.2f}"]
        for number, row in enumerate(found["saves"], start=1)
    ]
    print(text_table.markdown(("save", "s held up", "s until complete"), rows))
    report.write(values.output, {"benchmark": "save", **found})


def measure(config: Config, *, saves: int) -> dict[str, Any]:
    """Seconds of each save, JSON types.

    Args:
      config: of the training, its number of classes settled.
      saves: how many.
    """
    abstract = program.make(config, meshes.make_mesh()).state
    state = jax.tree.map(
        lambda leaf: jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding),
        abstract,
    )
    leaves = jax.tree.leaves(state)
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="pix2seq_d_save_") as folder,
        CheckpointStore(folder, keep=1) as store,
    ):
        for number in range(saves):
            step = jax.device_put(np.int32(number), state.step.sharding)
            state = dataclasses.replace(state, step=step)
            jax.block_until_ready(state)
            start = time.perf_counter()
            store.save(state, config=config, labels=_LABELS)
            held_up = time.perf_counter() - start
            store.wait()
            whole = time.perf_counter() - start
            rows.append({"held_up_s": held_up, "whole_s": whole})
    return {
        "arrays": len(leaves),
        "bytes": sum(leaf.nbytes for leaf in leaves),
        "saves": rows,
    }


if __name__ == "__main__":
    sys.exit(app.run(main, "save"))
