"""A workdir as a training leaves it, without the training: weights are random."""

import dataclasses

import jax
import jax.numpy as jnp
from tiny_model import random_variables

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.data import sources
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import state as states
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.store import CheckpointStore


def make_config(argv):
    """The config that `launch.train` would make of these arguments."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    assert app.parse(values, argv, "")
    config = config_lib.from_config_dict(values.config)
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    return sources.with_label_space(config, source.label_space), source.label_space


def save(workdir, argv, *, steps):
    """Writes checkpoints of these steps, each with weights of its own."""
    config, labels = make_config(argv)
    workdirs.claim(workdir, config)
    optimizer = programs.make(config, meshes.make_mesh()).optimizer
    with CheckpointStore(workdir, keep=100) as store:
        for step in steps:
            variables = random_variables(Pix2SeqD(config.model), seed=step)
            ema = jax.tree.map(jnp.copy, variables)
            state = states.of(variables, ema, optimizer=optimizer)
            state = dataclasses.replace(state, step=jnp.asarray(step, jnp.int32))
            store.save(state, config=config, labels=labels)
    return config
