"""One process of a job that saves, finds the latest checkpoint damaged, and goes on.

python store_process.py WORKDIR PROCESS_INDEX PROCESS_COUNT COORDINATOR
"""

import sys
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from small_state import abstract_state, save, state_at

from pix2seq_d.config import Config
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import lock
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.store import CheckpointStore


def assert_is(found, step, mesh):
    """The shards of this process are those of the state at a step."""
    expected = state_at(step, mesh)

    def check(found, expected):
        for mine, other in zip(
            found.addressable_shards, expected.addressable_shards, strict=True
        ):
            assert mine.index == other.index
            np.testing.assert_array_equal(mine.data, other.data)

    jax.tree.map(check, found, expected)


def main(workdir):
    mesh = meshes.make_mesh(fsdp=2)
    with lock.hold(workdir):
        workdirs.claim(workdir, Config())
        with CheckpointStore(workdir, keep=2, keep_best=1) as store:
            assert store.resume(abstract_state(mesh)) is None
            for step in (1, 2, 3, 4):
                save(store, step, mesh)
                store.check()
                store.score(step, float(step == 1))
        if jax.process_index() == 0:
            files = (workdir / "checkpoints" / "4" / "ema").rglob("*")
            largest = max(files, key=lambda path: path.stat().st_size * path.is_file())
            largest.write_bytes(largest.read_bytes()[:-100])
        multihost_utils.sync_global_devices("damaged")
        with CheckpointStore(workdir, keep=2, keep_best=1) as store:
            resumed = store.resume(abstract_state(mesh))
            assert_is(resumed.state, 3, mesh)
            save(store, 4, mesh)
            store.wait()
            assert_is(store.restore(abstract_state(mesh), step=4), 4, mesh)
            print(store.steps(), resumed.step, *resumed.notes)


if __name__ == "__main__":
    folder, index, count, coordinator = sys.argv[1:]
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, int(count), int(index))
    main(Path(folder))
