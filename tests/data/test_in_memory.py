import itertools
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource, same_partition

from pix2seq_d import panoptic
from pix2seq_d.data import in_memory, order, pipeline, prefetch
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.instance_ids import COCO, IdRule, number
from pix2seq_d.sharding import mesh as meshes

PLAIN = Augmentation(flip=0.0)
FULL = Augmentation((0.7, 2.0), color_jitter=1.0)
SIZES = dict(image_size=(16, 24), mask_size=(8, 12), max_instances=9)


def take(source, n, **options):
    options = {**SIZES, "batch_size": 4, "seed": 2, **options}
    batches = in_memory.train_batches(source, **options)
    taken = list(itertools.islice(batches, n))
    batches.close()
    return jax.tree.map(np.asarray, taken)


def assert_equal(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys() == {"image", "labels"}
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_batches_hold_the_examples_of_the_global_order():
    source = TinySource(10)
    batches = take(source, 5, augmentation=PLAIN)
    _, indices = order.locate(np.arange(20), num_examples=10, seed=2)
    images = np.concatenate([b["image"] for b in batches])
    labels = np.concatenate([b["labels"] for b in batches])
    assert images.shape == (20, 16, 24, 3) and images.dtype == np.uint8
    assert labels.shape == (20, 8, 12, 2) and labels.dtype == np.int32
    assert labels[..., 1].min() == 0 and labels[..., 1].max() < 9
    for row, index in enumerate(indices):
        example = source[int(index)]
        np.testing.assert_array_equal(images[row], example.image)
        truth = number([example.panoptic], LABEL_SPACE, max_instances=9)
        truth = panoptic.resize_nearest(truth.labels(example.panoptic.ids), (8, 12))
        np.testing.assert_array_equal(labels[row, ..., 0], truth[..., 0])
        assert same_partition(labels[row, ..., 1], truth[..., 1])


def test_ids_are_randomised_per_epoch():
    batches = take(TinySource(4), 6, augmentation=PLAIN)
    _, indices = order.locate(np.arange(24), num_examples=4, seed=2)
    labels = np.concatenate([b["labels"] for b in batches])
    of_first = [labels[row, ..., 1] for row in np.flatnonzero(indices == 0)]
    assert len(of_first) == 6
    assert len({x.tobytes() for x in of_first}) > 1
    assert all(same_partition(of_first[0], x) for x in of_first)


def test_flip_moves_image_and_labels_together():
    plain, flipped = (
        take(TinySource(4), 1, augmentation=Augmentation(flip=p), mask_size=(16, 24))[0]
        for p in (0.0, 1.0)
    )
    np.testing.assert_array_equal(flipped["image"], plain["image"][:, :, ::-1])
    np.testing.assert_array_equal(flipped["labels"], plain["labels"][:, :, ::-1])
    half = np.concatenate([b["image"] for b in take(TinySource(4), 10)])
    flips = sum(int(len(set(x[0, -1])) == 1) for x in half)  # marked corner moved
    assert 5 <= flips <= 35


def test_start_step_equals_having_run():
    assert_equal(take(TinySource(7), 6)[4:], take(TinySource(7), 2, start_step=4))


def test_shares_concatenate_to_the_single_process_batch():
    whole = take(TinySource(7), 3)
    shares = [
        take(TinySource(7), 3, process_index=p, process_count=2) for p in range(2)
    ]
    joined = [
        {key: np.concatenate([a[key], b[key]]) for key in a}
        for a, b in zip(*shares, strict=True)
    ]
    assert_equal(joined, whole)


def test_each_example_is_read_once_whatever_its_size():
    source = TinySource(5, sizes=((16, 24), (40, 20), (8, 12)))
    batches = take(source, 8, augmentation=FULL)
    assert sorted(source.reads) == [0, 1, 2, 3, 4]
    image = batches[0]["image"]
    assert image.dtype == np.float32 and image.shape == (4, 16, 24, 3)
    assert image.min() >= 0 and image.max() <= 1


def test_batches_equal_those_of_the_tf_pipeline():
    source = TinySource(5, sizes=((16, 24), (40, 20), (8, 12)))
    options = dict(**SIZES, batch_size=4, seed=2, augmentation=FULL)
    theirs = pipeline.train_batches(source, **options)
    for ours in take(source, 4, augmentation=FULL):
        batch = next(theirs)
        np.testing.assert_allclose(ours["image"], batch["image"], atol=2e-5)
        np.testing.assert_array_equal(ours["labels"], batch["labels"])
    theirs.close()


def test_a_batch_is_split_over_the_mesh_and_the_same_on_any():
    source = TinySource(7, sizes=((16, 24), (40, 20)))
    expected = take(source, 3, batch_size=8, augmentation=FULL)
    for count in (2, 8):
        mesh = meshes.make_mesh(jax.devices()[:count])
        options = dict(**SIZES, batch_size=8, seed=2, augmentation=FULL, mesh=mesh)
        batches = in_memory.train_batches(source, **options)
        for batch in expected:
            made = next(batches)
            assert len(made["image"].addressable_shards) == count
            for key in batch:
                np.testing.assert_array_equal(np.asarray(made[key]), batch[key])
        batches.close()


def test_what_does_not_fit_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"takes more than 9.54e-07 GiB.*loader='tf'"):
        take(TinySource(4), 1, max_bytes=1024)


def test_the_limit_is_on_what_is_allocated_and_checked_as_soon_as_it_is_known():
    """A tall and a wide image: 20 kB of pixels, but half a megabyte padded."""
    source = TinySource(50, sizes=((8, 8), (100, 4), (4, 100)))
    padded = 50 * 100 * 100 * 5
    assert take(source, 1, max_bytes=padded)
    source.reads.clear()
    message = r"50 images padded to 100x100 .*, with 002\.png of 100x4 pixels; scale"
    with pytest.raises(ValueError, match=message) as caught:
        take(source, 1, max_bytes=padded - 1, num_workers=1)
    assert "\n" not in str(caught.value)
    assert len(source.reads) < 10


def test_errors_of_the_source_are_raised_at_the_call():
    source = TinySource(8, broken=5)
    with pytest.raises(ValueError, match=r"^005\.png: truncated file"):
        in_memory.train_batches(source, **SIZES, batch_size=4, seed=2)


def test_stuff_can_go_without_instance_ids():
    for rule in (COCO, IdRule(stuff=False)):
        labels = take(TinySource(8), 2, rule=rule)[0]["labels"]
        semantic, instance = labels[..., 0], labels[..., 1]
        assert (semantic == 3).any()  # grass
        assert (instance[semantic == 3] > 0).all() == rule.stuff
        assert (instance[(semantic == 1) | (semantic == 2)] > 0).all()


def test_bad_arguments_fail_at_the_call():
    with pytest.raises(ValueError, match="does not divide"):
        in_memory.train_batches(
            TinySource(4), **SIZES, batch_size=3, seed=0, process_count=2
        )


def loader_threads():
    return [t for t in threading.enumerate() if t.name == "pix2seq_d-prefetch"]


def test_closing_ends_the_thread_also_before_the_first_batch():
    batches = in_memory.train_batches(TinySource(4), **SIZES, batch_size=2, seed=0)
    batches.close()
    assert not loader_threads()
    batches = in_memory.train_batches(TinySource(4), **SIZES, batch_size=2, seed=0)
    next(batches)
    assert len(loader_threads()) == 1
    batches.close()
    assert not loader_threads()


def test_prefetch_runs_ahead_by_its_depth_and_no_further():
    made = []
    two = threading.Event()

    def items():
        for k in range(10):
            made.append(k)
            if k == 2:
                two.set()
            yield k

    ahead = prefetch.prefetch(items(), depth=2)
    assert next(ahead) == 0
    assert two.wait(5)
    assert made == [0, 1, 2]
    assert list(ahead) == list(range(1, 10))


def test_a_script_that_forgets_to_close_still_ends_and_needs_no_tensorflow():
    script = (
        "import sys; from tiny_source import TinySource\n"
        "from pix2seq_d.data import in_memory\n"
        "b = in_memory.train_batches(TinySource(4), image_size=(16, 24),"
        " mask_size=(8, 12), max_instances=9, batch_size=2, seed=0)\n"
        "next(b)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=__file__.rsplit("/", 1)[0],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "False\n",
        "reading image 4/4\n",
    )
