"""Certainty of pixels from bits, confidence of segments from pixels."""

import jax.numpy as jnp
import numpy as np

from pix2seq_d.inference import certainty


def test_a_pixel_is_as_sure_as_all_its_bits_together():
    x0 = jnp.array([[[0.1, -0.1, 0.1], [0.0, -0.1, 0.1], [0.05, -0.05, 0.0]]])
    found = certainty.of_bits(x0, bit_scale=0.1)
    np.testing.assert_allclose(found, [[1.0, 0.5, 0.75 * 0.75 * 0.5]], rtol=1e-6)


def test_estimates_beyond_the_bits_are_no_surer_than_sure():
    assert certainty.of_bits(jnp.full((4,), -3.0), bit_scale=0.1).item() == 1


def test_a_segment_has_the_mean_of_its_pixels_in_the_order_asked_for():
    ids = np.array([[9, 9, 0], [4, 4, 4]])
    pixels = np.array([[0.2, 0.4, 1.0], [0.9, 0.0, 0.6]], np.float32)
    found = certainty.of_segments(ids, pixels, np.array([9, 4]))
    np.testing.assert_allclose(found, [0.3, 0.5], rtol=1e-6)
