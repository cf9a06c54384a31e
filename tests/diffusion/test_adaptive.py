"""As many steps as each example needs; with one budget, the sampler itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.diffusion import adaptive, sampler, schedule

COSINE = schedule.make("cosine")
SHAPE = (3, 4, 4, 2)


def decode(x0):
    return (x0 > 0).astype(jnp.int32)


def noise():
    return jax.random.normal(jax.random.key(0), SHAPE)


def denoise(xt, gamma):
    """Some nonlinear estimate that depends on its input and level."""
    return jnp.tanh(xt + gamma[:, None, None, None])


def sample(denoise_fn, *, budgets, choose, stop_changed=0.0, **options):
    settings = dict(decode=decode, time_difference=2.0, schedule=COSINE, clip=0.5)
    return jax.jit(
        lambda x: adaptive.sample(
            denoise_fn,
            x,
            budgets=budgets,
            choose=choose,
            stop_changed=stop_changed,
            **settings,
            **options,
        )
    )(noise())


def first(labels):
    return jnp.zeros(len(labels), jnp.int32)


@pytest.mark.parametrize(("num_steps", "start"), [(1, 1), (2, 1), (7, 1), (3, 0.7)])
def test_one_budget_without_stopping_is_the_sampler(num_steps, start):
    options = {"start_time": start}
    x0, steps = sample(denoise, budgets=(num_steps,), choose=first, **options)
    settings = dict(time_difference=2.0, schedule=COSINE, clip=0.5)
    expected = sampler.sample(denoise, noise(), num_steps, **settings, **options)
    np.testing.assert_allclose(x0, expected, atol=1e-6)
    np.testing.assert_array_equal(steps, [num_steps] * 3)


@pytest.mark.parametrize("self_cond", ["x", "eps"])
def test_the_last_estimate_is_passed_on_as_the_sampler_does(self_cond):
    def with_estimate(xt, gamma, previous):
        return jnp.tanh(xt + gamma[:, None, None, None] - 0.7 * previous)

    x0, _ = sample(with_estimate, budgets=(5,), choose=first, self_cond=self_cond)
    expected = sampler.sample(
        with_estimate,
        noise(),
        5,
        time_difference=2.0,
        schedule=COSINE,
        clip=0.5,
        self_cond=self_cond,
    )
    np.testing.assert_allclose(x0, expected, atol=1e-6)


def test_each_example_has_the_budget_chosen_for_it():
    x0, steps = sample(
        denoise, budgets=(6, 3), choose=lambda labels: jnp.array([0, 1, 0])
    )
    np.testing.assert_array_equal(steps, [6, 3, 6])
    for budget, rows in ((6, [0, 2]), (3, [1])):
        expected = sampler.sample(
            denoise, noise(), budget, time_difference=2.0, schedule=COSINE, clip=0.5
        )
        for row in rows:
            np.testing.assert_allclose(x0[row], expected[row], atol=1e-6)


def test_the_choice_sees_the_labels_of_the_first_estimate():
    def choose(labels):
        assert labels.shape == SHAPE
        is_set = jnp.mean(labels.astype(jnp.float32), axis=(1, 2, 3)) > 0.5
        return jnp.where(is_set, 0, 1)

    gamma = jnp.full(3, COSINE(jnp.float32(1)))
    share = np.mean(decode(denoise(noise(), gamma)), axis=(1, 2, 3))
    _, steps = sample(denoise, budgets=(4, 2), choose=choose)
    np.testing.assert_array_equal(steps, np.where(share > 0.5, 4, 2))
    assert len(set(steps.tolist())) == 2  # the noise has both


def test_sampling_stops_once_the_decoded_map_stays_and_keeps_its_estimate():
    def settles(xt, gamma):
        """Example k has another sign up to its level, then stays."""
        until = jnp.array([0.0, 0.02, 0.3])
        sign = jnp.where(gamma < until, -1.0, 1.0)
        return 0.1 * sign[:, None, None, None] * jnp.ones_like(xt)

    # Its map stays from the first estimate on; from the second; and the third is taken
    # for settled before it turns.
    gammas = [float(COSINE(jnp.float32(t))) for t in (1.0, 0.9)]
    assert gammas[0] < 0.02 < gammas[1] < 0.3
    x0, steps = sample(settles, budgets=(10,), choose=first, stop_changed=0.01)
    np.testing.assert_array_equal(steps, [2, 3, 2])
    np.testing.assert_array_equal(decode(x0)[:, 0, 0, 0], [1, 1, 0])


def test_more_change_than_the_share_goes_on():
    def flips(xt, gamma):
        """All pixels change their sign in every step."""
        step = jnp.round((jnp.arccos(jnp.sqrt(gamma)) * 2 / jnp.pi) * 8)
        sign = jnp.where(step % 2 == 0, 1.0, -1.0)
        return 0.1 * sign[:, None, None, None] * jnp.ones_like(xt)

    _, steps = sample(flips, budgets=(8,), choose=first, stop_changed=1.0)
    np.testing.assert_array_equal(steps, [8, 8, 8])


def test_there_has_to_be_a_budget():
    with pytest.raises(ValueError, match="at least one number of steps"):
        sample(denoise, budgets=(), choose=first)
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        sample(denoise, budgets=(0,), choose=first)
