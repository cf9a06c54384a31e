import subprocess
import sys
import threading

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource

from pix2seq_d.data import evaluation
from pix2seq_d.instance_ids import COCO, IdRule, number

SIZES = dict(image_size=(32, 32), mask_size=(16, 16), max_instances=9)
MIXED = ((16, 24), (40, 20), (32, 32))


@pytest.mark.parametrize(
    ("original", "size", "fitted"),
    [
        ((480, 640), (256, 256), (192, 256)),
        ((333, 500), (512, 512), (341, 512)),  # 340.99 is rounded, not truncated
        ((1024, 2048), (1024, 2048), (1024, 2048)),
        ((20, 10), (30, 60), (30, 15)),
        ((1, 1000), (64, 64), (1, 64)),
    ],
)
def test_fit_size(original, size, fitted):
    assert evaluation.fit_size(original, size) == fitted


@pytest.mark.parametrize("shape", [(48, 64), (37, 91), (20, 13), (32, 32)])
def test_fit_image_agrees_with_tensorflow(shape, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = pytest.importorskip("tensorflow")
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    fitted, (height, width) = evaluation.fit_image(image, (32, 32))
    want = tf.image.resize(image / np.float32(255), (height, width), antialias=True)
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(fitted[:height, :width], want, atol=1e-4)
    np.testing.assert_array_equal(fitted[height:], np.float32(0.3))
    np.testing.assert_array_equal(fitted[:, width:], np.float32(0.3))


def test_fit_image_refuses_other_arrays():
    with pytest.raises(ValueError, match=r"got float32 \(4, 4, 3\)"):
        evaluation.fit_image(np.zeros((4, 4, 3), np.float32), (8, 8))
    with pytest.raises(ValueError, match=r"got uint8 \(4, 4\)"):
        evaluation.fit_image(np.zeros((4, 4), np.uint8), (8, 8))


def test_labels_follow_the_image_and_come_back():
    ids = np.arange(1, 7, dtype=np.int32).reshape(2, 3)
    labels = np.kron(ids, np.ones((8, 8), np.int32))[..., None]  # 16 x 24
    small = evaluation.fit_labels(labels, (48, 48), (24, 24))
    np.testing.assert_array_equal(
        small[:16, :, 0], np.kron(ids, np.ones((8, 8), np.int32))
    )
    assert (small[16:] == 0).all()
    back = evaluation.restore(
        small, image_size=(48, 48), unpadded=(32, 48), original=(16, 24)
    )
    np.testing.assert_array_equal(back, labels)


def test_batches_cover_the_source_in_order_with_a_padded_end():
    source = TinySource(7, sizes=MIXED)
    batches = list(evaluation.eval_batches(source, **SIZES, batch_size=3))
    assert len(batches) == 3
    for batch in batches:
        assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
            "image": ((3, 32, 32, 3), np.float32),
            "labels": ((3, 16, 16, 2), np.int32),
            "weight": ((3,), np.float32),
            "index": ((3,), np.int32),
            "unpadded": ((3, 2), np.int32),
            "original": ((3, 2), np.int32),
        }
    whole = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    np.testing.assert_array_equal(whole["index"], [*range(7), -1, -1])
    np.testing.assert_array_equal(whole["weight"], [1] * 7 + [0] * 2)
    assert (whole["labels"][7:] == 0).all()
    assert (whole["image"][7:] == np.float32(0.3)).all()
    for index in range(7):
        example = source[index]
        image, unpadded = evaluation.fit_image(example.image, (32, 32))
        np.testing.assert_array_equal(whole["image"][index], image)
        np.testing.assert_array_equal(whole["unpadded"][index], unpadded)
        np.testing.assert_array_equal(whole["original"][index], example.image.shape[:2])
        numbering = number([example.panoptic], LABEL_SPACE, max_instances=9)
        truth = numbering.labels(example.panoptic.ids)
        np.testing.assert_array_equal(
            whole["labels"][index],
            evaluation.fit_labels(truth, (32, 32), (16, 16)),
        )
    assert whole["labels"].max() > 0


def indices_of(**options):
    batches = evaluation.eval_batches(TinySource(6), **SIZES, batch_size=2, **options)
    return np.concatenate([b["index"] for b in batches]).tolist()


def test_indices_select():
    assert indices_of() == [0, 1, 2, 3, 4, 5]
    assert indices_of(indices=[5, 1, 3]) == [5, 1, 3, -1]
    assert indices_of(indices=[-1, 4, -1, -1]) == [-1, 4, -1, -1]


@pytest.mark.parametrize("total", [0, 1, 7, 8, 17])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_are_of_one_length_and_hold_every_image_once(total, count):
    shares = [
        evaluation.share(total, batch_size=8, process_index=p, process_count=count)
        for p in range(count)
    ]
    assert len({len(share) for share in shares}) == 1
    held = sorted(index for share in shares for index in share if index >= 0)
    assert held == list(range(total))
    # Global batches are those of one process, whoever reads them.
    whole = np.reshape(shares, (count, -1, 8 // count)).transpose(1, 0, 2).ravel()
    alone = evaluation.share(total, batch_size=8, process_index=0, process_count=1)
    np.testing.assert_array_equal(whole, alone)
    np.testing.assert_array_equal(whole[:total], range(total))


def test_a_batch_that_the_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match="does not divide over 3 process"):
        evaluation.share(9, batch_size=8, process_index=0, process_count=3)


def test_stuff_can_go_without_instance_ids():
    for rule in (COCO, IdRule(stuff=False)):
        (batch,) = evaluation.eval_batches(
            TinySource(6), **SIZES, batch_size=6, rule=rule
        )
        semantic, instance = batch["labels"][..., 0], batch["labels"][..., 1]
        assert (semantic == 3).any()
        assert (instance[semantic == 3] > 0).all() == rule.stuff


def test_worker_count_changes_nothing():
    source = TinySource(9, sizes=MIXED)
    runs = [
        list(
            evaluation.eval_batches(source, **SIZES, batch_size=2, num_workers=workers)
        )
        for workers in (1, 5)
    ]
    for one, other in zip(*runs, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_plain_images_are_read_lazily_and_padded():
    asked = []

    def images():
        for k in range(50):
            asked.append(k)
            yield k, np.full((10, 20, 3), k, np.uint8)

    batches = evaluation.image_batches(images(), image_size=(8, 8), batch_size=4)
    first = next(batches)
    assert len(asked) < 20  # not the whole video
    assert "labels" not in first
    np.testing.assert_array_equal(first["index"], [0, 1, 2, 3])
    np.testing.assert_array_equal(first["unpadded"], [[4, 8]] * 4)
    np.testing.assert_allclose(first["image"][2, :4], 2 / 255, atol=1e-6)
    rest = list(batches)
    assert len(rest) == 12
    np.testing.assert_array_equal(rest[-1]["weight"], [1, 1, 0, 0])


def test_errors_are_forwarded_and_threads_end():
    before = threading.active_count()
    batches = evaluation.eval_batches(TinySource(9, broken=4), **SIZES, batch_size=2)
    assert next(batches)["index"].tolist() == [0, 1]
    assert next(batches)["index"].tolist() == [2, 3]
    with pytest.raises(ValueError, match=r"^004\.png: truncated file"):
        next(batches)
    assert threading.active_count() == before
    batches = evaluation.eval_batches(TinySource(90), **SIZES, batch_size=2)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_an_unclosed_pass_ends_with_its_script_and_needs_no_tensorflow():
    script = (
        "import sys; from tiny_source import TinySource\n"
        "from pix2seq_d.data import evaluation\n"
        "b = evaluation.eval_batches(TinySource(9), image_size=(16, 24),"
        " mask_size=(8, 12), max_instances=9, batch_size=2)\n"
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
