"""`freeze_batch_norm`: the encoder trains with the statistics that it has."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from tiny_model import TINY, quick_jit, random_batch, random_variables

from pix2seq_d.models import Pix2SeqD


def test_frozen_statistics_are_taken_and_left():
    variables, images = random_variables(Pix2SeqD(TINY)), random_batch(2)["image"]
    frozen = Pix2SeqD(TINY, freeze_batch_norm=True)
    made, stats = quick_jit(frozen.encode_train)(
        variables, images, key=jax.random.key(0)
    )
    # No dropout in TINY.
    expected = quick_jit(frozen.encode)(variables, images)
    np.testing.assert_allclose(made.tokens, expected.tokens, atol=1e-5)
    np.testing.assert_allclose(made.fused, expected.fused, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, stats, variables["batch_stats"])


def test_layers_drop_all_the_same():
    encoder = dataclasses.replace(TINY.encoder, dropout=0.5)
    model = Pix2SeqD(dataclasses.replace(TINY, encoder=encoder), freeze_batch_norm=True)
    variables, images = random_variables(model), random_batch(2)["image"]
    encode = quick_jit(model.encode_train)
    one, other = (
        encode(variables, images, key=jax.random.key(seed))[0].tokens for seed in (0, 1)
    )
    assert float(jnp.abs(one - other).max()) > 1e-3
