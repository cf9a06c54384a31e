"""Images -> label maps: clamping, independence of the batch, keys, states."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables

from pix2seq_d import analog_bits
from pix2seq_d.config import DiffusionConfig
from pix2seq_d.diffusion import process
from pix2seq_d.inference import image
from pix2seq_d.models import Pix2SeqD

MODEL = Pix2SeqD(TINY)
DIFFUSION = DiffusionConfig(num_steps=3, time_difference=1.0)
predict = quick_jit(
    functools.partial(image.predict, model=MODEL, diffusion=DIFFUSION),
    static_argnames="return_states",
)


@pytest.fixture(scope="module")
def variables():
    made = random_variables(MODEL)
    kernel = made["params"]["decoder"]["input"]["kernel"]
    # The noisy mask counts more, so that other noise shows in the labels.
    made["params"]["decoder"]["input"]["kernel"] = kernel.at[:, :, :6].mul(8)
    return made


@pytest.fixture(scope="module")
def images():
    return random_batch(2)["image"]


def keys(*seeds):
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def share_equal(one, other):
    return float(np.mean(np.asarray(one) == np.asarray(other)))


@pytest.fixture(scope="module")
def pair(variables, images):
    """Labels of both images, and those of every step."""
    return predict(variables, images, keys(1, 2), return_states=True)


def test_decoding_clamps_to_the_last_class_and_instance():
    ids = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), -1)
    x0 = analog_bits.encode(jnp.asarray(ids), 3, 0.1)
    made = image.decode_labels(x0, TINY)
    assert made.dtype == jnp.int32
    expected = np.stack([np.minimum(ids[..., 0], 6), np.minimum(ids[..., 1], 5)], -1)
    np.testing.assert_array_equal(made, expected)


def test_labels_have_mask_size_and_stay_in_range(pair):
    labels, states = pair
    assert labels.shape == (2, 16, 32, 2)
    assert states.shape == (3, 2, 16, 32, 2)
    assert labels.dtype == states.dtype == jnp.int32
    for channel, highest in ((0, 6), (1, 5)):
        values = np.unique(states[..., channel])
        assert values.min() >= 0
        assert values.max() == highest
        assert len(values) > 3


def test_the_last_state_is_the_result(pair):
    labels, states = pair
    np.testing.assert_array_equal(states[-1], labels)
    assert share_equal(states[0], labels) < 0.99


def test_an_image_does_not_depend_on_its_batch(variables, images, pair):
    alone = predict(variables, images[1:], keys(2))
    # Sums of another order may turn a bit that is almost 0.
    assert share_equal(alone[0], pair[0][1]) > 0.999
    assert share_equal(alone[0], pair[0][0]) < 0.95


def test_keys_set_the_noise(variables, images, pair):
    same = predict(variables, images, keys(1, 2), return_states=True)[0]
    np.testing.assert_array_equal(same, pair[0])
    other = predict(variables, images, keys(1, 3), return_states=True)[0]
    np.testing.assert_array_equal(other[0], pair[0][0])
    assert share_equal(other[1], pair[0][1]) < 0.95
    # One image under two keys.
    twice = predict(
        variables, np.repeat(images[:1], 2, 0), keys(1, 2), return_states=True
    )[0]
    assert share_equal(twice[0], twice[1]) < 0.95


def test_the_image_matters(variables, images, pair):
    swapped = predict(variables, images[::-1], keys(1, 2), return_states=True)[0]
    assert share_equal(swapped, pair[0]) < 0.99


def test_ddpm_noise_belongs_to_the_image(variables, images):
    settings = dataclasses.replace(DIFFUSION, sampler="ddpm")
    run = quick_jit(functools.partial(image.predict, model=MODEL, diffusion=settings))
    both = run(variables, images, keys(1, 2))
    alone = run(variables, images[1:], keys(2))
    assert share_equal(alone[0], both[1]) > 0.999
    assert share_equal(alone[0], both[0]) < 0.95


@pytest.mark.parametrize("kind", ["x", "eps"])
def test_self_conditioning_passes_the_last_estimate(kind, images):
    config = dataclasses.replace(TINY, self_conditioning=kind)
    model = Pix2SeqD(config)
    variables = random_variables(model)
    kernel = variables["params"]["decoder"]["input"]["kernel"]
    # The estimate counts more, so that it shows in the labels.
    variables["params"]["decoder"]["input"]["kernel"] = kernel.at[:, :, 6:12].mul(80)
    settings = DiffusionConfig(num_steps=2, time_difference=0.0)
    run = functools.partial(image.predict, model=model, diffusion=settings)
    made = quick_jit(run)(variables, images, keys(1, 2))

    # The two steps written out.
    features = quick_jit(model.encode)(variables, images)
    denoise = quick_jit(model.denoise)
    gammas = [jnp.full(2, settings.sample_schedule.make()(t)) for t in (1.0, 0.5)]
    first = [jax.random.fold_in(key, 0) for key in keys(1, 2)]
    xt = jnp.stack([jax.random.normal(key, (16, 32, 6)) for key in first])
    x0 = denoise(variables, xt, gammas[0], features).x0
    eps = process.eps_from_x0(xt, x0, gamma=gammas[0])
    xt = process.q_sample(x0, eps, gamma=gammas[1])
    estimate = x0 if kind == "x" else eps
    second = denoise(variables, xt, gammas[1], features, x0_self_cond=estimate).x0
    assert share_equal(made, image.decode_labels(second, config)) > 0.999
    without = denoise(variables, xt, gammas[1], features).x0
    assert share_equal(made, image.decode_labels(without, config)) < 0.95


def test_the_sampler_follows_its_settings(variables, images):
    shapes = {}
    for steps in (1, 5):
        settings = dataclasses.replace(DIFFUSION, num_steps=steps, sampler="ddpm")
        run = functools.partial(
            image.predict, model=MODEL, diffusion=settings, return_states=True
        )
        _, states = jax.eval_shape(run, variables, images, keys(1, 2))
        shapes[steps] = states.shape
    assert shapes == {n: (n, 2, 16, 32, 2) for n in (1, 5)}
