"""Norm, scale, shift and SiLU as one function: Flax's parts and their gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.models.group_norm import group_norm
from pix2seq_d.models.strips import cut, join

CHANNELS, GROUPS = 12, 3


def by_flax(parts, scale, shift, bias, modulation, *, silu):
    """What `group_norm` says it is, with gradients by autodiff."""
    norm = nn.GroupNorm(
        GROUPS, epsilon=1e-5, use_fast_variance=False, dtype=scale.dtype
    )
    x = jnp.concatenate(parts, axis=-1).astype(scale.dtype)
    x = x if bias is None else x + bias
    y = norm.apply({"params": {"scale": scale, "bias": shift}}, x)
    if modulation is not None:
        gain, offset = (one[:, None, None] for one in modulation)
        y = y * (1 + gain) + offset
    return nn.silu(y) if silu else y


def arguments(*, mean=0.3, sides=(5, 7), with_bias=True, modulated=True):
    keys = iter(jax.random.split(jax.random.key(0), 7))

    def draw(*shape):
        return jax.random.normal(next(keys), shape)

    parts = tuple(mean + draw(2, 8, 6, side) for side in sides)
    scale, shift, bias = 1 + draw(CHANNELS), draw(CHANNELS), draw(CHANNELS)
    modulation = draw(2, CHANNELS), draw(2, CHANNELS)
    return (
        parts,
        scale,
        shift,
        bias if with_bias else None,
        modulation if modulated else None,
    )


def ours(parts, scale, shift, bias, modulation, *, strips=1, **options):
    parts = tuple(cut(part, strips) for part in parts)
    options |= {"bias": bias, "modulation": modulation, "strips": strips}
    made = group_norm(parts, scale, shift, groups=GROUPS, **options)
    return join(made, strips)


def with_gradients(function, args):
    made, pull = jax.vjp(function, *args)
    shape = 2, 8, 6, CHANNELS
    # In float32 whatever is asked for, so that all get the same numbers.
    back = jax.random.normal(jax.random.key(1), shape, jnp.float32).astype(made.dtype)
    return made, pull(back)


def distances(found, right):
    """Of each array: the norm of its error, of that of the right one."""
    found, right = (
        [np.asarray(x, np.float64) for x in jax.tree.leaves(tree)]
        for tree in (found, right)
    )
    return [
        np.linalg.norm(one - other) / np.linalg.norm(other)
        for one, other in zip(found, right, strict=True)
    ]


def exact(args, **options):
    """Results and gradients in float64."""
    with jax.enable_x64(True):
        args = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float64)), args)
        return jax.tree.map(
            np.asarray, with_gradients(lambda *a: by_flax(*a, **options), args)
        )


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("strips", [1, 2])
@pytest.mark.parametrize(
    "form",
    [
        {"sides": (CHANNELS,), "with_bias": False, "modulated": False},
        {"sides": (CHANNELS,)},
        {"sides": (5, 7)},
    ],
    ids=["plain", "all of one map", "two maps"],
)
def test_results_and_gradients_are_those_of_the_parts(form, strips, silu):
    args = arguments(**form)
    found = with_gradients(lambda *a: ours(*a, strips=strips, silu=silu), args)
    right = exact(args, silu=silu)
    assert max(distances(found, right)) < 3e-6


def test_one_bias_for_all_of_a_group_changes_nothing():
    """So its gradients there add up to zero; each by itself does not vanish."""
    args = arguments(sides=(CHANNELS,), modulated=False)
    _, (*_, of_bias, _) = with_gradients(lambda *a: ours(*a), args)
    sums = np.asarray(of_bias, np.float64).reshape(GROUPS, -1).sum(-1)
    np.testing.assert_allclose(sums, 0, atol=1e-4 * np.abs(of_bias).max())
    assert np.abs(of_bias).max() > 0.1


@pytest.mark.parametrize("mean", [0.0, 30.0])
@pytest.mark.parametrize("silu", [False, True])
def test_bfloat16_is_rounded_no_more_than_by_parts(mean, silu):
    """The map and the gradient above are rounded; all between is float32."""
    parts, *others = arguments(mean=mean)
    args = tuple(part.astype(jnp.bfloat16) for part in parts), *others
    right = exact(args, silu=silu)

    def parted(*args):
        return by_flax(*args, silu=silu).astype(jnp.bfloat16)

    found = with_gradients(lambda *a: ours(*a, silu=silu, dtype=jnp.bfloat16), args)
    made, (of_parts, *_) = found
    assert {x.dtype for x in (made, *of_parts)} == {jnp.dtype("bfloat16")}
    theirs = distances(with_gradients(parted, args), right)
    for one, other in zip(distances(found, right), theirs, strict=True):
        assert one < 2 * other + 1e-3


# Of the last two float32 sums give variances below zero.
@pytest.mark.parametrize("value", [0.0, 10.1, 100.1])
def test_a_constant_map_has_finite_gradients(value):
    parts, *others = arguments(sides=(CHANNELS,), with_bias=False)
    args = (jnp.full_like(parts[0], value),), *others
    made, gradients = with_gradients(lambda *a: ours(*a, silu=True), args)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((made, gradients)))


def test_the_map_alone_is_kept_for_the_gradients():
    parts, *others = arguments(sides=(CHANNELS,))
    args = (parts[0].astype(jnp.bfloat16),), *others
    _, pull = jax.vjp(lambda *a: ours(*a, silu=True), *args)
    maps = [x for x in jax.tree.leaves(pull) if x.size >= parts[0].size]
    assert [x.dtype for x in maps] == [jnp.dtype("bfloat16")]


def test_a_tpu_writes_the_gradient_of_silu_once_and_rounded():
    """The barrier stands for TPUs alone."""
    args = arguments(sides=(CHANNELS,))
    args = (args[0][0].astype(jnp.bfloat16),), *args[1:]
    run = jax.jit(lambda *a: with_gradients(lambda *b: ours(*b, silu=True), a))
    for platform, times in (("tpu", 1), ("cpu", 0)):
        text = run.trace(*args).lower(lowering_platforms=(platform,)).as_text()
        barriers = [x for x in text.splitlines() if "optimization_barrier" in x]
        assert len(barriers) == times
        assert all(x.endswith("tensor<2x8x6x12xbf16>") for x in barriers)
