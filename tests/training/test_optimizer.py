"""Learning rate, decay, clipping, AdamW and LAMB by hand, averaging, encoder's rate."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import TINY

from pix2seq_d.config import OptimizerConfig
from pix2seq_d.models import variable_shapes
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules
from pix2seq_d.training import encoder_rate, optimizer

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
    params = variable_shapes(TINY)["params"]
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


def test_the_first_step_of_lamb_is_as_long_as_the_weights():
    config = OptimizerConfig(
        name="lamb", peak_lr=0.01, weight_decay=0.5, clip_norm=100.0
    )
    params = {"kernel": jnp.array([3.0, -4.0]), "bias": jnp.array([3.0, -4.0])}
    gradients = {"kernel": jnp.array([0.3, -0.1]), "bias": jnp.array([-3.0, 0.2])}
    made = run(config, gradients, params)
    for name, change in (("kernel", [1 + 1.5, -1 - 2.0]), ("bias", [-1.0, 1.0])):
        change = np.array(change) * 5 / np.linalg.norm(change)
        np.testing.assert_allclose(made[name], params[name] - 0.01 * change, rtol=1e-5)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.1), (8, 0.5), (8989, 0.999), (10**6, 0.999)]
)
def test_the_decay_of_the_average_warms_up(step, expected):
    decay = optimizer.ema_decay(OptimizerConfig(ema_warmup=True))
    assert callable(decay)
    assert float(decay(jnp.int32(step))) == pytest.approx(expected, rel=1e-5)
    assert optimizer.ema_decay(OptimizerConfig(ema_decay=0.7)) == 0.7


def test_the_rate_falls_from_the_last_layer_of_the_encoder_to_the_stem():
    names = [
        ("encoder/resnet/stem/conv", 6),
        ("encoder/resnet/group1_block0/conv1/norm", 5),
        ("encoder/resnet/group1_block1/conv1/conv", 4),
        ("encoder/input", 3),
        ("encoder/input_norm", 3),
        ("encoder/layer2/mlp/in", 2),
        ("encoder/layer9/mlp/in", 1),
        ("encoder/layer10/attention_norm", 0),
        ("encoder/output_norm", 0),
    ]
    params = {}
    for name, _ in [*names, ("decoder/middle/layer0/mlp/in", 0), ("pyramid/b", 0)]:
        inner = params
        for part in name.split("/"):
            inner = inner.setdefault(part, {})
        inner["kernel"] = jnp.zeros(2)
    made = encoder_rate.factors(params, 0.5, layer_decay=0.9)
    for name, distance in names:
        value = made
        for part in name.split("/"):
            value = value[part]
        assert value["kernel"] == pytest.approx(0.5 * 0.9**distance), name
    assert made["decoder"]["middle"]["layer0"]["mlp"]["in"]["kernel"] == 1
    assert made["pyramid"]["b"]["kernel"] == 1
    with pytest.raises(ValueError, match="no layer of the encoder has encoder/new/a"):
        encoder_rate.factors({"encoder": {"new": {"a": 0}}}, 0.5, layer_decay=0.9)


def test_every_layer_of_the_model_has_its_rate():
    params = variable_shapes(TINY)["params"]
    made = encoder_rate.factors(params, 1.0, layer_decay=0.5)
    found = set(jax.tree.leaves(made["encoder"]))
    # layer0, input, three blocks, stem
    assert found == {0.5**distance for distance in range(6)}
    assert {*jax.tree.leaves(made["decoder"]), *jax.tree.leaves(made["pyramid"])} == {1}


def test_the_rate_of_the_encoder_acts_on_its_decay_too():
    params = {
        "encoder": {"layer0": {"kernel": jnp.array([2.0, -1.0])}},
        "decoder": {"kernel": jnp.array([2.0, -1.0])},
    }
    gradients = jax.tree.map(lambda leaf: 0.1 * jnp.ones_like(leaf), params)
    config = OptimizerConfig(peak_lr=0.01, weight_decay=0.5)
    slow = dataclasses.replace(config, encoder_lr_factor=0.25)

    def change(config):
        after = run(config, gradients, params)
        return jax.tree.map(lambda new, old: new - old, after, params)

    plain, made = change(config), change(slow)
    np.testing.assert_allclose(
        made["encoder"]["layer0"]["kernel"],
        0.25 * plain["encoder"]["layer0"]["kernel"],
        rtol=1e-4,
    )
    np.testing.assert_array_equal(made["decoder"]["kernel"], plain["decoder"]["kernel"])


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_the_optimizers_state_has_sharding_rules(name):
    params = variable_shapes(TINY)["params"]
    config = OptimizerConfig(name=name, encoder_layer_decay=0.9)
    state = jax.eval_shape(optimizer.make(config, num_steps=9).init, params)
    leaves = jax.tree.leaves(rules.shardings(state, meshes.make_mesh(fsdp=8)))
    assert len(leaves) == 2 * len(jax.tree.leaves(params)) + 2  # moments and counts


def test_without_a_rate_of_its_own_the_encoder_leaves_no_trace_in_the_state():
    params = {"encoder": {"layer0": {"kernel": jnp.zeros(2)}}}
    made = optimizer.make(OptimizerConfig(), num_steps=9).init(params)
    # As checkpoints from before there was one hold it.
    schedule = optimizer.learning_rate(OptimizerConfig(), num_steps=9)
    expected = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, mask=optimizer.decays)
    )
    assert jax.tree.structure(made) == jax.tree.structure(expected.init(params))
