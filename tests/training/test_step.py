"""The training step: it learns, repeats, averages, and does not mind the devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig, OptimizerConfig, ScheduleConfig
from pix2seq_d.diffusion import process, schedule
from pix2seq_d.models import Denoised, Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.layout import Layout
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training import step as steps

# One level instead of two: most of the time goes into compiling.
MODEL = Pix2SeqD(with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,)))
DIFFUSION = DiffusionConfig()
EMA_DECAY = 0.9
KEY = jax.random.key(7)


def keep_gradients():
    """Keeps the last gradients in its state; they come out of the very step."""
    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda gradients, _, params=None: (gradients, gradients),
    )


OPTIMIZER = optax.chain(
    keep_gradients(),
    optimizers.make(OptimizerConfig(peak_lr=1e-2, end_lr_factor=1.0), num_steps=30),
)
SETTINGS = dict(
    model=MODEL, optimizer=OPTIMIZER, diffusion=DIFFUSION, ema_decay=EMA_DECAY
)
TRACES = []


def counted_step(state, batch, key):
    TRACES.append(1)
    return steps.train_step(state, batch, key, **SETTINGS)


# Donated as in the training loop: every test hands in a state of its own.
train_step = quick_jit(counted_step, donate_argnums=0)


@pytest.fixture(scope="module")
def variables():
    # NumPy arrays: arithmetic on them compiles nothing, and no step takes them away.
    made = jax.device_get(random_variables(MODEL))
    output = made["params"]["decoder"]["output"]
    output["kernel"] = (
        0.1 * output["kernel"]
    )  # the loss starts near that of uniform logits
    return made


@pytest.fixture(scope="module")
def batch():
    return {name: jnp.asarray(value) for name, value in random_batch(8).items()}


# Compiled: leaf by leaf the zeros of every shape would be a program of their own.
empty_moments = quick_jit(OPTIMIZER.init)


def fresh(variables, *, step=0):
    """A state that owns its buffers."""
    return states.TrainState(
        step=jnp.int32(step),
        variables=jax.tree.map(jnp.array, variables),
        ema=jax.tree.map(jnp.array, variables),
        opt_state=empty_moments(variables["params"]),
    )


@pytest.fixture(scope="module")
def first(variables, batch):
    """State and metrics after one step, as NumPy arrays."""
    return jax.device_get(train_step(fresh(variables), batch, KEY))


def assert_close(one, other, *, share):
    """Equal up to `share` of each leaf's largest value."""

    def check(path, a, b):
        if path[-1] == jax.tree_util.DictKey("key_bias"):
            return  # moves all scores of a query alike: its gradient is rounding
        bound = share * float(np.abs(a).max())
        error = float(np.abs(np.asarray(a) - np.asarray(b)).max())
        assert error <= bound, f"{jax.tree_util.keystr(path)}: {error} > {bound}"

    jax.tree_util.tree_map_with_path(check, one, other)


def test_the_loss_falls_on_one_batch_in_one_trace(variables, batch):
    state, losses = fresh(variables), []
    for _ in range(30):
        state, metrics = train_step(state, batch, KEY)
        losses.append(float(metrics["loss"]))
    assert int(state.step) == 30
    assert losses[0] == pytest.approx(np.log(8), rel=0.1)
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    assert len(TRACES) == 1


def test_the_same_seed_gives_the_same_step(variables, batch, first):
    again = train_step(fresh(variables), batch, KEY)
    jax.tree.map(np.testing.assert_array_equal, first, again)


@pytest.mark.parametrize(("seed", "step"), [(8, 0), (7, 1)])
def test_the_noise_depends_on_seed_and_step(variables, batch, first, seed, step):
    key = jax.random.key(seed)
    _, metrics = train_step(fresh(variables, step=step), batch, key)
    # The same noise gives the same loss to the last bit (test above).
    assert float(metrics["loss"]) != float(first[1]["loss"])


def test_the_state_is_donated(variables, batch, first):
    state = fresh(variables)
    after, _ = train_step(state, batch, KEY)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.variables))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.ema))
    assert int(after.step) == 1


def test_the_average_covers_weights_and_batch_statistics(variables, first):
    state, _ = first
    for part in ("params", "batch_stats"):
        moved = jax.tree.map(
            lambda old, new: bool((old != new).any()),
            variables[part],
            state.variables[part],
        )
        assert any(jax.tree.leaves(moved))
        expected = jax.tree.map(
            lambda old, new: 0.9 * old + 0.1 * new,
            variables[part],
            state.variables[part],
        )
        assert_close(expected, state.ema[part], share=1e-6)


def test_every_parameter_has_a_gradient_and_the_norm_is_of_all(first):
    state, metrics = first
    gradients = state.opt_state[0]
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
        assert leaf.any(), jax.tree_util.keystr(path)
    squares = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(gradients))
    assert float(metrics["grad_norm"]) == pytest.approx(squares**0.5, rel=1e-4)


def test_eight_devices_take_the_step_of_one(variables, batch, first):
    mesh = meshes.make_mesh()
    assert mesh.size == 8
    everywhere = meshes.replicated(mesh)
    sharded_step = quick_jit(
        functools.partial(steps.train_step, layout=Layout(mesh), **SETTINGS),
        out_shardings=everywhere,
    )
    placed = meshes.put_batch(jax.tree.map(np.asarray, batch), mesh)
    assert {x.sharding.shard_shape(x.shape)[0] for x in placed.values()} == {1}
    state, metrics = sharded_step(
        jax.device_put(fresh(variables), everywhere), placed, KEY
    )
    expected, expected_metrics = first
    assert_close(expected_metrics, metrics, share=1e-5)
    # Float32 sums in another order: the worst leaf differs by 0.9e-5 of its largest
    # value on one kind of CPU and by 1.03e-5 on another.
    assert_close(expected.opt_state[0], state.opt_state[0], share=3e-5)
    statistics = state.variables["batch_stats"]
    assert_close(expected.variables["batch_stats"], statistics, share=1e-5)
    moved = jax.tree.map(
        lambda old, new: float(np.abs(old - new).max()),
        variables["params"],
        jax.device_get(state.variables["params"]),
    )
    assert max(jax.tree.leaves(moved)) == pytest.approx(1e-2, rel=0.1)
    # Adam turns a gradient of nearly 0 into a step of any size: no bound there.


def test_two_noise_draws_use_each_example_twice(variables, batch, first):
    draw_twice = dataclasses.replace(DIFFUSION, noise_draws=2)
    run = quick_jit(
        functools.partial(steps.batch_loss, model=MODEL, diffusion=draw_twice)
    )
    key = jax.random.fold_in(KEY, 0)
    # Every draw takes a key of its own.
    with jax.debug_key_reuse(True):
        loss, statistics = run(
            variables["params"], variables["batch_stats"], batch, key
        )
    state, metrics = first
    assert float(loss) == pytest.approx(float(metrics["loss"]), rel=0.1)
    assert float(loss) != float(metrics["loss"])
    assert_close(state.variables["batch_stats"], statistics, share=1e-5)

    # A decoder that sees neither the noisy mask nor its level has the same loss
    # for all draws, if masks and features are repeated in the same order.
    blind = jax.tree.map(np.array, variables)
    decoder = blind["params"]["decoder"]
    decoder["input"]["kernel"][:, :, :6] = 0
    decoder["time0"]["kernel"][:] = 0
    _, once = train_step(fresh(blind), batch, KEY)
    twice, _ = run(blind["params"], blind["batch_stats"], batch, key)
    assert float(twice) == pytest.approx(float(once["loss"]), rel=1e-5)


@pytest.mark.parametrize("kind", ["x", "eps"])
def test_self_conditioning_feeds_every_other_example(kind, batch):
    config = dataclasses.replace(
        MODEL.config, conditioning=(), self_conditioning=kind, bit_scale=0.02
    )
    model = Pix2SeqD(config)
    variables = random_variables(model)
    features = model.encode(variables, batch["image"][:5])
    xt = jax.random.normal(jax.random.key(1), (5, 16, 32, 6))
    gamma = jnp.linspace(0.1, 0.9, 5)
    made = quick_jit(functools.partial(steps.first_estimate, model=model))(
        variables, xt, gamma, features, key=jax.random.key(2)
    )
    x0 = quick_jit(model.denoise)(variables, xt, gamma, features).x0
    expected = jnp.clip(x0, -0.02, 0.02)
    if kind == "eps":
        expected = process.eps_from_x0(xt, expected, gamma=gamma)
    np.testing.assert_allclose(made[:4:2], expected[:4:2], atol=1e-5)
    assert float(jnp.abs(made[:4:2]).min()) > 0
    assert not made[1::2].any() and not made[4].any()


def test_self_conditioning_learns_from_its_estimate_only():
    config = dataclasses.replace(MODEL.config, conditioning=(), self_conditioning="x")
    model = Pix2SeqD(config)
    variables = random_variables(model)
    few = {name: jnp.asarray(value) for name, value in random_batch(2).items()}

    @quick_jit
    def gradient(params):
        loss = functools.partial(steps.batch_loss, model=model, diffusion=DIFFUSION)
        return jax.grad(loss, has_aux=True)(params, {}, few, KEY)[0]

    made = gradient(variables["params"])["decoder"]["input"]["kernel"]
    assert made.shape == (1, 1, 6 + 6 + 8, 8)
    assert float(jnp.abs(made[:, :, 6:12]).min()) > 0

    # No gradient flows through the pass that makes the estimate.
    features = model.encode(variables, few["image"])

    def total(variables, xt):
        return steps.first_estimate(
            variables, xt, jnp.full(2, 0.5), features, model=model, key=KEY
        ).sum()

    through = quick_jit(jax.grad(total, argnums=(0, 1)))(
        variables, jnp.ones((2, 16, 32, 6))
    )
    assert not any(leaf.any() for leaf in jax.tree.leaves(through))


def test_a_fresh_state_averages_from_its_weights():
    # Without conditioning there is little to compile.
    config = dataclasses.replace(MODEL.config, conditioning=())
    model = Pix2SeqD(config)
    fresh = quick_jit(functools.partial(states.fresh, optimizer=OPTIMIZER))
    state = fresh(model.init(jax.random.key(0)))
    assert int(state.step) == 0
    jax.tree.map(np.testing.assert_array_equal, state.ema, state.variables)
    trees = state.ema, state.variables
    for one, other in zip(*map(jax.tree.leaves, trees), strict=True):
        assert one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()


def test_every_prediction_without_softmax_has_its_loss():
    rng = np.random.default_rng(0)
    labels = jnp.asarray(rng.integers(0, 8, (2, 3, 4, 2)))
    x0 = analog_bits.encode(labels, 3)
    eps, raw = (jnp.asarray(rng.normal(size=x0.shape), jnp.float32) for _ in "ab")
    weights = jnp.asarray(rng.uniform(0, 2, (2, 3, 4)), jnp.float32)

    def run(prediction, output):
        return steps.example_losses(
            output, x0=x0, eps=eps, weights=weights, prediction=prediction
        )

    bits = Denoised(raw, None, raw)
    w = weights[..., None]
    expected = {
        "x": w * (x0 - raw) ** 2,
        "eps": (eps - raw) ** 2,
        "x_sigmoid_xent": w * jnp.log(1 + jnp.exp(-raw * jnp.sign(x0))),
    }
    for prediction, each in expected.items():
        made = run(prediction, bits)
        np.testing.assert_allclose(made, each.mean((1, 2, 3)), rtol=1e-4)
    with pytest.raises(ValueError, match=r"no loss for model\.prediction='v'"):
        run("v", bits)


def test_the_schedule_of_a_config():
    config = ScheduleConfig("sigmoid", start=-2.0, end=3.0, tau=0.7)
    t = jnp.linspace(0, 1, 5)
    expected = schedule.make("sigmoid", start=-2.0, end=3.0, tau=0.7)(t)
    np.testing.assert_array_equal(config.make()(t), expected)
