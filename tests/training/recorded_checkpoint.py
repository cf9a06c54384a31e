"""The checkpoint that tests/training/checkpoints/ records in every format.

python tests/training/recorded_checkpoint.py OUT.tar.xz writes it in today's format.
format_0 was written so by commit 9e59599. The records are never written again.
"""

import dataclasses
import sys
import tarfile
import tempfile
from pathlib import Path

import jax
import numpy as np

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from tiny_model import TINY

from pix2seq_d.config import Config
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.store import CheckpointStore

STEP = 7
CONFIG = Config(model=dataclasses.replace(TINY, conditioning=()))
LABELS = LabelSpace(
    tuple(Category(k, f"class {k}", k % 2 == 0, (k, 2 * k, 3 * k)) for k in range(1, 7))
)


def abstract_state(mesh):
    return programs.make(CONFIG, mesh).state


def recorded_state(abstract):
    """Every leaf full of a number of its own, so that it packs well."""
    leaves, tree = jax.tree.flatten(abstract)
    values = [
        np.full(leaf.shape, k / 64 if leaf.dtype == np.float32 else STEP, leaf.dtype)
        for k, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(tree, values)


def write(path):
    abstract = abstract_state(meshes.make_mesh(jax.devices()[:1]))
    state = jax.tree.map(
        lambda value, leaf: jax.device_put(value, leaf.sharding),
        recorded_state(abstract),
        abstract,
    )
    with tempfile.TemporaryDirectory() as folder:
        workdirs.claim(Path(folder), CONFIG)
        with CheckpointStore(folder, keep=1) as store:
            store.save(state, config=CONFIG, labels=LABELS, num_images=100)
        with tarfile.open(path, "w:xz") as tar:
            tar.add(folder, arcname=".")


if __name__ == "__main__":
    write(sys.argv[1])
