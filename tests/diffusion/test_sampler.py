"""Samplers: step lists and goldens of spec 11, and runs with known denoisers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.diffusion import process, sampler, schedule

SHAPE = (2, 3, 4, 6)
GAMMA, GAMMA_NEXT = jnp.array([0.499882220]), jnp.array([0.726837821])


@pytest.fixture(scope="module")
def x0():
    return 0.1 * jnp.sign(jax.random.normal(jax.random.key(5), SHAPE))


@pytest.fixture(scope="module")
def x_init():
    return jax.random.normal(jax.random.key(6), SHAPE)


def halfway(xt, gamma):
    """A denoiser that depends on its input and on the level of the noise."""
    return 0.05 * jnp.tanh(xt + process.broadcast_gamma(gamma, xt.ndim))


def one(value):
    return jnp.full((1, 1, 1, 1), value)


def test_time_grid_of_twenty_steps():
    grid = sampler.time_grid(20, 2.0)
    assert grid.shape == (20, 2)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid[:2], [[1, 0.85], [0.95, 0.8]], atol=1e-6)
    tail = [[0.2, 0.05], [0.15, 0], [0.1, 0], [0.05, 0]]
    np.testing.assert_allclose(grid[-4:], tail, atol=1e-6)

    grid = sampler.time_grid(20, 1.0)
    np.testing.assert_allclose(grid[:2], [[1, 0.9], [0.95, 0.85]], atol=1e-6)
    np.testing.assert_allclose(grid[-2:], [[0.1, 0], [0.05, 0]], atol=1e-6)


def test_without_time_difference_a_step_ends_where_the_next_starts():
    grid = sampler.time_grid(7, 0.0)
    np.testing.assert_allclose(grid[1:, 0], grid[:-1, 1], atol=1e-6)
    assert grid[0, 0] == 1
    assert grid[-1, 1] == 0


def test_no_time_is_above_the_start_time():
    grid = sampler.time_grid(4, 1.0, start_time=0.8)
    expected = [[0.8, 0.5], [0.75, 0.25], [0.5, 0], [0.25, 0]]
    np.testing.assert_allclose(grid, expected, atol=1e-6)


def test_the_first_noise_is_taken_for_that_of_the_start_time(x_init):
    seen = []

    def denoise(xt, level):
        jax.debug.callback(lambda a, b: seen.append((a, b)), xt, level, ordered=True)
        return halfway(xt, level)

    made = sampler.sample(denoise, x_init, 2, time_difference=0.0, start_time=0.8)
    jax.block_until_ready(made)
    jax.effects_barrier()
    (first, level), (second, next_level) = seen
    gamma, gamma_next = (jnp.full(2, schedule.make()(t)) for t in (0.8, 0.5))
    np.testing.assert_array_equal(first, x_init)
    np.testing.assert_allclose(level, gamma, rtol=1e-5)
    np.testing.assert_allclose(next_level, gamma_next, rtol=1e-5)
    x0 = jnp.clip(halfway(x_init, gamma), -0.1, 0.1)
    expected = sampler.ddim_step(x_init, x0, gamma=gamma, gamma_next=gamma_next)
    np.testing.assert_allclose(second, expected, atol=1e-6)


def test_second_order_follows_the_exact_path_of_gaussian_data():
    # For x0 ~ N(0, v) both the best estimate and the ODE's path are known: xt grows as
    # the deviation of its marginal, sqrt(gamma v + 1 - gamma).
    v, x_init = 0.25, jnp.full((1, 1, 1, 1), 1.5)

    def gamma(t):
        return 0.8 - 0.6 * jnp.asarray(t, jnp.float32)

    def estimate(xt, level):
        level = process.broadcast_gamma(level, xt.ndim)
        return jnp.sqrt(level) * v / (level * v + 1 - level) * xt

    def error(method, n):
        made = sampler.sample(
            estimate, x_init, n, 0.0, schedule=gamma, method=method, clip=None
        )
        first, last = gamma(jnp.array([1.0, 1 / n]))
        grown = jnp.sqrt((last * v + 1 - last) / (first * v + 1 - first))
        return abs(float((made - estimate(x_init * grown, last[None]))[0, 0, 0, 0]))

    errors = {m: [error(m, n) for n in (16, 32, 64)] for m in ("ddim", "dpmpp_2m")}
    for coarse, fine in itertools.pairwise(errors["ddim"]):
        assert 1.7 < coarse / fine < 2.3
    for coarse, fine in itertools.pairwise(errors["dpmpp_2m"]):
        assert 3.2 < coarse / fine < 5
    assert errors["dpmpp_2m"][0] < errors["ddim"][0] / 3


def test_the_first_step_of_the_second_order_is_that_of_ddim(x_init):
    made = [
        sampler.sample(halfway, x_init, 2, 0.0, method=method)
        for method in ("ddim", "dpmpp_2m")
    ]
    np.testing.assert_array_equal(*made)
    more = [
        sampler.sample(halfway, x_init, 3, 0.0, method=method)
        for method in ("ddim", "dpmpp_2m")
    ]
    assert (more[0] != more[1]).any()


def test_the_carry_is_bounded_and_nothing_without_progress():
    gamma = jnp.array([0.2, 0.2, 0.3, 0.5])
    gamma_next = jnp.array([0.3, 0.3, 0.4, 1.0])
    carry = sampler.multistep_carry(gamma, gamma_next)

    def half_log_snr(g):
        return 0.5 * np.log(g / (1 - g))

    third = (half_log_snr(0.4) - half_log_snr(0.3)) / 2
    third /= half_log_snr(0.3) - half_log_snr(0.2)
    np.testing.assert_allclose(carry, [0, 0, third, 1], rtol=1e-5)


@pytest.mark.parametrize("start", [0.0, -0.5, 1.1, float("nan")])
def test_a_bad_start_time_is_refused(start):
    with pytest.raises(ValueError, match="start_time must be > 0 and <= 1, not"):
        sampler.time_grid(5, 1.0, start)


def test_bad_steps_are_refused():
    with pytest.raises(ValueError, match="num_steps must be at least 1, not 0"):
        sampler.time_grid(0, 1.0)
    with pytest.raises(ValueError, match="time_difference must be >= 0, not -1"):
        sampler.time_grid(5, -1.0)


def test_golden_ddim_step():
    xt = process.q_sample(one(0.1), one(-0.3), gamma=GAMMA)
    made = sampler.ddim_step(xt, one(0.1), gamma=GAMMA, gamma_next=GAMMA_NEXT)
    np.testing.assert_allclose(made.ravel(), [-0.071539974], atol=1e-7)


@pytest.mark.parametrize(
    ("small", "variance"), [(False, 0.312250677), (True, 0.170549975)]
)
def test_golden_ddpm_mean_and_variance(small, variance):
    shape = (1, 100, 100, 10)
    x0, eps = jnp.full(shape, 0.1), jnp.full(shape, -0.3)
    xt = process.q_sample(x0, eps, gamma=GAMMA)
    key = jax.random.key(3)
    made = sampler.ddpm_step(
        key, xt, x0, gamma=GAMMA, gamma_next=GAMMA_NEXT, small_variance=small
    )
    noise = jax.random.normal(key, shape)
    np.testing.assert_allclose(
        made, -0.010844635 + np.sqrt(variance) * noise, atol=1e-5
    )


@pytest.mark.parametrize("method", sampler.METHODS)
@pytest.mark.parametrize(
    ("num_steps", "time_difference"), [(1, 0.0), (2, 0.0), (3, 2.0), (20, 1.0)]
)
def test_a_perfect_denoiser_returns_x0(method, num_steps, time_difference, x0, x_init):
    made = sampler.sample(
        lambda xt, gamma: x0,
        x_init,
        num_steps=num_steps,
        time_difference=time_difference,
        method=method,
        key=jax.random.key(0),
    )
    np.testing.assert_array_equal(made, x0)


@pytest.mark.parametrize("settings", [dict(name="cosine"), dict(name="linear")])
def test_ddim_walks_the_line_of_a_perfect_denoiser(settings, x0, x_init):
    # Each xt is then the forward process at its level with one and the same noise.
    gamma = schedule.make(**settings)
    eps = (x_init - jnp.sqrt(gamma(1.0)) * x0) / jnp.sqrt(1 - gamma(1.0))
    seen = []

    def denoise(xt, level):
        jax.debug.callback(lambda a, b: seen.append((a, b)), xt, level, ordered=True)
        return x0

    made = sampler.sample(
        denoise, x_init, num_steps=4, time_difference=0.0, schedule=gamma
    )
    jax.block_until_ready(made)
    jax.effects_barrier()
    assert len(seen) == 4
    for (xt, level), t in zip(seen, (1.0, 0.75, 0.5, 0.25), strict=True):
        np.testing.assert_allclose(level, np.full(2, gamma(t)), rtol=1e-4)
        expected = process.q_sample(x0, eps, gamma=jnp.full(2, gamma(t)))
        np.testing.assert_allclose(xt, expected, atol=1e-5)


def test_the_time_difference_changes_only_the_target(x_init):
    levels = {}
    for difference in (0.0, 2.0):
        seen = levels[difference] = []

        def denoise(xt, gamma, seen=seen):
            jax.debug.callback(seen.append, gamma[0], ordered=True)
            return halfway(xt, gamma)

        made = sampler.sample(denoise, x_init, num_steps=5, time_difference=difference)
        jax.effects_barrier()
        levels[difference].append(float(made.sum()))
    np.testing.assert_array_equal(levels[0.0][:-1], levels[2.0][:-1])
    assert levels[0.0][-1] != levels[2.0][-1]


@pytest.mark.parametrize("method", ["ddpm", "ddpm_small"])
def test_ddpm_is_reproducible_by_its_key(method, x_init):
    def run(seed):
        return sampler.sample(
            halfway,
            x_init,
            num_steps=4,
            time_difference=0.0,
            method=method,
            key=jax.random.key(seed),
        )

    first = run(0)
    np.testing.assert_array_equal(first, run(0))
    assert float(jnp.abs(first - run(1)).max()) > 1e-3


def test_ddim_draws_nothing(x_init):
    def run(key):
        return sampler.sample(halfway, x_init, num_steps=4, key=key)

    np.testing.assert_array_equal(run(None), run(jax.random.key(1)))


def test_ddpm_draws_new_noise_at_every_step(x_init):
    seen = []

    def denoise(xt, gamma):
        jax.debug.callback(
            lambda x, g: seen.append((np.asarray(x), float(g))),
            xt,
            gamma[0],
            ordered=True,
        )
        return jnp.zeros_like(xt)

    sampler.sample(
        denoise,
        x_init,
        num_steps=3,
        time_difference=0.0,
        method="ddpm",
        key=jax.random.key(0),
    )
    jax.effects_barrier()
    noises = []
    for (xt, gamma), (x_next, gamma_next) in itertools.pairwise(seen):
        # With x0 = 0 the mean is sqrt(alpha) (1 - gamma') / (1 - gamma) xt.
        alpha = gamma / gamma_next
        mean = np.sqrt(alpha) * (1 - gamma_next) / (1 - gamma) * xt
        noises.append(((x_next - mean) / np.sqrt(1 - alpha)).ravel())
    assert len(noises) == 2
    for noise in noises:
        assert noise.std() == pytest.approx(1, abs=0.2)
    assert abs(np.corrcoef(noises)[0, 1]) < 0.3


def test_states_are_the_estimates_of_all_steps(x_init):
    made, states = sampler.sample(halfway, x_init, num_steps=6, return_states=True)
    assert states.shape == (6, *SHAPE)
    np.testing.assert_array_equal(states[-1], made)
    gamma = jnp.full(2, schedule.make()(1.0))
    np.testing.assert_allclose(states[0], halfway(x_init, gamma), atol=1e-7)
    assert len({float(state.sum()) for state in states}) == 6


def test_estimates_are_clipped(x_init):
    def wild(xt, gamma):
        return 3 * xt

    _, states = sampler.sample(wild, x_init, num_steps=3, clip=0.1, return_states=True)
    assert float(jnp.abs(states).max()) == pytest.approx(0.1)
    _, states = sampler.sample(wild, x_init, num_steps=3, clip=None, return_states=True)
    assert float(jnp.abs(states).max()) > 1


def test_self_conditioning_passes_the_previous_estimate(x_init):
    def count(xt, gamma, previous):
        return previous + 0.01

    made, states = sampler.sample(
        count, x_init, num_steps=4, self_cond=True, return_states=True
    )
    np.testing.assert_allclose(
        states[:, 0, 0, 0, 0], [0.01, 0.02, 0.03, 0.04], atol=1e-6
    )
    np.testing.assert_allclose(made, np.full(SHAPE, 0.04), atol=1e-6)


def test_bad_settings_are_refused(x_init):
    with pytest.raises(ValueError, match=r"unknown sampler 'euler'.*'ddim'"):
        sampler.sample(halfway, x_init, method="euler")
    with pytest.raises(ValueError, match="'ddpm' draws noise: pass key="):
        sampler.sample(halfway, x_init, method="ddpm")


def test_self_conditioning_can_pass_the_noise(x_init, x0):
    seen = []

    def denoise(xt, gamma, previous):
        jax.debug.callback(
            lambda *arrays: seen.append([np.asarray(a) for a in arrays]),
            xt,
            gamma,
            previous,
            ordered=True,
        )
        return 5 * x0  # clipped to x0

    sampler.sample(
        denoise, x_init, num_steps=3, time_difference=0.0, self_cond="eps", clip=0.1
    )
    jax.effects_barrier()
    assert not seen[0][2].any()
    for (xt, gamma, _), (_, _, passed) in itertools.pairwise(seen):
        expected = process.eps_from_x0(xt, x0, gamma=jnp.asarray(gamma))
        np.testing.assert_allclose(passed, expected, atol=1e-5)
        assert np.abs(passed).max() > 1


def test_an_example_with_its_own_key_does_not_depend_on_the_batch(x_init):
    keys = jnp.stack([jax.random.key(3), jax.random.key(4)])

    def run(x, keys):
        return sampler.sample(halfway, x, num_steps=4, method="ddpm", key=keys)

    both = run(x_init, keys)
    np.testing.assert_allclose(run(x_init[1:], keys[1:])[0], both[1], atol=1e-6)
    other = run(x_init, keys[::-1])
    assert float(jnp.abs(other - both).max(axis=(1, 2, 3)).min()) > 1e-3


def test_an_unknown_estimate_is_refused(x_init):
    with pytest.raises(ValueError, match=r"self_cond='v': choose False, True, 'x'"):
        sampler.sample(halfway, x_init, self_cond="v")
