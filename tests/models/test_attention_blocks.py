"""Attention in blocks of queries: the results of the whole, in less memory."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_variables

from pix2seq_d.models import Pix2SeqD, attention_kernel
from pix2seq_d.models.attention_kernel import Blocks, attend


@pytest.fixture
def small_chip(monkeypatch):
    """Scores of eight queries of the tests' shapes fit, no more."""
    monkeypatch.setattr(attention_kernel, "_ON_CHIP", 4 * 8 * 2 * 21)


def drawn(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def results(kernel, arrays, back):
    attention = functools.partial(attend, kernel=kernel)
    made, pull = jax.vjp(attention, *arrays)
    return made, *pull(back)


@pytest.mark.parametrize("length", [16, 21, 5])
@pytest.mark.parametrize("devices", [1, 3])  # 3: one example each
def test_blocks_give_results_and_gradients_of_the_whole(small_chip, length, devices):
    query, key, value, back = drawn(*((3, n, 2, 8) for n in (length, 21, 21, length)))
    whole = results("xla", (query, key, value), back)
    blocks = results(Blocks(devices), (query, key, value), back)
    for found, expected in zip(blocks, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_no_array_has_all_scores(small_chip):
    query, key, value, back = drawn(*((1, n, 2, 8) for n in (64, 21, 21, 64)))

    def programs(kernel):
        run = functools.partial(results, kernel)
        return jax.jit(run).lower((query, key, value), back).as_text()

    assert "x2x64x21x" in programs("xla")
    assert "x2x64x21x" not in programs(Blocks(1))
    assert "x2x8x21x" in programs(Blocks(1))


@pytest.mark.parametrize(
    ("batch", "queries", "heads", "keys", "block"),
    [
        # As the TPU compiler likes them: docs/performance.md.
        (1, 4097, 8, 4097, 256),
        (1, 4096, 16, 4096, 128),
        (8, 1025, 8, 1025, 128),
        (8, 4097, 8, 4097, 32),
        (8, 257, 8, 257, 257),
        (1, 1025, 8, 1025, 1025),
        (512, 4096, 16, 4096, 8),
    ],
)
def test_the_size_of_a_block_follows_from_what_fits(batch, queries, heads, keys, block):
    for devices in (1, 4):
        found = Blocks(devices).queries(
            batch * devices, queries, heads=heads, keys=keys
        )
        assert found == block


def test_heads_stand_for_examples_where_devices_have_one_each():
    assert [Blocks(4).is_alone(n) for n in (1, 4, 5, 8)] == [True, True, False, False]
    assert not Blocks(1).is_alone(1)


def test_gradients_of_many_blocks_are_as_exact_as_of_one(monkeypatch):
    monkeypatch.setattr(attention_kernel, "_ON_CHIP", 1)
    exact = [x.astype(jnp.bfloat16) for x in drawn(*4 * [(1, 512, 1, 8)])]
    *arrays, back = exact
    wide = [x.astype(jnp.float32) for x in exact]
    right = results("xla", wide[:3], wide[3])

    def errors(kernel):
        found = results(kernel, arrays, back)
        return [
            float(jnp.linalg.norm(a.astype(jnp.float32) - b) / jnp.linalg.norm(b))
            for a, b in zip(found, right, strict=True)
        ]

    assert Blocks(1).queries(1, 512, heads=1, keys=512) == 8  # 64 blocks
    for blocks, whole in zip(errors(Blocks(1)), errors("xla"), strict=True):
        assert blocks < 1.5 * whole < 0.01


def test_a_model_in_blocks_estimates_what_it_does_in_one(monkeypatch):
    monkeypatch.setattr(attention_kernel, "_ON_CHIP", 64)
    whole = Pix2SeqD(TINY)
    blocks = dataclasses.replace(whole, attention=Blocks(1))
    variables = random_variables(whole)
    images, xt = drawn((2, *TINY.image_size, 3), (2, *TINY.mask_size, TINY.num_bits))

    def estimate(model):
        gamma = jnp.full(2, 0.5)
        return model.estimate(variables, xt, gamma, model.encode(variables, images))

    for model, scans in ((whole, False), (blocks, True)):
        assert ("scan" in str(jax.make_jaxpr(lambda m=model: estimate(m))())) == scans
    found, expected = (
        quick_jit(lambda m=model: estimate(m))() for model in (blocks, whole)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * TINY.bit_scale)
