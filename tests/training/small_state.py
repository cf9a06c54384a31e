"""Training states of a few arrays, which save and restore in no time."""

import jax
import jax.numpy as jnp
import numpy as np

from pix2seq_d.config import Config
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.store import CheckpointStore

LABELS = LabelSpace((Category(7, "sky", False, (0, 0, 255)),))


def abstract_state(mesh=None, *, width=64):
    """Two arrays that FSDP splits and one that it does not, in every part."""
    mesh = mesh or meshes.make_mesh(jax.devices()[:1])

    def tree():
        params = {
            "kernel": jnp.zeros((32, width)),
            "query_kernel": jnp.zeros((16, 2, 8)),
            "bias": jnp.zeros((width,)),
        }
        return {"params": params, "batch_stats": {"mean": jnp.zeros((width,))}}

    def state():
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            variables=tree(),
            ema=tree(),
            opt_state=((), {"mu": tree()["params"], "count": jnp.zeros((), jnp.int32)}),
        )

    return rules.abstract(jax.eval_shape(state), mesh)


def state_at(step, mesh=None, **shape):
    """Values that differ between leaves, and between steps."""
    rng = np.random.default_rng(step)

    def draw(leaf):
        values = rng.normal(size=leaf.shape).astype(leaf.dtype)
        return jax.device_put(values, leaf.sharding)

    state = jax.tree.map(draw, abstract_state(mesh, **shape))
    place = state.step.sharding
    return TrainState(
        step=jax.device_put(np.int32(step), place),
        variables=state.variables,
        ema=state.ema,
        opt_state=state.opt_state,
    )


def save(store, step, mesh=None, **shape):
    store.save(state_at(step, mesh, **shape), config=Config(), labels=LABELS)


def saved(workdir, *steps):
    """A workdir with checkpoints of these steps."""
    with CheckpointStore(workdir, keep=9) as store:
        for step in steps:
            save(store, step)
    return workdir


def assert_equal(found, expected):
    """The same tree of the same bits."""
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
