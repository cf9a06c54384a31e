"""The first steps of a training of `shapes` on some mesh (run by compare_meshes.py).

python short_training.py FILE.npz CONFIG.json STEPS FSDP COORDINATOR COUNT INDEX
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path

import jax
import numpy as np

from pix2seq_d import config as config_lib
from pix2seq_d.data import sources
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import processes
from pix2seq_d.training import loop
from pix2seq_d.training import program as programs


def run(config, mesh, *, steps):
    """Losses [steps], each gradient of the first step, bytes that a device holds."""
    source = sources.make_source(
        config.data.source, train=True, size=config.model.image_size
    )
    config = sources.with_label_space(config, source.label_space)
    program = programs.make(config, mesh)
    state = loop.fresh_state(config, source.label_space, program)
    state = dataclasses.replace(state, variables=without_zeros(state.variables))
    held = bytes_of_a_device([state.variables["params"], state.opt_state])
    batches = sources.train_batches(
        source,
        config,
        mesh=mesh,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    place = meshes.replicated(mesh)
    key = jax.jit(lambda: jax.random.key(config.train.seed), out_shardings=place)()
    whole = jax.jit(lambda tree: tree, out_shardings=place)
    losses, gradients = [], {}
    for step in range(steps):
        state, scalars = program.step(state, next(batches), key)
        losses.append(float(scalars["loss"]))
        if step == 0:
            # AdamW's first moment after one step is (1 - b1) x the clipped gradient.
            moment = whole(first_moment(state.opt_state))
            leaves, _ = jax.tree_util.tree_flatten_with_path(moment)
            gradients = {
                "/".join(key.key for key in path): np.asarray(leaf)
                for path, leaf in leaves
            }
    batches.close()
    return {"losses": np.array(losses), "bytes": np.array(held), **gradients}


def without_zeros(variables):
    """Adds noise to the parameters: at the start most have no gradient."""
    rng, params = np.random.default_rng(0), variables["params"]
    noise = jax.tree.map(
        lambda leaf: rng.normal(0, 0.05, leaf.shape).astype(np.float32), params
    )
    # In one program: leaf by leaf the processes would compare the noise of each.
    add = jax.jit(
        functools.partial(jax.tree.map, jax.numpy.add),
        out_shardings=jax.tree.map(lambda leaf: leaf.sharding, params),
    )
    return {**variables, "params": add(params, noise)}


def first_moment(opt_state):
    def is_adam(node):
        return hasattr(node, "mu")

    nodes = jax.tree.leaves(opt_state, is_leaf=is_adam)
    (found,) = [node.mu for node in nodes if is_adam(node)]
    return found


def bytes_of_a_device(tree):
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))


if __name__ == "__main__":
    file, config, steps, fsdp, coordinator, count, index = sys.argv[1:]
    processes.join(
        coordinator=coordinator, num_processes=int(count), process_id=int(index)
    )
    np.savez(
        file,
        **run(
            config_lib.from_config_dict(json.loads(Path(config).read_text())),
            meshes.make_mesh(fsdp=int(fsdp)),
            steps=int(steps),
        ),
    )
