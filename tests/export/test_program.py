"""The exported program's own parts against those that the live model takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.export import program


def test_fitted_sizes_are_those_of_the_host():
    rng = np.random.default_rng(0)
    sizes = np.concatenate(
        [rng.integers(1, 70, (300, 2)), rng.integers(1, 9000, (300, 2)), [[1, 8000]]]
    )
    for image_size in ((64, 64), (32, 96), (1024, 512)):
        found = jax.vmap(lambda s, size=image_size: program.fit_size(s, size))(
            jnp.asarray(sizes)
        )
        expected = [eval_data.fit_size(size, image_size) for size in sizes.tolist()]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [(20, 31), (64, 64), (150, 40), (1, 1), (3, 200)])
def test_fitted_photos_are_those_of_the_host(size):
    photo = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected, content = eval_data.fit_image(photo, (32, 48))
    stored = np.full((160, 210, 3), 99, np.uint8)  # what pads it must not matter
    stored[: size[0], : size[1]] = photo
    found, found_content = program.fit(jnp.asarray(stored), jnp.array(size), (32, 48))
    assert tuple(found_content.tolist()) == content
    # Pillow sums in float64, this in float32: a few roundings of values up to 1.
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("original", "content"), [(50, 32), (7, 20), (500, 32)])
def test_masks_are_shown_as_restored(original, content):
    index, inside = program.shown(
        512, mask=16, image=32, content=jnp.int32(content), original=jnp.int32(original)
    )
    expected = eval_data.restore(
        np.arange(16)[:, None],
        image_size=(32, 1),
        unpadded=(content, 1),
        original=(original, 1),
    )
    np.testing.assert_array_equal(index[:original], expected[:, 0])
    assert inside.sum() == original and inside[:original].all()
