"""The forward process and the conversions between x0, eps and v."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.diffusion import process

GAMMA = jnp.array([0.01, 0.4999, 0.97])


def arrays(*, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    x0 = 0.1 * jnp.sign(jax.random.normal(keys[0], (3, 2, 4, 6)))
    return x0, jax.random.normal(keys[1], x0.shape)


def test_golden_noise_level():
    xt = process.q_sample(
        jnp.full((1, 1, 1, 1), 0.1),
        jnp.full((1, 1, 1, 1), -0.3),
        gamma=jnp.array([0.499882220]),
    )
    np.testing.assert_allclose(xt.ravel(), [-0.141454669], atol=1e-7)


def test_every_example_gets_its_own_level():
    x0, eps = arrays()
    xt = process.q_sample(x0, eps, gamma=GAMMA)
    for row, gamma in enumerate(np.asarray(GAMMA, np.float64)):
        expected = np.sqrt(gamma) * x0[row] + np.sqrt(1 - gamma) * eps[row]
        np.testing.assert_allclose(xt[row], expected, atol=1e-6)


def test_the_ends_are_clean_and_pure_noise():
    x0, eps = arrays()
    np.testing.assert_array_equal(process.q_sample(x0, eps, gamma=jnp.ones(3)), x0)
    np.testing.assert_array_equal(process.q_sample(x0, eps, gamma=jnp.zeros(3)), eps)


def test_noise_keeps_unit_variance_of_unit_data():
    eps = jax.random.normal(jax.random.key(1), (3, 64, 64, 6))
    x0 = jax.random.normal(jax.random.key(2), eps.shape)
    xt = process.q_sample(x0, eps, gamma=GAMMA)
    np.testing.assert_allclose(xt.std((1, 2, 3)), np.ones(3), atol=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_eps_and_x0_convert_back_and_forth(seed):
    x0, eps = arrays(seed=seed)
    xt = process.q_sample(x0, eps, gamma=GAMMA)
    np.testing.assert_allclose(process.eps_from_x0(xt, x0, gamma=GAMMA), eps, atol=1e-5)
    # At gamma = 0.01 the division by sqrt(gamma) takes one digit.
    np.testing.assert_allclose(process.x0_from_eps(xt, eps, gamma=GAMMA), x0, atol=1e-5)


def test_eps_is_a_number_where_there_is_no_noise():
    x0, _ = arrays()
    made = process.eps_from_x0(x0 + 1e-3, x0, gamma=jnp.ones_like(GAMMA))
    assert jnp.isfinite(made).all()


def test_v_converts_to_x0():
    x0, eps = arrays()
    xt = process.q_sample(x0, eps, gamma=GAMMA)
    gamma = process.broadcast_gamma(GAMMA, 4)
    v = jnp.sqrt(gamma) * eps - jnp.sqrt(1 - gamma) * x0
    np.testing.assert_allclose(process.x0_from_v(xt, v, gamma=GAMMA), x0, atol=1e-6)


def test_gamma_broadcasts_over_trailing_axes():
    made = process.broadcast_gamma(GAMMA, 4)
    assert made.shape == (3, 1, 1, 1)
    np.testing.assert_array_equal(made.ravel(), GAMMA)


def test_noise_agrees_with_the_reference_code(shared):
    golden = np.load(shared / "reference/golden/image_small.npz")
    gamma = jnp.asarray(golden["gamma"]).reshape(-1)
    xt = process.q_sample(
        jnp.asarray(golden["analog_bits"]), jnp.asarray(golden["noise"]), gamma=gamma
    )
    np.testing.assert_allclose(xt, golden["xt"], atol=1e-6)
