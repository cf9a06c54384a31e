"""Transforms: TensorFlow's own ops, and the same in JAX on the device."""

import functools

import jax
import numpy as np
import pytest
from tiny_source import same_partition

from pix2seq_d.data import augment, device_transforms, evaluation, transforms
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.reading import Arrays
from pix2seq_d.instance_ids import Numbering

import tensorflow as tf  # isort: skip - transforms quietens it

SIZES = dict(image_size=(32, 24), mask_size=(16, 12))
IMAGE_SIZE = dict(image_size=(32, 24))
EVERYTHING = Augmentation((0.6, 3.0), color_jitter=1.0)


def make_draw(index, shape, augmentation=EVERYTHING, **options):
    return augment.draw(
        augment.stream(0, 0, index),
        augmentation=augmentation,
        original=shape,
        **{**SIZES, "id_range": 8, "max_instances": 9, **options},
    )


def example(shape, *, num_past=0, seed=0):
    """A smooth image with noise, and blocks of labels."""
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.indices(shape)
    waves = [np.sin(y / 5 + x / (7 + c)) for c in range(3)]
    image = 128 + 80 * np.stack(waves, -1) + rng.normal(0, 15, (*shape, 3))
    labels = rng.integers(0, 9, (height // 4 + 1, width // 4 + 1, 2 * num_past + 2))
    labels = labels.repeat(4, 0).repeat(4, 1)[:height, :width]
    return image.clip(0, 255).astype(np.uint8), labels.astype(np.int32)


def by_tensorflow(image, draw, *, image_size=(32, 24), **options):
    made = np.full((*image_size, 3), np.nan, np.float32)
    options = {"colors": True, **options}
    transforms.train_image(image, draw.image, out=made, **options)
    return made


def by_numpy(labels, draw):
    """Of labels whose (semantic, instance) are numbered as they are."""
    pairs = labels.reshape(*labels.shape[:2], -1, 2)
    names = 100 * pairs[..., 0] + pairs[..., 1]
    ids = np.unique(np.append(names, 0))
    numbers = np.stack([ids // 100, ids % 100], -1).astype(np.int32)
    return Arrays(labels, names, Numbering(ids, numbers, 0, 0)).masks(draw.labels)


def on_device(image, labels, draw, *, room=(0, 0), **options):
    """As a row of a table whose largest image is larger by `room`."""
    pad = [(0, room[0]), (0, room[1]), (0, 0)]
    options = {**IMAGE_SIZE, "colors": True, "resizes": True, **options}
    made = jax.jit(functools.partial(device_transforms.train_image, **options))(
        np.pad(image, pad, constant_values=77),
        draw.image,
        original=np.array(image.shape[:2], np.int32),
    )
    padded = np.pad(labels, pad, constant_values=5).astype(np.uint8)
    masks = jax.jit(device_transforms.masks)(padded, draw.labels)
    return np.asarray(made), np.asarray(masks)


def chain(image, draw, image_size, method="bilinear"):
    """Steps 2 to 4 and 6 with TensorFlow's own ops, one after another."""
    x = tf.image.resize(image, draw.image.size, method=method, antialias=True) / 255
    y, left = draw.image.offset
    x = x[y : y + image_size[0], left : left + image_size[1]]
    x = tf.reverse(x, [1]) if draw.image.flip else x
    missing = [n - m for n, m in zip(image_size, x.shape[:2], strict=True)]
    return tf.pad(x, [[0, missing[0]], [0, missing[1]], [0, 0]], constant_values=0.3)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(48, 64), (33, 91), (20, 13), (4, 200), (60, 1)])
def test_images_go_the_way_of_tensorflows_own_ops(shape, method):
    image = example(shape)[0]
    for index in range(12):
        draw = make_draw(index, shape, Augmentation((0.6, 3.0)))
        made = by_tensorflow(image, draw, colors=False, method=method)
        # A position differs in its last bit: that times the steepest edge.
        np.testing.assert_allclose(
            made, chain(image, draw, (32, 24), method), atol=5e-5
        )


@pytest.mark.parametrize("shape", [(48, 64), (37, 91), (20, 13)])
def test_scale_one_fits_the_image_like_evaluation_but_truncated(shape):
    image, _ = example(shape)
    fitted, rounded = evaluation.fit_image(image, (32, 32))
    size = augment.scaled_size(shape, (32, 32), 1.0)
    assert (np.abs(size - rounded) <= 1).all()
    if rounded == tuple(size.tolist()):
        sizes = dict(image_size=(32, 32))
        draw = make_draw(0, shape, Augmentation(flip=0.0), **sizes)
        made = by_tensorflow(image, draw, colors=False, **sizes)
        np.testing.assert_allclose(made, fitted, atol=5e-6)


@pytest.mark.parametrize("shape", [(48, 64), (33, 91), (20, 13), (4, 200), (60, 1)])
def test_the_device_makes_what_tensorflow_makes(shape):
    image, labels = example(shape)
    flips = colors = grey = padded = cropped = 0
    for index in range(12):
        draw = make_draw(index, shape)
        found = on_device(image, labels, draw, room=(3, 5))
        assert found[0].dtype == np.float32 and found[1].dtype == np.int32
        np.testing.assert_allclose(found[0], by_tensorflow(image, draw), atol=2e-5)
        np.testing.assert_array_equal(found[1], by_numpy(labels, draw))
        flips += bool(draw.image.flip)
        colors += bool(draw.image.jitter)
        grey += bool(draw.image.grey)
        padded += bool((draw.image.size < SIZES["image_size"]).any())
        cropped += bool((draw.image.size > SIZES["image_size"]).any())
    assert 0 < flips < 12 and 0 < colors < 12 and 0 < grey < 12  # all paths taken
    assert padded and (cropped or shape in ((4, 200), (60, 1)))


def test_clips_are_resized_with_a_cubic_and_lose_past_frames():
    image, labels = example((48, 40), num_past=2)
    dropped = 0
    augmentation = Augmentation((1.0, 2.0), frame_dropout=0.5)
    for index in range(12):
        draw = make_draw(index, (48, 40), augmentation, num_past=2)
        options = dict(colors=False, method="bicubic")
        expected = by_tensorflow(image, draw, **options)
        found = on_device(image, labels, draw, **options)
        np.testing.assert_allclose(found[0], expected, atol=2e-5)
        np.testing.assert_array_equal(found[1], by_numpy(labels, draw))
        frames = np.split(found[1], 3, axis=-1)
        assert frames[2].any()
        for frame, keep in zip(frames, draw.labels.keep, strict=False):
            assert frame.any() == keep
            dropped += not keep
    assert 6 < dropped < 18


def test_all_frames_of_a_clip_get_the_same_new_ids():
    labels = example((32, 24), num_past=2)[1]
    labels[..., 2:4] = labels[..., 4:6]
    augmentation = Augmentation(frame_dropout=0.0)
    draw = make_draw(3, (32, 24), augmentation, num_past=2, mask_size=(32, 24))
    made = by_numpy(labels, draw)
    np.testing.assert_array_equal(made[..., 2:4], made[..., 4:6])
    step = -1 if draw.image.flip else 1
    assert same_partition(made[..., 3], labels[:, ::step, 3])


def test_images_of_the_networks_size_are_only_flipped_bit_for_bit():
    image, labels = example((32, 24))
    for index in range(6):
        draw = make_draw(index, (32, 24), Augmentation())
        step = -1 if draw.image.flip else 1
        made = on_device(image, labels, draw, resizes=False, colors=False)
        assert made[0].dtype == np.uint8
        np.testing.assert_array_equal(made[0], image[:, ::step])
        expected = by_tensorflow(image, draw, colors=False)
        np.testing.assert_allclose(made[0] / 255, expected, atol=1e-6)
        np.testing.assert_array_equal(made[1], by_numpy(labels, draw))
        colored = on_device(image, labels, draw, resizes=False, colors=True)
        np.testing.assert_allclose(colored[0], expected, atol=1e-6)


def test_flipped_masks_sample_the_same_pixels_as_unflipped_ones():
    """Halving takes columns 1, 3 of what it is given: here of [4, 3, 2, 1]."""
    labels = np.zeros((2, 4, 2), np.int32)
    labels[..., 0] = [1, 2, 3, 4]
    sizes = dict(image_size=(2, 4), mask_size=(1, 2))
    draw = make_draw(0, (2, 4), Augmentation(flip=1.0), **sizes)
    np.testing.assert_array_equal(by_numpy(labels, draw)[0, :, 0], [3, 1])
    small = device_transforms.masks(labels, draw.labels)
    np.testing.assert_array_equal(small[0, :, 0], [3, 1])


def test_pad_values():
    image, labels = example((16, 24))
    draw = make_draw(0, (16, 24), Augmentation(flip=0.0), mask_size=(32, 24))
    made = by_tensorflow(image, draw, colors=False)
    np.testing.assert_array_equal(made[16:], np.full((16, 24, 3), np.float32(0.3)))
    masks = by_numpy(labels, draw)
    assert not masks[16:].any() and masks[:16].any()


@pytest.mark.parametrize("shape", [(48, 64), (33, 91), (20, 13)])
def test_labels_go_the_way_of_tensorflows_own_ops(shape):
    """Resize, crop, flip, pad, resize; but for exact ties, which float32 misses."""
    labels = example(shape)[1]
    names = np.stack(np.indices(shape, np.int32), -1)
    for index in range(25):
        draw = make_draw(index, shape, id_range=0)
        x = tf.image.resize(names, draw.image.size, method="nearest")
        y, left = draw.image.offset
        x = x[y : y + 32, left : left + 24]
        x = tf.reverse(x, [1]) if draw.image.flip else x
        missing = [[0, 32 - x.shape[0]], [0, 24 - x.shape[1]], [0, 0]]
        x = tf.pad(x, missing, constant_values=-1)
        theirs = tf.image.resize(x, (16, 12), method="nearest").numpy()
        ours = np.stack(
            np.meshgrid(draw.labels.rows, draw.labels.cols, indexing="ij"), -1
        )
        padding = (ours < 0).any(-1)
        ours[padding] = -1
        np.testing.assert_array_equal((theirs < 0).any(-1), padding)
        assert set(np.unique(ours - theirs)) <= {0, 1}
        made = by_numpy(labels, draw)
        found = labels[ours[..., 0], ours[..., 1]] * ~padding[..., None]
        np.testing.assert_array_equal(made, found)


def test_one_colour_change_at_a_time_against_its_definition():
    image = example((12, 9))[0].astype(np.float32) / 255
    plain = make_draw(0, (12, 9)).image._replace(
        jitter=np.array(True), grey=np.array(False), factors=np.float32([1, 1, 1, 0])
    )

    def jittered(*factors):
        draw = plain._replace(factors=np.float32(factors))
        return transforms.jitter_colors(tf.constant(image), draw).numpy()

    np.testing.assert_allclose(jittered(1, 1, 1, 0), image, atol=1e-6)
    bright = np.clip(image * 1.4, 0, 1)
    np.testing.assert_allclose(jittered(1.4, 1, 1, 0), bright, atol=1e-5)
    mean = image.mean((0, 1))
    contrast = np.clip((image - mean) * 0.5 + mean, 0, 1)
    np.testing.assert_allclose(jittered(1, 0.5, 1, 0), contrast, atol=1e-5)
    value = image.max(-1, keepdims=True)
    paler = value - (value - image) * 0.5
    np.testing.assert_allclose(jittered(1, 1, 0.5, 0), paler, atol=1e-5)
    # A third of the circle turns red into green.
    turned = np.roll(image, 1, -1)
    np.testing.assert_allclose(jittered(1, 1, 1, 1 / 3), turned, atol=1e-4)
