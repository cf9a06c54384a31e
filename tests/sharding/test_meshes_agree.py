"""A training is the same on any mesh; that of shapes:tiny: docs/results/sharding.md."""

import dataclasses
import math

import jax
import pytest
from compare_meshes import difference, run
from short_training import run as run_here

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs

STEPS = 3


@pytest.fixture(scope="module")
def config(micro):
    fields = shapes.get_config("tiny")
    fields.data.source.train_images = 16
    fields.train.num_steps = STEPS
    return app.override(config_lib.from_config_dict(fields), micro, allowed=("",))


@pytest.fixture(scope="module")
def alone(config):
    return run_here(config, meshes.make_mesh(jax.devices()[:1]), steps=STEPS)


def test_eight_devices_that_share_the_state_train_as_one(config, alone):
    """Without FSDP: training/test_step.py; data 2 x fsdp 2: below."""
    made = run_here(config, meshes.make_mesh(fsdp=8), steps=STEPS)
    check(alone, made)
    assert made["bytes"] < 1.2 / 8 * alone["bytes"]  # small arrays stay whole


def test_two_processes_of_two_devices_train_as_one(config, alone, tmp_path):
    job = "2 processes x 2 devices, fsdp 2"
    check(alone, run(job, config, tmp_path, steps=STEPS))


def test_four_processes_train_a_decoder_as_one(config, tmp_path):
    # Each of them compiles: without the encoder half a minute of a processor less.
    model = dataclasses.replace(config.model, conditioning=(), self_conditioning="none")
    config = dataclasses.replace(config, model=model)
    alone = run_here(config, meshes.make_mesh(jax.devices()[:1]), steps=STEPS)
    check(alone, run("4 processes", config, tmp_path, steps=STEPS))


def check(one, other):
    loss, gradient, leaf = difference(one, other)
    assert len(one["losses"]) == STEPS and one["losses"].min() > 0
    assert loss < 1e-4
    assert gradient < 1e-5, leaf


def test_eight_devices_hold_less_than_a_sixth_each():
    config = config_lib.from_config_dict(shapes.get_config("tiny"))
    state = programs.make(config, meshes.make_mesh(fsdp=8)).state
    leaves = jax.tree.leaves([state.variables["params"], state.opt_state])
    whole = sum(math.prod(leaf.shape) for leaf in leaves)
    part = sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in leaves)
    assert whole > 3e6  # parameters and AdamW's two moments of them, all float32
    assert part <= whole / 6
