"""A batch in parts: what of the whole batch's step stays, and what does not."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import DiffusionConfig, OptimizerConfig
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import state as states
from pix2seq_d.training import step as steps

CONFIG = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))
MODEL = Pix2SeqD(CONFIG)
FROZEN = Pix2SeqD(CONFIG, freeze_batch_norm=True)
KEY = jax.random.key(7)
CLIP_NORM = 0.01


def keep_gradients():
    """Keeps the gradients that reach it in its state."""
    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda gradients, _, params=None: (gradients, gradients),
    )


OPTIMIZER = optax.chain(
    keep_gradients(), optax.clip_by_global_norm(CLIP_NORM), keep_gradients()
)


@pytest.fixture(scope="module")
def variables():
    return jax.device_get(random_variables(MODEL))


@pytest.fixture(scope="module")
def batch():
    return {name: jnp.asarray(value) for name, value in random_batch(8).items()}


@pytest.fixture(scope="module")
def run(variables, batch):
    """parts -> state and scalars after one step, as NumPy arrays."""

    @functools.cache
    def one_step(parts):
        step = quick_jit(
            functools.partial(
                steps.train_step,
                model=FROZEN,
                optimizer=OPTIMIZER,
                diffusion=DiffusionConfig(noise_draws=2),
                ema_decay=optimizers.ema_decay(OptimizerConfig(ema_warmup=True)),
                parts=parts,
            )
        )
        state = states.TrainState(
            step=jnp.int32(0),
            variables=jax.tree.map(jnp.array, variables),
            ema=jax.tree.map(jnp.array, variables),
            opt_state=jax.jit(OPTIMIZER.init)(variables["params"]),
        )
        return jax.device_get(step(state, batch, KEY))

    return one_step


def errors(one, other):
    """path -> largest difference as a share of the leaf's largest value."""
    return {
        jax.tree_util.keystr(path): float(np.abs(a - b).max() / np.abs(a).max())
        for (path, a), b in zip(
            jax.tree_util.tree_leaves_with_path(one),
            jax.tree.leaves(other),
            strict=True,
        )
        # Moves all scores of a query alike: its gradient is rounding.
        if path[-1] != jax.tree_util.DictKey("key_bias")
    }


def test_parts_are_the_whole_batch_where_statistics_are_frozen(run):
    whole, scalars = run(1)
    parts, others = run(4)
    assert others["loss"] == pytest.approx(scalars["loss"], rel=1e-6)
    found = errors(whole.opt_state[0], parts.opt_state[0])
    assert len(found) > 50
    assert max(found.values()) <= 1e-5, max(found.items(), key=lambda item: item[1])


def test_the_mean_of_the_parts_is_clipped(run):
    state, scalars = run(4)
    mean, _, clipped = state.opt_state
    norm = math.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(mean)))
    assert scalars["grad_norm"] == pytest.approx(norm, rel=1e-5)
    assert norm > 2 * CLIP_NORM
    scaled = jax.tree.map(lambda leaf: leaf * CLIP_NORM / norm, mean)
    assert max(errors(scaled, clipped).values()) <= 1e-5


def test_the_average_warms_up(run, variables):
    state, _ = run(1)
    expected = jax.tree.map(
        lambda old, new: 0.1 * old + 0.9 * new,
        variables["params"],
        state.variables["params"],
    )
    assert max(errors(expected, state.ema["params"]).values()) <= 1e-6


def test_parts_normalise_by_themselves_one_after_another(variables, batch):
    settings = dict(model=MODEL, diffusion=DiffusionConfig(noise_draws=2))

    @quick_jit
    def in_parts(batch_stats):
        made = steps.mean_gradients(
            variables["params"], batch_stats, batch, KEY, parts=2, **settings
        )
        return made[:2]

    @quick_jit
    def part(batch_stats, examples, index, number):
        return steps.batch_loss(
            variables["params"],
            batch_stats,
            examples,
            KEY,
            index=index,
            dropout_part=number,
            **settings,
        )

    statistics, losses = variables["batch_stats"], []
    for number in range(2):
        places = np.arange(8).reshape(2, 4)[number]
        examples = {name: value[places] for name, value in batch.items()}
        loss, statistics = part(statistics, examples, places, number)
        losses.append(float(loss))
    made, after = in_parts(variables["batch_stats"])
    assert float(made) == pytest.approx(np.mean(losses), rel=1e-6)
    # The moving statistics, which no loss depends on, take a step in each part.
    assert max(errors(statistics, after).values()) <= 1e-6


def test_donated_buffers_change_nothing(batch):
    # A decoder alone compiles soon.
    model = Pix2SeqD(dataclasses.replace(CONFIG, conditioning=()))
    optimizer = optimizers.make(OptimizerConfig(), num_steps=9)
    step = functools.partial(
        steps.train_step,
        model=model,
        optimizer=optimizer,
        diffusion=DiffusionConfig(),
        ema_decay=0.9,
    )
    variables = jax.device_get(random_variables(model))

    def run(**options):
        state = states.of(
            *(jax.tree.map(jnp.array, variables) for _ in "ab"), optimizer=optimizer
        )
        after = quick_jit(step, **options)(state, batch, KEY)
        return jax.device_get(after), state

    kept, before = run()
    donated, gone = run(donate_argnums=0)
    jax.tree.map(np.testing.assert_array_equal, kept, donated)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(gone.variables))
