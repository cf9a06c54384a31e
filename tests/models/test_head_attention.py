"""Attention of a head after another: the results of all at once, in less memory."""

import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_variables

from pix2seq_d.models import Pix2SeqD, attention_kernel, head_attention
from pix2seq_d.models.attention_kernel import ByHead, attend
from pix2seq_d.sharding import mesh as meshes


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


@pytest.mark.parametrize(("length", "parts"), [(16, (2, 4)), (21, (3, 6)), (5, (1, 2))])
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


def test_no_array_has_more_scores_than_a_block(monkeypatch):
    """Of sixteen queries forward, and eight backward, where there are two arrays."""
    monkeypatch.setattr(attention_kernel, "_OF_ALL", 0)
    monkeypatch.setattr(attention_kernel, "_OF_ONE", 4 * 16 * 21)
    query, key, value, back = drawn(*((1, n, 2, 8) for n in (64, 21, 21, 64)))

    def most(run, *arrays):
        text = jax.jit(run).lower(*arrays).as_text()
        shapes = re.findall(r"tensor<([\dx]+)x21xf32>", text)
        return max(math.prod(map(int, shape.split("x"))) for shape in shapes)

    for kernel, forward, backward in (("xla", 128, 128), (ByHead(1), 16, 8)):
        attention = functools.partial(attend, kernel=kernel)
        assert most(attention, query, key, value) == forward
        _, pull = jax.vjp(attention, query, key, value)
        assert most(pull, back) == backward


def test_gradients_of_scores_are_written_as_bits(small_chip):
    """Else a TPU's compiler writes them in bfloat16, which takes four times as long."""
    arrays = [x.astype(jnp.bfloat16) for x in drawn(*4 * [(1, 8, 1, 8)])]
    run = jax.jit(functools.partial(results, ByHead(1)))
    (barrier,) = [
        line
        for line in run.lower(arrays[:3], arrays[3]).as_text().splitlines()
        if "optimization_barrier" in line
    ]
    assert barrier.endswith("tensor<1x8x8xi32>")


def test_a_batch_stays_on_its_devices(small_chip):
    place = meshes.over_batch(meshes.make_mesh(jax.devices()[:4]))
    arrays = drawn(*((4, n, 2, 8) for n in (20, 21, 21, 20)))
    *split, back = jax.device_put(arrays, place)
    run = jax.jit(functools.partial(results, ByHead(4)))
    assert "all-" not in run.lower(split, back).compile().as_text()
    whole = results("xla", arrays[:3], arrays[3])
    for one, expected in zip(run(split, back), whole, strict=True):
        assert one.sharding.is_equivalent_to(place, one.ndim)
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "queries", "heads", "keys", "parts"),
    [
        # As the TPU compiler likes them: docs/performance.md.
        (1, 4097, 8, 4097, (1, 2)),
        (1, 4096, 16, 4096, (1, 2)),
        (1, 8192, 16, 8192, (4, 8)),
        (8, 1025, 8, 1025, (1, 1)),
        (2, 4096, 16, 4096, (2, 4)),
        (8, 257, 8, 257, None),
        (1, 1025, 8, 1025, None),
        (512, 4096, 16, 4096, (491, 982)),
    ],
)
def test_what_is_computed_at_once_follows_from_what_fits(
    batch, queries, heads, keys, parts
):
    for devices in (1, 4):
        found = ByHead(devices).parts(batch * devices, queries, heads=heads, keys=keys)
        assert found == parts


def test_blocks_are_no_more_than_are_needed():
    x = jnp.ones((1, 4096, 1))
    cut = head_attention._cut(x, 491)
    assert cut.shape == (256, 1, 16, 1)
    np.testing.assert_array_equal(head_attention._joined(cut, 4096), x)


@pytest.mark.parametrize("common", [0, 3])
@pytest.mark.parametrize("parts", [1, 64])
def test_gradients_in_bfloat16_are_nearly_as_exact_as_of_all(
    monkeypatch, parts, common
):
    """Also where tokens have much in common, as after a bias: then dO V^T is near D."""
    monkeypatch.setattr(attention_kernel, "_OF_ALL", 0)
    monkeypatch.setattr(attention_kernel, "_OF_ONE", 4 * 512 * 512 / parts)
    assert ByHead(1).parts(1, 512, heads=1, keys=512) == (parts, 2 * parts)
    query, key, value, back, *means = drawn(*4 * [(1, 512, 1, 32)], *3 * [(32,)])
    key, value, back = (
        x + common * mean for x, mean in zip((key, value, back), means, strict=True)
    )
    arrays = [x.astype(jnp.bfloat16) for x in (query, key, value)]
    back = back.astype(jnp.bfloat16)
    wide = [x.astype(jnp.float32) for x in arrays]
    right = results("xla", wide, back.astype(jnp.float32))

    def errors(kernel):
        return [
            float(jnp.linalg.norm(a.astype(jnp.float32) - b) / jnp.linalg.norm(b))
            for a, b in zip(results(kernel, arrays, back), right, strict=True)
        ]

    for by_head, at_once in zip(errors(ByHead(1)), errors("xla"), strict=True):
        assert by_head < (2.5 if common else 1.5) * at_once < 0.03


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
