"""Attention of a head after another: the results of all at once, in less memory."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_variables

from pix2seq_d.models import Pix2SeqD, attention_kernel
from pix2seq_d.models.attention_kernel import ByHead, attend


@pytest.fixture
def small_chip(monkeypatch):
    """Scores of eight queries and 21 keys of an example fit, no more."""
    monkeypatch.setattr(attention_kernel, "_OF_ALL", 0)
    monkeypatch.setattr(attention_kernel, "_OF_ONE", 4 * 8 * 21)


def drawn(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True)]


def results(kernel, arrays, back):
    attention = functools.partial(attend, kernel=kernel)
    made, pull = jax.vjp(attention, *arrays)
    return made, *pull(back)


@pytest.mark.parametrize(("length", "parts"), [(16, 2), (21, 3), (5, 1)])
def test_heads_give_results_and_gradients_of_all(small_chip, length, parts):
    query, key, value, back = drawn(*((3, n, 2, 8) for n in (length, 21, 21, length)))
    kernel = ByHead(3)
    assert kernel.parts(3, length, heads=2, keys=21) == parts
    whole = results("xla", (query, key, value), back)
    found = results(kernel, (query, key, value), back)
    for one, expected in zip(found, whole, strict=True):
        assert one.dtype == expected.dtype
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


def test_large_scores_do_not_overflow(small_chip):
    query, key, value, back = drawn(*4 * [(1, 16, 2, 8)])
    arrays = 8 * query, 8 * key, value  # exp(200) is beyond float32
    whole = results("xla", arrays, back)
    assert np.isfinite(whole[0]).all()
    for one, expected in zip(results(ByHead(1), arrays, back), whole, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-4)


def test_no_array_has_all_scores(small_chip):
    query, key, value, back = drawn(*((1, n, 2, 8) for n in (64, 21, 21, 64)))

    def programs(kernel):
        run = functools.partial(results, kernel)
        return jax.jit(run).lower((query, key, value), back).as_text()

    assert "1x2x64x21x" in programs("xla")
    for size in ("1x2x64x21x", "1x64x21x"):
        assert size not in programs(ByHead(1))
    assert "1x8x21x" in programs(ByHead(1))


@pytest.mark.parametrize(
    ("batch", "queries", "heads", "keys", "parts"),
    [
        # As the TPU compiler likes them: docs/performance.md.
        (1, 4097, 8, 4097, 1),
        (1, 4096, 16, 4096, 1),
        (1, 8192, 16, 8192, 4),
        (8, 1025, 8, 1025, 1),
        (2, 4096, 16, 4096, 2),
        (8, 257, 8, 257, 0),
        (1, 1025, 8, 1025, 0),
    ],
)
def test_what_is_computed_at_once_follows_from_what_fits(
    batch, queries, heads, keys, parts
):
    for devices in (1, 4):
        found = ByHead(devices).parts(batch * devices, queries, heads=heads, keys=keys)
        assert found == parts


def test_gradients_of_many_blocks_are_as_exact_as_of_one(monkeypatch):
    monkeypatch.setattr(attention_kernel, "_OF_ALL", 0)
    monkeypatch.setattr(attention_kernel, "_OF_ONE", 4 * 8 * 512)
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

    assert ByHead(1).parts(1, 512, heads=1, keys=512) == 64
    for blocks, whole in zip(errors(ByHead(1)), errors("xla"), strict=True):
        assert blocks < 1.5 * whole < 0.01


def test_a_model_by_heads_estimates_what_it_does_at_once(monkeypatch):
    monkeypatch.setattr(attention_kernel, "_OF_ALL", 64)
    whole = Pix2SeqD(TINY)
    by_head = dataclasses.replace(whole, attention=ByHead(1))
    variables = random_variables(whole)
    images, xt = drawn((2, *TINY.image_size, 3), (2, *TINY.mask_size, TINY.num_bits))

    def estimate(model):
        gamma = jnp.full(2, 0.5)
        return model.estimate(variables, xt, gamma, model.encode(variables, images))

    for model, scans in ((whole, False), (by_head, True)):
        assert ("scan" in str(jax.make_jaxpr(lambda m=model: estimate(m))())) == scans
    found, expected = (
        quick_jit(lambda m=model: estimate(m))() for model in (by_head, whole)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * TINY.bit_scale)
