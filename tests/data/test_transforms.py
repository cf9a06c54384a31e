import colorsys

import numpy as np
import pytest
from tiny_source import same_partition

from pix2seq_d import panoptic
from pix2seq_d.data import evaluation, transforms

import tensorflow as tf  # isort: skip - transforms quietens it


def make_seed(k):
    return tf.constant([k, 7], tf.int32)


def coordinates(height, width):
    """An example whose labels are (row, column) and whose image is random."""
    rows, cols = np.indices((height, width), np.int32)
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    return {
        "image": tf.constant(image),
        "labels": tf.constant(np.stack([rows, cols], -1)),
    }


@pytest.mark.parametrize("shape", [(48, 64), (37, 91), (20, 13)])
def test_scale_one_fits_the_image_like_evaluation_but_truncated(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    example = coordinates(*shape) | {"image": tf.constant(image / np.float32(255))}
    out = transforms.scale_jitter(
        example, seed=make_seed(0), image_size=(32, 32), scale_range=(1.0, 1.0)
    )
    size = tuple(int(n * min(32 / shape[0], 32 / shape[1]) + 1e-6) for n in shape)
    assert tuple(out["image"].shape) == (*size, 3)
    np.testing.assert_array_equal(
        out["labels"], panoptic.resize_nearest(example["labels"].numpy(), size)
    )
    fitted, rounded = evaluation.fit_image(image, (32, 32))
    if rounded == size:
        np.testing.assert_allclose(
            out["image"], fitted[: size[0], : size[1]], atol=1e-4
        )


def test_an_exact_fit_is_never_one_pixel_short():
    for width in range(33, 120):
        out = transforms.scale_jitter(
            {
                "image": tf.zeros((4, width, 3)),
                "labels": tf.zeros((4, width, 2), tf.int32),
            },
            seed=make_seed(0),
            image_size=(32, 32),
            scale_range=(1.0, 1.0),
        )
        assert out["image"].shape[1] == 32


def test_scale_jitter_covers_its_range():
    widths = [
        transforms.scale_jitter(
            coordinates(16, 32),
            seed=make_seed(k),
            image_size=(64, 64),
            scale_range=(0.5, 2.0),
        )["image"].shape[1]
        for k in range(60)
    ]
    assert 32 <= min(widths) < 45 and 115 < max(widths) <= 128


def test_crop_moves_both_axes_by_one_random_number():
    offsets = set()
    for k in range(40):
        example = coordinates(20, 30)
        out = transforms.crop(example, seed=make_seed(k), image_size=(16, 10))
        assert tuple(out["labels"].shape) == (16, 10, 2)
        row, col = out["labels"].numpy()[0, 0].tolist()
        np.testing.assert_array_equal(
            out["image"], example["image"][row : row + 16, col : col + 10]
        )
        assert row == (col * 4) // 20 or row == ((col + 1) * 4 - 1) // 20
        offsets.add((row, col))
    assert len(offsets) > 8
    assert {row for row, _ in offsets} == {0, 1, 2, 3}


def test_crop_leaves_small_axes_alone():
    out = transforms.crop(coordinates(8, 30), seed=make_seed(3), image_size=(16, 10))
    assert tuple(out["image"].shape) == (8, 10, 3)


def test_flip_moves_image_and_labels_together():
    example = coordinates(4, 6)
    flips = 0
    for k in range(40):
        out = transforms.flip_horizontally(example, seed=make_seed(k), probability=0.5)
        flipped = bool(out["labels"][0, 0, 1] == 5)
        flips += flipped
        step = -1 if flipped else 1
        for key in example:
            np.testing.assert_array_equal(out[key], example[key][:, ::step])
    assert 8 < flips < 32


def jittered(image, *, strength, n):
    """Images after `n` jitters, without those turned grey."""
    example = {"image": tf.constant(image, tf.float32), "labels": tf.constant(0)}
    jitter = tf.function(transforms.jitter_colors)
    outs = [
        jitter(example, seed=make_seed(k), strength=strength)["image"].numpy()
        for k in range(n)
    ]
    return np.stack(outs)


def test_brightness_and_contrast_factors_span_their_range():
    # On a grey image saturation and hue do nothing.
    image = np.full((2, 2, 3), 0.4)
    image[0] = 0.5
    out = jittered(image, strength=0.5, n=150)
    brightness = out.mean((1, 2, 3)) / 0.45
    contrast = (out[:, 0, 0, 0] - out[:, 1, 0, 0]) / out.mean((1, 2, 3)) * 4.5
    for factor in (brightness, contrast):
        assert 0.6 - 1e-3 <= factor.min() < 0.7 and 1.3 < factor.max() <= 1.4 + 1e-3


def test_saturation_and_hue_span_their_range():
    # On a constant image contrast does nothing, brightness not to H and S.
    image = np.broadcast_to(np.array([0.5, 0.3, 0.4]), (1, 1, 3))
    hue, saturation, _ = colorsys.rgb_to_hsv(0.5, 0.3, 0.4)
    out = jittered(image, strength=0.5, n=150)[:, 0, 0]
    colored = out[np.ptp(out, -1) > 1e-3]
    hsv = np.array([colorsys.rgb_to_hsv(*x) for x in colored.tolist()])
    shift = (hsv[:, 0] - hue + 0.5) % 1 - 0.5
    assert -0.1 - 1e-3 <= shift.min() < -0.07 and 0.07 < shift.max() <= 0.1 + 1e-3
    factor = hsv[:, 1] / saturation
    assert 0.6 - 1e-3 <= factor.min() < 0.7 and 1.3 < factor.max() <= 1.4 + 1e-3


def test_jitter_and_grey_have_their_probabilities_and_stay_in_range():
    image = np.random.default_rng(0).random((3, 3, 3), np.float32)
    out = jittered(image, strength=1.0, n=200)
    assert out.min() >= 0.0 and out.max() <= 1.0
    grey = (np.ptp(out, -1) < 1e-6).all((1, 2))
    assert 20 < grey.sum() < 60  # p 0.2
    same = (np.abs(out - image) < 1e-6).all((1, 2, 3))
    assert 16 < same.sum() < 50  # p 0.2 * 0.8


def test_pad_values():
    out = transforms.pad(coordinates(3, 5), image_size=(4, 8))
    assert tuple(out["image"].shape) == (4, 8, 3)
    for key, value in (("image", np.float32(0.3)), ("labels", 0)):
        np.testing.assert_array_equal(out[key][3:], np.full_like(out[key][3:], value))
        right = out[key][:, 5:]
        np.testing.assert_array_equal(right, np.full_like(right, value))
    np.testing.assert_array_equal(out["labels"][:3, :5], coordinates(3, 5)["labels"])


@pytest.mark.parametrize("size", [(8, 12), (32, 48), (5, 7)])
def test_labels_are_resized_as_numpy_does_it(size):
    example = coordinates(16, 24)
    out = transforms.resize_labels(example, mask_size=size)
    np.testing.assert_array_equal(
        out["labels"], panoptic.resize_nearest(example["labels"].numpy(), size)
    )
    if size == (8, 12):
        np.testing.assert_array_equal(out["labels"][:, 0, 0], range(1, 16, 2))


def test_ids_are_permuted_over_the_whole_range():
    instance = np.arange(12, dtype=np.int32).reshape(3, 4) % 5
    labels = tf.constant(np.stack([instance + 1, instance], -1))
    seen = set()
    for k in range(40):
        out = transforms.randomise_ids(
            {"image": tf.zeros((3, 4, 3)), "labels": labels},
            seed=make_seed(k),
            max_instances=9,
        )["labels"].numpy()
        np.testing.assert_array_equal(out[..., 0], instance + 1)
        assert same_partition(out[..., 1], instance)
        seen |= set(out[..., 1].ravel().tolist())
    assert seen == set(range(9))


def test_the_whole_chain_is_a_pure_function_of_its_seed():
    def run(k):
        instance = tf.reshape(tf.range(40 * 56) % 9, (40, 56))
        example = coordinates(40, 56) | {"labels": tf.stack([instance] * 2, -1)}
        out = transforms.train_example(
            example,
            seed=make_seed(k),
            image_size=(32, 24),
            mask_size=(16, 12),
            max_instances=9,
            scale_range=(0.8, 2.0),
            color_strength=1.0,
            flip=0.5,
        )
        return out["image"].numpy(), out["labels"].numpy()

    first, again, other = run(1), run(1), run(2)
    assert first[0].shape == (32, 24, 3) and first[1].shape == (16, 12, 2)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
