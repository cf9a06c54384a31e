"""Rematerialisation: the same loss and gradients, of which less is kept."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import ConfigError, DiffusionConfig, TrainConfig
from pix2seq_d.config.training import REMAT
from pix2seq_d.models import Pix2SeqD, remat, variable_shapes
from pix2seq_d.models.pyramid import MergeBlock
from pix2seq_d.training import step as steps

# Layers drop: computed again, they have to drop the same.
CONFIG = dataclasses.replace(
    with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,), dropout=0.3),
    encoder=dataclasses.replace(TINY.encoder, dropout=0.3, drop_path=0.3),
)


def loss_of(kind, config=CONFIG, dtype=jnp.float32):
    model = Pix2SeqD(config, dtype, remat=kind)
    return functools.partial(
        steps.batch_loss,
        model=model,
        diffusion=DiffusionConfig(),
        key=jax.random.key(3),
    )


@pytest.fixture(scope="module")
def gradients():
    """kind -> ((loss, batch_stats), gradients)."""
    variables, batch = random_variables(Pix2SeqD(CONFIG)), random_batch(4)

    @functools.cache
    def of(kind):
        run = quick_jit(jax.value_and_grad(loss_of(kind), has_aux=True))
        made = run(variables["params"], variables["batch_stats"], batch)
        return jax.device_get(made)

    return of


@pytest.mark.parametrize("kind", REMAT[1:])
def test_loss_and_gradients_stay_as_they_are(gradients, kind):
    (loss, stats), expected = gradients("none")
    (again, again_stats), made = gradients(kind)
    assert again == pytest.approx(loss, rel=1e-6)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-6), again_stats, stats
    )
    norm = math.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(expected)))
    errors = jax.tree.map(lambda a, b: np.linalg.norm(a - b), expected, made)
    assert norm > 0.1
    for path, error in jax.tree_util.tree_leaves_with_path(errors):
        assert error <= 1e-6 * norm, jax.tree_util.keystr(path)


def test_parameters_keep_their_names():
    key = jax.random.key(0)
    one, *others = (
        jax.eval_shape(Pix2SeqD(CONFIG, remat=kind).boxed_init, key) for kind in REMAT
    )
    for other in others:
        assert other == one


@pytest.mark.parametrize(("kind", "kept"), [("dots", 1), ("blocks", 0)])
def test_of_an_upsampled_map_none_is_kept_but_what_is_convolved(kind, kept):
    """A TPU upsamples by a convolution, which is no product with weights."""

    class Level(nn.Module):
        @nn.compact
        def __call__(self, x):
            block = MergeBlock(8, jnp.bfloat16, name="block")
            return remat.run(block, x, None, remat=kind, factor=2)

    x = jnp.ones((1, 4, 4, 8), jnp.bfloat16)
    level = Level()
    variables = level.init(jax.random.key(0), x)
    _, pull = jax.vjp(level.apply, variables, x)
    maps = [y for y in jax.tree.leaves(pull) if y.shape == (1, 8, 8, 8)]
    assert len(maps) == kept


def test_the_backward_pass_keeps_less():
    # Maps outweigh weights.
    config = dataclasses.replace(CONFIG, image_size=(128, 128), mask_size=(64, 64))
    variables = variable_shapes(config)
    batch = {
        "image": jax.ShapeDtypeStruct((4, 128, 128, 3), jnp.float32),
        "labels": jax.ShapeDtypeStruct((4, 64, 64, 2), jnp.int32),
    }

    def kept(kind):
        def pull_back(params, stats, batch):
            loss = loss_of(kind, config, jnp.bfloat16)
            return jax.vjp(
                lambda params: loss(params, stats, batch), params, has_aux=True
            )[1]

        leaves = jax.tree.leaves(
            jax.eval_shape(
                pull_back, variables["params"], variables["batch_stats"], batch
            )
        )
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    sizes = {kind: kept(kind) for kind in REMAT}
    assert sizes["dots"] < 0.7 * sizes["none"]
    assert sizes["blocks"] < 0.7 * sizes["dots"]


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"train\.remat='all': choose one of"):
        TrainConfig(remat="all")
    with pytest.raises(ValueError, match="no rematerialisation is called 'all'"):
        remat.run(None, remat="all")  # pyright: ignore[reportArgumentType]
