"""Videos in NumPy files, and one line for what is broken."""

import pickle

import numpy as np
import pytest
from label_files import refused
from volumes import CODING, arguments, random_volume, read_fixture

from pix2seq_d.evaluation import stq
from pix2seq_d.evaluation.readers.array_sequences import ArraySequences


def test_arrays_of_the_fixtures(shared):
    folder = shared / "reference/metrics/stq/main"
    coding, _, expected = read_fixture(folder)
    reader = ArraySequences(folder, folder, coding=coding)
    assert set(reader.names) == set(expected["per_sequence"])
    result = stq.evaluate(reader, **arguments(coding))
    assert result["STQ"] == pytest.approx(expected["STQ"], abs=1e-9)


def test_arrays_in_npy_and_npz_are_the_same(tmp_path):
    gt, pred = random_volume(0)
    for side in ("gt", "pred", "both"):
        (tmp_path / side).mkdir()
    np.save(tmp_path / "gt/a.npy", gt)
    np.savez(tmp_path / "pred/a.npz", labels=pred)
    np.savez(tmp_path / "both/a.npz", gt=gt, pred=pred)
    (tmp_path / "both/config.json").write_text("{}")
    for gt_root, pred_root in (("gt", "pred"), ("both", "both"), ("gt", "both")):
        reader = ArraySequences(tmp_path / gt_root, tmp_path / pred_root, coding=CODING)
        reader = pickle.loads(pickle.dumps(reader))
        assert reader.names == ("a",)
        for found, labels in zip(reader.read("a"), (gt, pred), strict=True):
            np.testing.assert_array_equal(found, labels)


def test_arrays_missing_or_bad_are_named_or_void(tmp_path):
    gt, pred = random_volume(0)
    roots = [tmp_path / "gt", tmp_path / "pred"]
    for root in roots:
        root.mkdir()
    load = ArraySequences
    refused(FileNotFoundError, "gt: holds no <seq", load, *roots, coding=CODING)
    np.save(roots[0] / "a.npy", gt)
    refused(FileNotFoundError, "pred: lacks all 1 pred", load, *roots, coding=CODING)
    np.save(roots[0] / "b.npy", gt)
    np.save(roots[1] / "b.npy", pred)
    refused(
        FileNotFoundError, r"pred: lacks a \(1 of the 2", load, *roots, coding=CODING
    )
    reader = load(*roots, coding=CODING, allow_missing=True)
    assert (reader.read("a")[1] == 2550).all()
    assert (reader.read("b")[1] == pred).all()
    np.save(roots[1] / "a.npy", pred[:3])
    message = (
        r"sequence a of .*pred/a.npy \(truth .*gt/a.npy\): the prediction has 3 fr"
        "ames, the truth 5"
    )
    refused(ValueError, message, load(*roots, coding=CODING).read, "a")
    (roots[1] / "a.npy").write_bytes(b"no array")
    message = r"pred/a.npy: cannot be read \(.*\); save it again"
    refused(ValueError, message, load(*roots, coding=CODING).read, "a")
    np.savez(roots[1] / "a.npz", x=pred, y=pred)
    message = "a.npz: sequence a also has a.npy; remove one"
    refused(ValueError, message, load, *roots, coding=CODING)
    (roots[1] / "a.npy").unlink()
    message = "a.npz: holds arrays x, y, not 'pred'; name it so"
    refused(ValueError, message, load(*roots, coding=CODING).read, "a")
    message = "none: no such folder"
    refused(
        FileNotFoundError, message, load, roots[0], tmp_path / "none", coding=CODING
    )


def test_arrays_that_are_not_what_the_suffix_says(tmp_path):
    gt, pred = random_volume(0)
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
    np.save(tmp_path / "gt/a.npy", gt)
    np.savez_compressed(tmp_path / "x.npz", pred=pred)
    packed = (tmp_path / "x.npz").read_bytes()
    damaged = packed[:300] + bytes(99) + packed[399:]
    plain = (tmp_path / "gt/a.npy").read_bytes()
    for name, data in (
        ("a.npz", plain),
        ("a.npz", damaged),
        ("a.npz", packed[:99]),
        ("a.npy", packed),
        ("a.npy", plain[:300]),
        ("a.npy", b""),
    ):
        path = tmp_path / "pred" / name
        path.write_bytes(data)
        reader = ArraySequences(tmp_path / "gt", tmp_path / "pred", coding=CODING)
        message = rf"pred/{name}: cannot be read \(.*\); save it again"
        refused(ValueError, message, reader.read, "a")
        path.unlink()
