"""Frames in folders as KITTI-STEP has them, and one line for what is broken."""

import pickle

import numpy as np
import pytest
from label_files import refused, save_png
from volumes import arguments

from pix2seq_d.evaluation import stq, vpq
from pix2seq_d.evaluation.readers.step_sequences import StepSequences

STEP = {"num_classes": 19, "things": (11, 13), "ignore_label": 255}
MAPS = {
    "0002": np.array([[[0, 0], [11, 255]], [[0, 11], [11, 11]]]),
    "0006": np.array([[[13, 13], [13, 8]]]),
}
NUMBERS = {
    "0002": np.array([[[0, 0], [300, 0]], [[0, 0], [7, 300]]]),
    "0006": np.array([[[1, 1], [2, 0]]]),
}


@pytest.fixture
def step(tmp_path):
    for side in ("gt", "pred"):
        for name, classes in MAPS.items():
            for t, (semantic, number) in enumerate(
                zip(classes, NUMBERS[name], strict=True)
            ):
                rgb = np.stack([semantic, number // 256, number % 256], -1)
                save_png(tmp_path / side / name / f"{t:06d}.png", rgb.astype("u1"))
    return tmp_path


def read_step(root, **options):
    return StepSequences(root / "gt", root / "pred", **(STEP | options))


def test_step_labels_are_exact_and_score_one(step):
    reader = pickle.loads(pickle.dumps(read_step(step)))
    assert reader.names == ("0002", "0006")
    assert len(reader) == 2
    for name in reader.names:
        for labels in reader.read(name):
            np.testing.assert_array_equal(labels, MAPS[name] * 65536 + NUMBERS[name])
    kinds = arguments(reader.coding)
    assert kinds == STEP | {"label_divisor": 65536}
    # One pixel of the truth is ignored, and ignore is predicted just there.
    assert stq.evaluate(reader, **kinds)["STQ"] == 1
    assert vpq.evaluate(reader, **kinds, window_sizes=(1, 2))["vpq"] == 1


def test_step_frames_stream_to_both_metrics(step):
    reader = read_step(step)
    quality = stq.SegmentationTrackingQuality(reader.coding)
    video = vpq.VideoPanopticQuality(reader.coding, window_sizes=(1, 2))
    for name in reader.names:
        quality.update_frames(name, reader.frames(name))
        video.update_frames(name, reader.frames(name))
    kinds = arguments(reader.coding)
    assert quality.result() == stq.evaluate(reader, **kinds)
    assert video.result() == vpq.evaluate(reader, **kinds, window_sizes=(1, 2))


def test_step_numbers_need_no_leading_zeros(step):
    for t, name in enumerate(("9", "10")):
        for side in ("gt", "pred"):
            path = step / side / f"0002/{t:06d}.png"
            path.rename(path.with_stem(name))
    truth, _ = read_step(step).read("0002")
    np.testing.assert_array_equal(truth, MAPS["0002"] * 65536 + NUMBERS["0002"])


def test_step_other_predictions_are_ignored(step):
    save_png(step / "pred/0002/000009.png", np.zeros((9, 9), "u1"))
    save_png(step / "pred/0099/000000.png", np.zeros((9, 9), "u1"))
    save_png(step / "gt/0002/._000000.png", np.zeros((9, 9), "u1"))
    (step / "gt/empty").mkdir()
    assert [name for name, _, _ in read_step(step)] == ["0002", "0006"]


def test_step_missing_predictions_are_named_or_void(step):
    (step / "pred/0002/000001.png").unlink()
    (step / "pred/0006/000000.png").unlink()
    message = r"pred: lacks 0002/000001.png, 0006/000000.png \(2 of the 3 pred.*; add"
    refused(FileNotFoundError, message, read_step, step)
    (step / "pred/0006").rmdir()
    refused(FileNotFoundError, message, read_step, step)
    reader = read_step(step, allow_missing=True)
    assert (reader.read("0006")[1] == 255 * 65536).all()
    assert (reader.read("0002")[1][0] == reader.read("0002")[0][0]).all()
    result = stq.evaluate(reader, **arguments(reader.coding))
    assert result["per_sequence"]["0006"]["STQ"] == 0
    assert 0 < result["STQ"] < 1


def test_step_bad_folders_are_named(step):
    (step / "empty").mkdir()
    roots = step / "gt", step / "empty"
    message = "empty: lacks all 3 predictions that .*gt asks for, such as 0002/000000"
    refused(
        FileNotFoundError, message, StepSequences, *roots, **STEP, allow_missing=True
    )
    message = "none: no such folder; check the path"
    refused(FileNotFoundError, message, StepSequences, step / "none", step, **STEP)
    refused(FileNotFoundError, message, StepSequences, step, step / "none", **STEP)
    message = "gt/0002: holds no frames <sequence>/<frame>.png, such as 0002/000000.p"
    refused(FileNotFoundError, message, StepSequences, step / "gt/0002", step, **STEP)


def test_step_bad_files_are_named(step):
    path = step / "pred/0002/000001.png"

    def read():
        return read_step(step).read("0002")

    def score():
        quality = stq.SegmentationTrackingQuality(read_step(step).coding)
        quality.update_frames("0002", read_step(step).frames("0002"))

    save_png(path, np.zeros((2, 2), "u1"))
    refused(ValueError, "pred/0002/000001.png: has mode L; write 8-bit RGB", read)
    path.write_bytes(path.read_bytes()[:20])
    refused(ValueError, "pred/0002/000001.png: cannot be decoded", read)
    save_png(path, np.zeros((3, 2, 3), "u1"))
    where = r"pred/0002/000001.png \(truth .*gt/0002/000001.png\): "
    refused(ValueError, where + r"sizes \(2, 2\), \(3, 2\) \(height, width\)", read)
    message = "the prediction has 2x3 pixels, the truth 2x2"
    refused(ValueError, where + message, score)
    save_png(path, np.full((2, 2, 3), 40, "u1"))
    message = "the prediction holds classes 40, not 0..18 or 255"
    refused(ValueError, where + message, score)
