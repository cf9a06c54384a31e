"""What the device resizes is what the other loaders make."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from tiny_source import TinySource

from pix2seq_d.config import Config
from pix2seq_d.data import device_pipeline, in_memory, pipeline, sources
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.clips import Clips
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.sharding import mesh as meshes

SIZES = dict(image_size=(16, 24), mask_size=(8, 12), max_instances=9)
MIXED = ((16, 24), (40, 20), (8, 12))
LARGEST = (40, 24)
FULL = Augmentation((0.7, 2.0), color_jitter=1.0)
PLAIN = Augmentation((0.7, 2.0))


def one_device():
    return meshes.make_mesh(jax.devices()[:1])


def take(make, n, source, **options):
    batches = make.train_batches(
        source, **{**SIZES, "batch_size": 4, "seed": 2, **options}
    )
    taken = list(itertools.islice(batches, n))
    batches.close()
    return jax.tree.map(np.asarray, taken)


def assert_equal(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert one[key].dtype == other[key].dtype
            np.testing.assert_array_equal(one[key], other[key])


def test_batches_equal_those_of_the_memory_loader_to_the_last_bit():
    source = TinySource(5, sizes=MIXED)
    options = dict(augmentation=FULL, mesh=one_device())
    made = take(device_pipeline, 6, source, decoded_size=LARGEST, **options)
    assert_equal(made, take(in_memory, 6, source, **options))


def test_clips_are_equal_too():
    clips = Clips(ShapesVideo("train", size=(24, 32), num_videos=1), (-2, -1))
    options = dict(num_past=2, augmentation=PLAIN, batch_size=2, mesh=one_device())
    made = take(device_pipeline, 2, clips, decoded_size=(24, 32), **options)
    assert made[0]["past"].shape == (2, 8, 12, 4) and made[0]["past"].any()
    assert_equal(made, take(in_memory, 2, clips, **options))


@pytest.mark.parametrize("num_past", [0, 2])
def test_larger_images_are_resized_by_the_host_to_whole_levels(num_past):
    source = TinySource(5, sizes=((40, 20), (16, 24)))
    if num_past:
        source = Clips(ShapesVideo("train", size=(24, 32), num_videos=1), (-2, -1))
    options = dict(augmentation=PLAIN, num_past=num_past)
    made = take(
        device_pipeline, 3, source, decoded_size=(1, 1), mesh=one_device(), **options
    )
    rounded = 0
    for ours, theirs in zip(made, take(pipeline, 3, source, **options), strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"image"}:
            np.testing.assert_array_equal(ours[key], theirs[key])
        # The host's levels are rounded and, where a cubic overshoots, clipped.
        expected = theirs["image"].clip(0, 1) if num_past else theirs["image"]
        distance = np.abs(ours["image"].clip(0, 1) - expected).max((1, 2, 3))
        assert distance.max() <= 0.5 / 255 + 2e-5
        rounded += (distance > 0.4 / 255).sum()
    assert rounded >= 3


def test_a_batch_is_split_over_the_mesh_and_the_same_on_any():
    source = TinySource(7, sizes=MIXED)
    options = dict(augmentation=FULL, batch_size=8, decoded_size=LARGEST)
    made = [
        take(device_pipeline, 2, source, mesh=mesh, **options)
        for mesh in (one_device(), meshes.make_mesh(fsdp=2))
    ]
    assert_equal(*made)


def test_the_config_chooses_where_images_are_resized():
    config = Config()
    model = dataclasses.replace(
        config.model, image_size=(32, 32), mask_size=(16, 16), max_instances=9
    )
    train = dataclasses.replace(config.train, batch_size=4)
    source, made = TinySource(5, sizes=MIXED), {}
    for resize in ("host", "device"):
        data = dataclasses.replace(
            config.data, loader="tf", resize=resize, decoded_size=LARGEST
        )
        chosen = dataclasses.replace(config, model=model, train=train, data=data)
        batches = sources.train_batches(source, chosen, mesh=one_device())
        made[resize] = np.asarray(next(batches)["image"])
        batches.close()
    np.testing.assert_allclose(made["device"], made["host"], atol=2e-5)
    assert (made["device"] != made["host"]).any()  # other ops round otherwise


def test_errors_of_the_source_arrive_as_raised():
    batches = device_pipeline.train_batches(
        TinySource(4, broken=2),
        **SIZES,
        decoded_size=LARGEST,
        mesh=one_device(),
        batch_size=4,
        seed=2,
    )
    with pytest.raises(ValueError, match=r"^002\.png: truncated file"):
        next(batches)
