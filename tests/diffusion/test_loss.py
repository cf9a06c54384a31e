"""Losses and instance weights against values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d import analog_bits
from pix2seq_d.diffusion import loss


def test_golden_weights():
    made = loss.instance_weights(jnp.array([[[1, 1], [1, 2]]]), 101, 0.2)
    expected = [[[0.96415783, 0.96415783], [0.96415783, 1.10752651]]]
    assert made.dtype == jnp.float32
    np.testing.assert_allclose(made, expected, atol=1e-6)


@pytest.mark.parametrize("power", [0.2, 1.0])
def test_weights_have_mean_one_per_image_and_fall_with_area(power):
    instance = jnp.zeros((2, 8, 8), jnp.int32)
    instance = instance.at[0, :2, :2].set(3).at[0, 7, 7].set(5).at[1, 4:].set(1)
    weights = np.asarray(loss.instance_weights(instance, 6, power))
    np.testing.assert_allclose(weights.mean((1, 2)), [1, 1], atol=1e-5)
    large, medium, small = weights[0, 4, 4], weights[0, 0, 0], weights[0, 7, 7]
    assert large < medium < small
    # 59 pixels of id 0, 4 of id 3, 1 of id 5; id 0 is an instance like any other.
    assert small / large == pytest.approx((60 / 2) ** power, rel=1e-5)
    assert medium / large == pytest.approx((60 / 5) ** power, rel=1e-5)
    np.testing.assert_allclose(weights[1], np.ones((8, 8)), atol=1e-5)


def test_power_zero_weighs_all_pixels_alike():
    instance = jnp.array([[[0, 1], [7, 1]]])
    np.testing.assert_array_equal(
        loss.instance_weights(instance, 4, 0.0), np.ones((1, 2, 2))
    )


def test_ids_beyond_the_last_weigh_nothing():
    instance = jnp.array([[[1, 4], [9, 1]]])
    weights = loss.instance_weights(instance, 4, 0.2)
    np.testing.assert_allclose(weights, [[[2, 0], [0, 2]]], atol=1e-6)


@pytest.mark.parametrize(("groups", "bits"), [(8, 1), (2, 8)])
def test_uniform_logits_cost_the_log_of_the_codes(groups, bits):
    labels = jax.random.randint(jax.random.key(0), (2, 4, 4, groups), 0, 2**bits)
    x0 = analog_bits.encode(labels, bits)
    logits = jnp.full((2, 4, 4, groups, 2**bits), 0.7)
    made = loss.softmax_xent(logits, x0, jnp.ones((2, 4, 4)))
    np.testing.assert_allclose(made, np.full(2, bits * np.log(2)), rtol=1e-5)


def test_softmax_loss_picks_the_code_of_every_group():
    # One image of one pixel with codes 2 (semantic) and 1 (instance) of 2 bits.
    x0 = analog_bits.encode(jnp.array([[[[2, 1]]]]), 2)
    logits = jnp.log(jnp.array([[[[[0.1, 0.2, 0.4, 0.3], [0.2, 0.5, 0.2, 0.1]]]]]))
    made = loss.softmax_xent(logits, x0, jnp.full((1, 1, 1), 3.0))
    np.testing.assert_allclose(made, [-3 * np.log(0.4 * 0.5) / 2], rtol=1e-5)


def test_softmax_loss_is_the_mean_over_the_pixels_of_each_image():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, (2, 3, 4, 2))
    logits = rng.normal(size=(2, 3, 4, 2, 8)).astype(np.float32)
    weights = rng.uniform(0.5, 2, (2, 3, 4)).astype(np.float32)
    total = np.zeros(2)
    for b, i, j, g in np.ndindex(2, 3, 4, 2):
        p = np.exp(logits[b, i, j, g]) / np.exp(logits[b, i, j, g]).sum()
        total[b] -= weights[b, i, j] * np.log(p[labels[b, i, j, g]])
    x0 = analog_bits.encode(jnp.asarray(labels), 3)
    made = loss.softmax_xent(jnp.asarray(logits), x0, jnp.asarray(weights))
    np.testing.assert_allclose(made, total / 24, rtol=1e-5)


def test_sigmoid_loss():
    x0 = jnp.array([0.1, -0.1]).reshape(1, 1, 1, 2)
    output = jnp.array([2.0, 1.0]).reshape(1, 1, 1, 2)
    made = loss.sigmoid_xent(output, x0, jnp.full((1, 1, 1), 2.0))
    expected = -2 * (np.log(1 / (1 + np.exp(-2))) + np.log(1 / (1 + np.exp(1)))) / 2
    np.testing.assert_allclose(made, [expected], rtol=1e-5)


def test_sigmoid_loss_stays_finite_where_the_output_is_surely_wrong():
    x0 = jnp.full((1, 1, 1, 2), 0.1)
    made = loss.sigmoid_xent(jnp.full(x0.shape, -1e4), x0, jnp.ones((1, 1, 1)))
    np.testing.assert_allclose(made, [-np.log(1e-8)], rtol=1e-5)


def test_l2_loss():
    prediction = jnp.array([0.3, -0.1, 0.1, 0.1]).reshape(1, 1, 2, 2)
    target = jnp.array([0.1, -0.1, -0.1, 0.5]).reshape(1, 1, 2, 2)
    weights = jnp.array([[[1.0, 0.5]]])
    made = loss.l2(prediction, target, weights)
    np.testing.assert_allclose(
        made, [(0.04 + 0 + 0.5 * 0.04 + 0.5 * 0.16) / 4], rtol=1e-5
    )


def test_weights_agree_with_the_reference_code(shared):
    golden = np.load(shared / "reference/golden/image_small.npz")
    made = loss.instance_weights(jnp.asarray(golden["labels"][..., 1]), 101, 0.2)
    np.testing.assert_allclose(
        made, golden["mask_weight"].reshape(made.shape), atol=1e-5
    )
