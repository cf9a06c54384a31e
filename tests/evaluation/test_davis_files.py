"""J&F of arrays and files that are wrong: one line names the frame, and a cure."""

from pathlib import Path

import numpy as np
import pytest
from davis_video import refused, video
from deep_png import deep_png, shallow_png
from PIL import Image

from pix2seq_d.evaluation import davis


def maps(*pixels):
    """Frames [T, 2, 3] of the values given, which fill a frame each."""
    return np.stack([np.full((2, 3), value) for value in pixels])


TRUTH, FOUND = "^bear, frame {} of the truth: ", "^bear, frame {} of the prediction: "
ONE = maps(1, 1)


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        (ONE, maps(1), r"^bear: the truth is \[2, 2, 3\], the prediction \[1, 2, 3\];"),
        (ONE[0], ONE, r"^bear: .* give \[T, H, W\]"),
        (ONE, ONE[..., None], r"^bear: .* give \[T, H, W\]"),
        (ONE[:0], ONE[:0], "^bear: has no frames; give"),
        (ONE[..., :0], ONE[..., :0], TRUTH.format(0) + r"is int64 \[2, 0\]; give"),
        (ONE, maps(1, np.nan), FOUND.format(0) + r"is float64 \[2, 3\]; give"),
        (ONE > 0, ONE, TRUTH.format(0) + r"is bool \[2, 3\]; give"),
        (ONE, ONE[..., :2], FOUND.format(0) + r"has 2x2 pixels, the truth 3x2 \(w"),
        (maps(1, -1), ONE, TRUTH.format(1) + "holds the id -1; number"),
        (ONE, maps(1, -2), FOUND.format(1) + "holds the id -2; number"),
        (maps(1, 256), ONE, TRUTH.format(1) + "holds the id 256; number"),
        (ONE, maps(1, 21), FOUND.format(1) + "holds the id 21, but at most 20 .*; k"),
        (ONE, maps(1, 255), FOUND.format(1) + "holds the id 255, which is void .*; w"),
        (maps(0, 1), ONE, TRUTH.format(0) + "the first frame holds no object, .*; l"),
        (maps(255, 1), ONE, TRUTH.format(0) + "the first frame holds no object, .*; l"),
    ],
)
def test_arrays_that_are_wrong(truth, found, message):
    refused(ValueError, message, davis.JAndF().update, "bear", truth, found)


def test_twenty_proposals_are_not_too_many():
    assert davis.JAndF().update("bear", maps(1, 1), maps(1, 20)).num_proposals == 20


def test_a_sequence_counts_once():
    total, other = davis.JAndF(), davis.JAndF()
    for one in (total, other):
        one.update("bear", maps(1), maps(1))
    message = "^bear: is scored twice; give"
    refused(ValueError, message, total.update, "bear", maps(1), maps(1))
    refused(ValueError, "^bear: scored by both .*; give", total.merge, other)


def test_nothing_scored_has_no_result():
    refused(ValueError, "^no sequence is scored; add", davis.JAndF().result)


class Folders:
    """Two sequences of three frames; tests break one thing at a time."""

    def __init__(self, root: Path) -> None:
        self.gt, self.pred = root / "gt", root / "pred"
        self.arrays = {n: video(k, frames=3) for k, n in enumerate(("bear", "camel"))}
        for name, arrays in self.arrays.items():
            for folder, frames in zip((self.gt, self.pred), arrays, strict=True):
                (folder / name).mkdir(parents=True)
                for t, frame in enumerate(frames):
                    self.save(folder / name / f"{t:05d}.png", frame)

    def save(self, path, pixels):
        image = Image.fromarray(pixels.astype(np.uint8))
        image.putpalette([*range(256)] * 3)
        image.save(path)

    def evaluate(self, *arguments, **options):
        return davis.evaluate(self.gt, self.pred, *arguments, **options)


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def test_files_give_what_arrays_give(folders):
    total = davis.JAndF()
    for name, arrays in folders.arrays.items():
        total.update(name, *arrays)
    assert folders.evaluate() == total.result()
    made = folders.evaluate(["camel"])
    assert made["per_object"] == {"camel": total.result()["per_object"]["camel"]}


def test_gray_files_are_as_good(folders):
    expected = folders.evaluate()
    path = folders.pred / "bear/00001.png"
    Image.fromarray(folders.arrays["bear"][1][1]).save(path)
    assert folders.evaluate() == expected
    path.write_bytes(shallow_png(folders.arrays["bear"][1][1].astype(int), bits=4))
    assert folders.evaluate() == expected


def test_frames_and_sequences_of_the_truth_decide(folders):
    expected = folders.evaluate()
    folders.save(folders.pred / "bear/00003.png", np.full((5, 5), 200))
    (folders.pred / "zebra").mkdir()
    (folders.gt / ".ipynb_checkpoints").mkdir()
    assert folders.evaluate() == expected


def test_missing_frames_are_named_or_background(folders):
    (folders.pred / "camel/00001.png").unlink()
    message = (
        r"pred: lacks camel/00001\.png \(1 of the 6 predictions that .*gt asks for\); "
        "add them, or pass allow_missing to score them as background"
    )
    refused(FileNotFoundError, message, folders.evaluate)
    message = (
        r"pred/camel: lacks 00001\.png \(1 of the 3 .*gt/camel\); predict them, or"
    )
    refused(FileNotFoundError, message, davis.score, folders.gt, folders.pred, "camel")
    truth, found = folders.arrays["camel"]
    found[1] = 0
    made = folders.evaluate(allow_missing=True)["per_object"]["camel"]
    assert made == _per_object("camel", truth, found)


def test_missing_sequences_are_named_or_background(folders):
    for path in sorted((folders.pred / "bear").iterdir()):
        path.unlink()
    (folders.pred / "bear").rmdir()
    message = r"pred: lacks bear/00000\.png, bear/00001\.png, .* \(3 of the 6 predicti"
    refused(FileNotFoundError, message, folders.evaluate)
    truth, found = folders.arrays["bear"]
    made = folders.evaluate(allow_missing=True)
    assert made["per_object"]["bear"] == _per_object("bear", truth, found * 0)
    # A wrong path is no missing prediction.
    folders.pred /= "camel"
    message = "pred/camel: lacks all 6 predictions that .*gt asks for, .*; correct the"
    refused(FileNotFoundError, message, folders.evaluate)
    refused(FileNotFoundError, message, folders.evaluate, allow_missing=True)
    folders.pred /= "nowhere"
    message = "pred/camel/nowhere: no such folder; check"
    refused(FileNotFoundError, message, folders.evaluate, allow_missing=True)


def _per_object(name, truth, found):
    total = davis.JAndF()
    total.update(name, truth, found)
    return total.result()["per_object"][name]


def test_sequences_that_are_not_there(folders):
    message = "gt/zebra: holds no PNGs; put the truth of zebra there or leave"
    refused(FileNotFoundError, message, folders.evaluate, ["bear", "zebra"])
    refused(ValueError, "gt: no sequence to score; give", folders.evaluate, [])
    refused(ValueError, "^bear: named twice; name", folders.evaluate, ["bear", "bear"])
    folders.gt /= "bear"
    refused(ValueError, "bear: no sequence to score; give", folders.evaluate)
    folders.gt /= "nowhere"
    refused(FileNotFoundError, "nowhere: no such folder; check", folders.evaluate)


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("RGB", "has mode RGB; write object ids as palette indices or 8-bit gray"),
        ("I;16", "has mode I;16; write object ids"),
        ("deep", "has mode RGB; write object ids"),
        ("jpeg", "is a JPEG file, which may alter labels; write"),
        ("empty", "is empty; copy or export"),
        ("cut", "cannot be decoded .*; copy or export"),
    ],
)
def test_files_of_another_kind(folders, side, mode, message):
    path = getattr(folders, side) / "camel/00002.png"
    pixels = np.ones((24, 36), np.uint8)
    match mode:
        case "RGB":
            Image.fromarray(pixels).convert("RGB").save(path)
        case "I;16":
            Image.fromarray(pixels.astype(np.uint16)).save(path)
        case "deep":
            path.write_bytes(deep_png(np.ones((24, 36, 3), int)))
        case "jpeg":
            Image.fromarray(pixels).save(path, "JPEG")
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(path.read_bytes()[:-40])
    refused(ValueError, rf"{side}/camel/00002\.png: {message}", folders.evaluate)


def test_sizes_in_files(folders):
    path = folders.pred / "bear/00001.png"
    folders.save(path, np.zeros((36, 24)))
    message = r"pred/bear/00001\.png: has 24x36 pixels, the truth 36x24 \(width x heig"
    refused(ValueError, message, folders.evaluate)
    folders.save(folders.gt / "bear/00001.png", np.zeros((36, 24)))
    message = r"gt/bear/00001\.png: has 24x36 pixels, the first frame 36x24 .*; bring"
    refused(ValueError, message, folders.evaluate)


def test_lists_of_sequences(tmp_path):
    path = tmp_path / "val.txt"
    path.write_text("bear\r\n\n camel \n")
    assert davis.sequences_of(path) == ["bear", "camel"]
    path.write_text("\n")
    message = r"val\.txt: names no sequence; write one"
    refused(ValueError, message, davis.sequences_of, path)
    path.write_text("bear camel\n")
    message = r"val\.txt: bear camel are not names of sequences; take"
    refused(ValueError, message, davis.sequences_of, path)
    message = r"no\.txt: no such file; check"
    refused(FileNotFoundError, message, davis.sequences_of, tmp_path / "no.txt")
