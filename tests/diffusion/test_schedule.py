"""Noise schedules: golden values of spec 11, end points, monotony."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.diffusion import schedule

QUARTERS = jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])
GOLDEN = [
    (dict(name="cosine"), [1.0, 0.853401, 0.499882, 0.146433, 6.165e-9]),
    (
        dict(name="cosine", start=0.0, end=1.0),
        [1, 0.853553, 0.5, 0.146447, 1e-9],
    ),
    (
        dict(name="cosine", start=0.2, end=1.0),
        [1, 0.723607, 0.381966, 0.105573, 1e-9],
    ),
    (
        dict(name="sigmoid", start=-3.0, end=3.0, tau=0.9),
        [1, 0.866370, 0.5, 0.133630, 1e-9],
    ),
    (dict(name="linear"), [1, 0.75, 0.5, 0.25, 1e-9]),
]
ALL = [
    *(settings for settings, _ in GOLDEN),
    dict(name="cosine", end=0.5),
    dict(name="cosine", start=0.1, end=0.9, tau=2.0),
    dict(name="cosine", start=0.2, end=1.0, tau=1.25),  # a power that is no integer
    dict(name="sigmoid"),
]


@pytest.mark.parametrize(("settings", "expected"), GOLDEN)
def test_golden_values(settings, expected):
    gamma = schedule.make(**settings)(QUARTERS)
    assert gamma.dtype == jnp.float32
    np.testing.assert_allclose(gamma[:-1], expected[:-1], atol=1e-6)
    # Near t = 1 float32 resolves cos(pi / 2) to about 1e-7, its square to 1e-11.
    np.testing.assert_allclose(gamma[-1], expected[-1], rtol=1e-2)


@pytest.mark.parametrize("settings", ALL)
def test_gamma_falls_from_one_to_nearly_zero(settings):
    gamma = np.asarray(schedule.make(**settings)(jnp.linspace(0, 1, 501)))
    assert (np.diff(gamma) < 0).all()
    assert gamma[0] == pytest.approx(1, abs=1e-6)
    assert 0 < gamma[-1] < 1e-6
    assert gamma.max() <= 1


def test_the_default_cosine_never_reaches_one():
    # sqrt(1 - gamma) divides in the sampler (spec 2.2).
    assert float(schedule.make()(jnp.float32(0.0))) < 1


def test_defaults_of_start_and_end():
    t = jnp.linspace(0, 1, 11)
    np.testing.assert_array_equal(
        schedule.make("sigmoid")(t), schedule.make("sigmoid", start=-3.0, end=3.0)(t)
    )
    np.testing.assert_array_equal(
        schedule.make("cosine", start=0.0)(t), schedule.make("cosine", end=0.5)(t)
    )


def test_tau_bends_the_sigmoid_and_sharpens_the_cosine():
    t = jnp.array([0.25])
    sharp, soft = (schedule.make("sigmoid", tau=tau)(t)[0] for tau in (0.3, 3.0))
    assert sharp > 0.98
    assert soft == pytest.approx(0.75, abs=0.02)
    one, two = (
        schedule.make("cosine", start=0.0, end=1.0, tau=tau)(t)[0] for tau in (1.0, 2.0)
    )
    assert two == pytest.approx(float(one) ** 2, rel=1e-5)


def test_schedules_keep_the_shape_and_run_under_jit():
    t = jnp.linspace(0, 1, 12).reshape(3, 4)
    # As outside the tests: near gamma = 0 the last digit of a cosine counts.
    name = "xla_cpu_use_fusion_emitters"
    options = {name: True} if name in os.environ["XLA_FLAGS"] else None
    for settings in ALL:
        gamma = schedule.make(**settings)
        assert gamma(t).shape == (3, 4)
        compiled = jax.jit(gamma, compiler_options=options)
        np.testing.assert_allclose(compiled(t), gamma(t), rtol=1e-3, atol=1e-9)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"unknown schedule 'cos'.*'cosine'"):
        schedule.make("cos")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(name="cosine", tau=2.0), "tau=2.0: cosine has it with start or end"),
        (dict(name="linear", end=0.5), "linear has no start, end and tau"),
        (dict(name="linear", tau=2.0), "linear has no start, end and tau"),
        (dict(name="sigmoid", start=3.0), "end=3.0 is the start too"),
        (dict(name="cosine", end=0.0), "end=0.0 is the start too"),
        (dict(name="cosine", start=-0.5, end=0.5), "cosine takes both in 0 ... 1"),
        (dict(name="cosine", end=1.5), "cosine takes both in 0 ... 1"),
    ],
)
def test_arguments_that_a_schedule_cannot_use_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        schedule.make(**settings)
