"""The vote at mask size on the device equals that at full size in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.data.evaluation import fit_size, restore
from pix2seq_d.inference import device_postprocess, postprocess

MASK, IMAGE = (16, 24), (32, 48)
CLASSES, IDS = 5, 7


@pytest.mark.parametrize("original", [(32, 48), (37, 41), (480, 640), (9, 60), (70, 5)])
def test_rows_and_columns_are_counted_as_shown(original):
    sizes = {
        "image_size": IMAGE,
        "unpadded": fit_size(original, IMAGE),
        "original": original,
    }
    rows, columns = device_postprocess.times_shown(MASK, **sizes)
    pixels = np.arange(MASK[0] * MASK[1]).reshape(MASK)
    shown = np.bincount(restore(pixels, **sizes).ravel(), minlength=pixels.size)
    np.testing.assert_array_equal(rows[:, None] * columns, shown.reshape(MASK))
    assert (rows.sum(), columns.sum()) == original


@pytest.mark.parametrize("min_area", [0, 1, 60, 1000])
def test_the_vote_is_that_of_the_full_size(min_area):
    rng = np.random.default_rng(min_area)
    originals = [(32, 48), (37, 41), (300, 220), (9, 60)]
    labels = np.stack(
        [
            rng.integers(0, n, (len(originals), *MASK))
            * (rng.random((len(originals), *MASK)) < 0.7)
            for n in (CLASSES, IDS)
        ],
        -1,
    ).astype(np.int32)
    labels[0, :8, :, 1], labels[0, 0, 0] = 1, (4, 6)  # a large and a small one
    sizes = [
        {"image_size": IMAGE, "unpadded": fit_size(o, IMAGE), "original": o}
        for o in originals
    ]
    shown = [device_postprocess.times_shown(MASK, **size) for size in sizes]
    made = device_postprocess.majority_vote(
        jnp.asarray(labels),
        jnp.stack([rows for rows, _ in shown]),
        jnp.stack([columns for _, columns in shown]),
        num_classes=CLASSES,
        num_ids=IDS,
        min_area=min_area,
    )
    assert made.dtype == jnp.int32
    for row, size in enumerate(sizes):
        expected = postprocess.majority_vote(
            restore(labels[row], **size), num_classes=CLASSES, min_area=min_area
        )
        np.testing.assert_array_equal(restore(np.asarray(made[row]), **size), expected)


def test_ties_go_to_the_lowest_class():
    labels = jnp.array([[[[3, 1], [2, 1], [0, 2], [4, 2]]]])
    once = jnp.ones((1, 1), jnp.int32)
    options = {"num_classes": CLASSES, "num_ids": IDS, "min_area": 0}
    made = device_postprocess.majority_vote(
        labels, once, jnp.ones((1, 4), int), **options
    )
    assert made.tolist() == [[[[2, 1], [2, 1], [0, 0], [0, 0]]]]
    # What is shown twice counts twice.
    shown = jnp.array([[2, 1, 1, 2]])
    made = device_postprocess.majority_vote(labels, once, shown, **options)
    assert made.tolist() == [[[[3, 1], [3, 1], [4, 2], [4, 2]]]]
