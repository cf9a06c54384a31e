import itertools
import subprocess
import sys

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource, same_partition

from pix2seq_d import panoptic
from pix2seq_d.data import order, pipeline
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.instance_ids import COCO, IdRule, number

SIZES = dict(image_size=(32, 32), mask_size=(16, 16), max_instances=9)
MIXED = ((16, 24), (40, 20), (32, 32))
AUGMENT = dict(augmentation=Augmentation((0.8, 1.6), color_jitter=0.5))
PLAIN = Augmentation(flip=0.0)


def take(source, n, **options):
    options = {**SIZES, "batch_size": 4, "seed": 2, **options}
    batches = pipeline.train_batches(source, **options)
    taken = list(itertools.islice(batches, n))
    batches.close()
    return taken


def assert_equal(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys() == {"image", "labels"}
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_unaugmented_batches_hold_the_examples_of_the_global_order():
    source = TinySource(7, sizes=((32, 32),))
    batches = take(source, 4, augmentation=PLAIN)
    _, indices = order.locate(np.arange(16), num_examples=7, seed=2)
    images = np.concatenate([b["image"] for b in batches])
    labels = np.concatenate([b["labels"] for b in batches])
    assert images.shape == (16, 32, 32, 3) and images.dtype == np.float32
    assert labels.shape == (16, 16, 16, 2) and labels.dtype == np.int32
    assert labels[..., 1].max() < 9 and labels[..., 0].max() == 3
    for row, index in enumerate(indices):
        example = source[int(index)]
        np.testing.assert_allclose(images[row], example.image / 255, atol=1e-6)
        truth = number([example.panoptic], LABEL_SPACE, max_instances=9)
        truth = panoptic.resize_nearest(truth.labels(example.panoptic.ids), (16, 16))
        np.testing.assert_array_equal(labels[row, ..., 0], truth[..., 0])
        assert same_partition(labels[row, ..., 1], truth[..., 1])


def test_flip_one_mirrors_every_image():
    source = TinySource(4, sizes=((32, 32),))
    plain, flipped = (
        take(source, 1, augmentation=Augmentation(flip=p))[0] for p in (0.0, 1.0)
    )
    np.testing.assert_array_equal(flipped["image"], plain["image"][:, :, ::-1])


def test_augmentation_changes_from_epoch_to_epoch():
    batches = take(TinySource(4, sizes=MIXED), 2, batch_size=4, **AUGMENT)
    _, indices = order.locate(np.arange(8), num_examples=4, seed=2)
    images = np.concatenate([b["image"] for b in batches])
    for index in range(4):
        first, second = images[indices == index]
        assert (first != second).any()


def test_start_step_and_worker_count_change_nothing():
    source = TinySource(7, sizes=MIXED)
    whole = take(source, 5, num_workers=1, **AUGMENT)
    resumed = take(source, 2, start_step=3, num_workers=5, **AUGMENT)
    assert_equal(whole[3:], resumed)


def test_shares_concatenate_to_the_single_process_batch():
    source = TinySource(7, sizes=MIXED)
    whole = take(source, 3, **AUGMENT)
    shares = [
        take(source, 3, process_index=p, process_count=2, **AUGMENT) for p in range(2)
    ]
    joined = [
        {key: np.concatenate([a[key], b[key]]) for key in a}
        for a, b in zip(*shares, strict=True)
    ]
    assert_equal(joined, whole)


def test_errors_of_the_source_arrive_as_raised_after_the_good_batches(capfd):
    _, indices = order.locate(np.arange(8), num_examples=8, seed=2)
    source = TinySource(8, sizes=MIXED, broken=int(indices[5]))
    batches = pipeline.train_batches(source, **SIZES, batch_size=4, seed=2)
    next(batches)
    with pytest.raises(ValueError, match=r"^\d{3}\.png: truncated file; fetch it"):
        next(batches)
    assert capfd.readouterr().err == ""


def test_stuff_can_go_without_instance_ids():
    for rule in (COCO, IdRule(stuff=False)):
        labels = take(TinySource(8, sizes=((32, 32),)), 2, rule=rule)[0]["labels"]
        semantic, instance = labels[..., 0], labels[..., 1]
        assert (semantic == 3).any()  # grass
        assert (instance[semantic == 3] > 0).all() == rule.stuff
        assert (instance[(semantic == 1) | (semantic == 2)] > 0).all()


def test_bad_arguments_fail_at_the_call():
    with pytest.raises(ValueError, match="does not divide"):
        pipeline.train_batches(
            TinySource(4), **SIZES, batch_size=3, seed=0, process_count=2
        )
    with pytest.raises(ValueError, match="source is empty"):
        pipeline.train_batches(TinySource(0), **SIZES, batch_size=3, seed=0)


def test_a_script_is_quiet_sees_no_gpu_and_may_forget_to_close():
    script = (
        "from tiny_source import TinySource\n"
        "from pix2seq_d.data import pipeline\n"
        "b = pipeline.train_batches(TinySource(4), image_size=(16, 24),"
        " mask_size=(8, 12), max_instances=9, batch_size=2, seed=0)\n"
        "next(b)\n"
        "print(pipeline.transforms.tf.config.get_visible_devices('GPU'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=__file__.rsplit("/", 1)[0],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
