import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource, same_partition

from pix2seq_d import panoptic
from pix2seq_d.data import in_memory, order, prefetch

SIZES = dict(image_size=(16, 24), mask_size=(8, 12), max_instances=9)


def take(source, n, **options):
    options = {**SIZES, "batch_size": 4, "seed": 2, **options}
    batches = in_memory.train_batches(source, **options)
    taken = list(itertools.islice(batches, n))
    batches.close()
    return taken


def assert_equal(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys() == {"image", "labels"}
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_batches_hold_the_examples_of_the_global_order():
    source = TinySource(10)
    batches = take(source, 5, flip=0.0)
    _, indices = order.locate(np.arange(20), num_examples=10, seed=2)
    images = np.concatenate([b["image"] for b in batches])
    labels = np.concatenate([b["labels"] for b in batches])
    assert images.shape == (20, 16, 24, 3) and images.dtype == np.uint8
    assert labels.shape == (20, 8, 12, 2) and labels.dtype == np.int32
    assert labels[..., 1].min() == 0 and labels[..., 1].max() < 9
    for row, index in enumerate(indices):
        example = source[int(index)]
        np.testing.assert_array_equal(images[row], example.image)
        truth = panoptic.to_channels(example.panoptic, LABEL_SPACE, max_instances=9)
        truth = panoptic.resize_nearest(truth, (8, 12))
        np.testing.assert_array_equal(labels[row, ..., 0], truth[..., 0])
        assert same_partition(labels[row, ..., 1], truth[..., 1])


def test_ids_are_randomised_per_epoch():
    batches = take(TinySource(4), 6, flip=0.0)
    _, indices = order.locate(np.arange(24), num_examples=4, seed=2)
    labels = np.concatenate([b["labels"] for b in batches])
    of_first = [labels[row, ..., 1] for row in np.flatnonzero(indices == 0)]
    assert len(of_first) == 6
    assert len({x.tobytes() for x in of_first}) > 1
    assert all(same_partition(of_first[0], x) for x in of_first)


def test_flip_moves_image_and_labels_together():
    plain = take(TinySource(4), 1, flip=0.0, mask_size=(16, 24))[0]
    flipped = take(TinySource(4), 1, flip=1.0, mask_size=(16, 24))[0]
    np.testing.assert_array_equal(flipped["image"], plain["image"][:, :, ::-1])
    np.testing.assert_array_equal(flipped["labels"], plain["labels"][:, :, ::-1])
    half = np.concatenate([b["image"] for b in take(TinySource(4), 10)])
    flips = sum(int(len(set(x[0, -1])) == 1) for x in half)  # marked corner moved
    assert 5 <= flips <= 35


def test_flipped_masks_sample_the_same_pixels_as_unflipped_ones():
    labels = np.zeros((2, 4, 2), np.uint8)
    labels[..., 0] = [1, 2, 3, 4]
    small = in_memory.augment(
        np.zeros((2, 4, 3), np.uint8),
        labels,
        seed=np.zeros(2, np.uint32),
        mask_size=(1, 2),
        max_instances=2,
        flip=1.0,
    )[1]
    # Halving takes columns 1, 3 of what it is given: here of [4, 3, 2, 1].
    np.testing.assert_array_equal(small[0, :, 0], [3, 1])


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


def test_each_example_is_read_once_within_the_budget():
    source = TinySource(4)
    kept = take(source, 8)
    assert sorted(source.reads) == [0, 1, 2, 3]
    one_example = 16 * 24 * 5
    half = TinySource(4)
    assert_equal(take(half, 8, cache_bytes=2 * one_example), kept)
    assert len(half.reads) > 8
    assert len({i for i in range(4) if half.reads.count(i) == 1}) == 2


def test_wrong_size_names_file_sizes_and_cure():
    source = TinySource(4, sizes=((16, 24), (16, 16)))
    with pytest.raises(ValueError, match=r"00[13]\.png: the image is 16x16, .* 16x24"):
        take(source, 2)


def test_errors_of_the_source_reach_the_caller_after_the_good_batches():
    _, indices = order.locate(np.arange(8), num_examples=8, seed=2)
    source = TinySource(8, broken=int(indices[5]))
    batches = in_memory.train_batches(source, **SIZES, batch_size=4, seed=2)
    next(batches)
    with pytest.raises(ValueError, match=r"^\d{3}\.png: truncated file"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_stuff_can_go_without_instance_ids():
    for stuff_ids in (True, False):
        labels = take(TinySource(8), 2, stuff_ids=stuff_ids)[0]["labels"]
        semantic, instance = labels[..., 0], labels[..., 1]
        assert (semantic == 3).any()  # grass
        assert (instance[semantic == 3] > 0).all() == stuff_ids
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
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
