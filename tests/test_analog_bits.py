"""Integers <-> analog bits: the goldens of spec 11 and round trips over all ids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d import analog_bits

GOLDEN = {1: "10000000", 100: "00100110", 133: "10100001", 255: "11111111"}


@pytest.mark.parametrize(("value", "bits"), GOLDEN.items())
def test_bits_are_least_significant_first(value, bits):
    expected = [int(bit) for bit in bits]
    made = analog_bits.int_to_bits(jnp.array(value), 8)
    assert made.dtype == jnp.int32
    np.testing.assert_array_equal(made, expected)
    assert int(analog_bits.bits_to_int(jnp.array(expected))) == value


@pytest.mark.parametrize("num_bits", [1, 4, 8])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_encode_and_decode_are_inverse_for_all_ids(num_bits, scale):
    ids = np.arange(2**num_bits)
    labels = jnp.asarray(np.stack([ids, ids[::-1]], -1))
    x = analog_bits.encode(labels, num_bits, scale)
    assert x.shape == (2**num_bits, 2 * num_bits)
    assert x.dtype == jnp.float32
    np.testing.assert_array_equal(jnp.abs(x), np.full(x.shape, scale, np.float32))
    back = analog_bits.decode(x, num_bits)
    assert back.dtype == jnp.int32
    np.testing.assert_array_equal(back, labels)


def test_semantic_bits_come_before_instance_bits():
    labels = jnp.zeros((2, 3, 2), jnp.int32).at[1, 2].set(jnp.array([4, 129]))
    x = analog_bits.encode(labels, 8, 0.1)
    assert x.shape == (2, 3, 16)
    assert list(np.flatnonzero(x[1, 2] > 0)) == [2, 8, 15]
    assert not (x[0] > 0).any()


def test_uint8_labels_encode_like_int32():
    ids = np.arange(256)
    np.testing.assert_array_equal(
        analog_bits.encode(jnp.asarray(ids[:, None], jnp.uint8)),
        analog_bits.encode(jnp.asarray(ids[:, None], jnp.int32)),
    )


def test_a_bit_is_set_strictly_above_zero():
    x = jnp.array([0.0, -0.0, 1e-30, -1e-30, 5.0])
    assert int(analog_bits.bits_to_int(x)) == 4 + 16


def test_every_bit_is_thresholded_on_its_own():
    # Between codes 1 = 100 and 6 = 011 lies code 7, which neither pixel has.
    x = jnp.array([0.02, 0.01, 0.04])
    assert int(analog_bits.decode(x, 3)[0]) == 7


def test_bits_to_int_holds_thirty_bits():
    x = jnp.ones(30)
    assert int(analog_bits.bits_to_int(x)) == 2**30 - 1


def test_decode_refuses_an_incomplete_channel():
    with pytest.raises(ValueError, match=r"12 bits, not a multiple of .*=8"):
        analog_bits.decode(jnp.zeros((2, 12)), 8)


@pytest.mark.parametrize("num_bits", [1, 3, 8])
def test_expected_bits_of_a_certain_code_are_its_bits(num_bits):
    made = analog_bits.expected_bits(jnp.eye(2**num_bits))
    bits = analog_bits.int_to_bits(jnp.arange(2**num_bits), num_bits)
    np.testing.assert_array_equal(made, bits.astype(jnp.float32))


def test_expected_bits_are_marginals():
    # P(0) = .1, P(1) = .2, P(2) = .3, P(3) = .4: bit 0 is set in 1 and 3.
    made = analog_bits.expected_bits(jnp.array([[0.1, 0.2, 0.3, 0.4]]))
    np.testing.assert_allclose(made, [[0.6, 0.7]], rtol=1e-6)
    uniform = jax.nn.softmax(jnp.zeros((5, 256)))
    np.testing.assert_allclose(
        analog_bits.expected_bits(uniform), np.full((5, 8), 0.5), rtol=1e-6
    )


def test_bits_agree_with_the_reference_code(shared):
    golden = np.load(shared / "reference/golden/image_small.npz")
    x = analog_bits.encode(jnp.asarray(golden["labels"]), 8, 0.1)
    np.testing.assert_allclose(x, golden["analog_bits"], atol=1e-7)
