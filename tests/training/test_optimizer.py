"""AdamW: the learning rate's line, which leaves decay, clipping, one step by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import TINY

from pix2seq_d.config import OptimizerConfig
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.training import optimizer

CONFIG = OptimizerConfig(peak_lr=1e-3, end_lr_factor=0.1, warmup_steps=10)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (1, 1e-4),
        (9, 9e-4),
        (10, 1e-3),
        (60, 5.5e-4),
        (110, 1e-4),
        (200, 1e-4),
    ],
)
def test_learning_rate_warms_up_and_falls_on_lines(step, expected):
    schedule = optimizer.learning_rate(CONFIG, num_steps=110)
    made = schedule(jnp.int32(step))
    assert made.dtype == jnp.float32
    assert float(made) == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_without_warm_up_the_rate_starts_at_its_peak():
    config = dataclasses.replace(CONFIG, warmup_steps=0, end_lr_factor=1.0)
    schedule = optimizer.learning_rate(config, num_steps=5)
    assert [float(schedule(s)) for s in range(6)] == pytest.approx([1e-3] * 6)


def test_a_warm_up_as_long_as_the_training_stays_finite():
    schedule = optimizer.learning_rate(CONFIG, num_steps=10)
    assert [float(schedule(s)) for s in (5, 10, 11)] == pytest.approx(
        [5e-4, 1e-3, 1e-4]
    )


def test_kernels_decay_and_nothing_else_does():
    params = jax.eval_shape(Pix2SeqD(TINY).init, jax.random.key(0))["params"]
    kinds = {True: set(), False: set()}
    for path, decayed in jax.tree_util.tree_leaves_with_path(optimizer.decays(params)):
        kinds[decayed].add(path[-1].key)
    attention = {f"{name}_kernel" for name in ("query", "key", "value", "out")}
    assert kinds[True] == {"kernel", *attention}
    biases = {f"{name}_bias" for name in ("query", "key", "value", "out")}
    assert kinds[False] == {"bias", "scale", *biases}


def test_decay_looks_at_the_last_name_only():
    tree = {"kernel": {"bias": 0.0}, "kernels": 0.0, "kernel_scale": 0.0}
    assert not any(jax.tree.leaves(optimizer.decays(tree)))
    assert optimizer.decays({"kernel": 0.0, "a": {"out_kernel": 0.0}}) == {
        "kernel": True,
        "a": {"out_kernel": True},
    }


def run(config, gradients, params, *, steps=1):
    made = optimizer.make(config, num_steps=100)
    state = made.init(params)
    for _ in range(steps):
        updates, state = made.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_the_first_step_is_the_sign_of_the_gradient_and_the_decay():
    config = OptimizerConfig(peak_lr=0.01, weight_decay=0.5, clip_norm=100.0)
    params = {"kernel": jnp.array([2.0, -2.0]), "bias": jnp.array([2.0, -2.0])}
    gradients = {"kernel": jnp.array([0.3, 0.0]), "bias": jnp.array([-3.0, 0.0])}
    made = run(config, gradients, params)
    np.testing.assert_allclose(
        made["kernel"], [2 - 0.01 * (1 + 0.5 * 2), -2 + 0.01 * 0.5 * 2], rtol=1e-5
    )
    np.testing.assert_allclose(made["bias"], [2.01, -2.0], rtol=1e-5)


def test_two_steps_follow_the_formula():
    config = OptimizerConfig(
        peak_lr=0.1, end_lr_factor=1.0, b1=0.8, b2=0.9, weight_decay=0, clip_norm=9.0
    )
    params, m, v = 1.0, 0.0, 0.0
    for k in (1, 2):
        m, v = 0.8 * m + 0.2 * 0.7, 0.9 * v + 0.1 * 0.7**2
        params -= 0.1 * (m / (1 - 0.8**k)) / (np.sqrt(v / (1 - 0.9**k)) + 1e-8)
    made = run(config, {"bias": jnp.array(0.7)}, {"bias": jnp.array(1.0)}, steps=2)
    assert float(made["bias"]) == pytest.approx(params, rel=1e-5)


def test_the_global_norm_is_clipped():
    # A large epsilon lets the size of the gradient through AdamW.
    config = OptimizerConfig(peak_lr=1.0, eps=1e6, weight_decay=0, clip_norm=1.0)
    params = {"a": jnp.zeros(2), "b": jnp.zeros(1)}
    gradients = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([4.0])}
    made = run(config, gradients, params)
    np.testing.assert_allclose(made["a"], [-0.6e-6, 0], rtol=1e-4)
    np.testing.assert_allclose(made["b"], [-0.8e-6], rtol=1e-4)
    small = jax.tree.map(lambda g: g / 10, gradients)
    np.testing.assert_allclose(run(config, small, params)["b"], [-0.4e-6], rtol=1e-4)
