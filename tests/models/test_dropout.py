"""Dropout is Flax's, number for number; of branches it drops whole examples."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.models.dropout import Dropout, DropPath

RNGS = {"dropout": jax.random.key(0)}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_dropout_and_its_gradients_are_those_of_flax(rate, dtype):
    x, back = jax.random.normal(jax.random.key(1), (2, 64, 33), dtype)

    def ours(x):
        return Dropout(rate).apply({}, x, train=True, rngs=RNGS)

    def theirs(x):
        return nn.Dropout(rate).apply({}, x, deterministic=False, rngs=RNGS)

    found, pull = jax.vjp(ours, x)
    expected, pull_expected = jax.vjp(theirs, x)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(pull(back)[0], pull_expected(back)[0])
    assert float((found == 0).mean()) == pytest.approx(rate, abs=0.03)


def test_the_backward_pass_keeps_a_byte_of_each():
    """And is given the mask as it was written, not to be made again."""
    x = jnp.ones((64, 33))

    def run(x):
        return jax.vjp(lambda x: Dropout(0.5).apply({}, x, train=True, rngs=RNGS), x)

    # And, without jit, zeros.
    kept = {y.dtype for y in jax.tree.leaves(run(x)[1]) if y.size == x.size}
    assert kept == {jnp.dtype(bool), x.dtype}
    (barrier,) = [
        line
        for line in jax.jit(run).lower(x).as_text().splitlines()
        if "optimization_barrier" in line
    ]
    assert barrier.endswith("tensor<64x33xi1>")


def test_nothing_is_dropped_but_in_a_training():
    x = jnp.ones((3, 4))
    assert Dropout(0.5).apply({}, x, train=False) is x


def test_drop_path_drops_whole_examples_and_keeps_the_mean():
    x = jnp.ones((4000, 2, 3))
    drop = DropPath(0.25)
    np.testing.assert_array_equal(drop.apply({}, x, train=False), x)
    y = np.asarray(drop.apply({}, x, train=True, rngs=RNGS)).reshape(4000, 6)
    assert (y == y[:, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    assert (y[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.03)
