"""What is wrong with files or flags of `metrics` ends in one line that names it."""

import dataclasses
import os

import metric_files as files
import numpy as np
import pytest
from label_files import save_png
from PIL import Image

from pix2seq_d.cli import app, metrics

NAN = float("nan")


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs the command; one line has to say why it fails, and nothing is written."""

    def run(dataset, *flags):
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        outputs = f"--output={folder / 'm.json'}", f"--per_image={folder / 'm.csv'}"
        assert app.run(metrics.main, "metrics", dataset.argv(*outputs, *flags)) == 1
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert line.startswith("metrics: error: ")
        assert printed.out == ""
        assert not list(folder.iterdir())
        return line.removeprefix("metrics: error: ")

    return run


def first(content):
    """Segments of the first image, 000.png."""
    return content["annotations"][0]["segments_info"]


def repaint(path, change):
    pixels = np.array(Image.open(path))
    save_png(path, change(pixels))


# COCO panoptic files.

JSON_FAULTS = {
    "image absent": (lambda c: c["annotations"].pop(1), "no annotation for image_id 1"),
    "image twice": (
        lambda c: c["annotations"].append(c["annotations"][0]),
        "annotations[3]: image_id 0 has two annotations",
    ),
    "no segments_info": (
        lambda c: c["annotations"][1].pop("segments_info"),
        "annotations[1] has no field 'segments_info'",
    ),
    "id twice": (
        lambda c: first(c)[1].update(id=first(c)[0]["id"]),
        "annotations[0]: a segment id occurs twice; give each segment its own, here "
        "and in 000.png",
    ),
    "unknown category": (
        lambda c: first(c)[0].update(category_id=4),
        "of 000.png has category_id 4, which is not in categories",
    ),
    "id NaN": (lambda c: first(c)[0].update(id=NAN), "000.png: annotations[0].seg"),
    "category NaN": (
        lambda c: first(c)[0].update(category_id=NAN),
        "category_id is nan; make it a 32-bit integer",
    ),
    "area NaN": (
        lambda c: first(c)[0].update(area=NAN),
        "of 000.png has an area that is no whole number",
    ),
    "empty": (
        lambda c: c["annotations"].clear(),
        "annotations is empty; add annotated images",
    ),
    "no annotations": (lambda c: c.pop("annotations"), "has no field 'annotations'"),
}


@pytest.mark.parametrize("kind", ["pq", "miou"])
@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_predicted_json(refused, tmp_path, kind, fault):
    change, words = JSON_FAULTS[fault]
    dataset, _ = files.coco(tmp_path, kind=kind)
    files.edit(dataset.pred, change)
    line = refused(dataset)
    assert line.startswith(f"{dataset.pred}: ") or line.startswith(f"{dataset.pred} ")
    assert words in line


@pytest.mark.parametrize("fault", sorted(JSON_FAULTS.keys() - {"image absent"}))
def test_json_of_the_truth(refused, tmp_path, fault):
    change, words = JSON_FAULTS[fault]
    dataset, _ = files.coco(tmp_path)
    files.edit(dataset.gt, change)
    line = refused(dataset)
    assert line.startswith(str(dataset.gt)) and words in line


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("layout", ["images", "videos"])
def test_a_json_that_is_too_deep(refused, tmp_path, layout, side):
    if layout == "images":
        dataset, _ = files.coco(tmp_path)
    else:
        dataset = files.vipseg(tmp_path, files.volumes(1))
    path = getattr(dataset, side)
    path.write_text("[" * 100_000)
    assert refused(dataset).startswith(f"{path}: has lists in lists, deeper than any")


def test_a_truth_without_a_segment(refused, tmp_path):
    dataset, _ = files.coco(tmp_path)

    def empty(content):
        for annotation in content["annotations"]:
            annotation["segments_info"] = []

    files.edit(dataset.gt, empty)
    assert f"{dataset.gt}: no annotation has a segment" in refused(dataset)


def absent(path):
    path.unlink()


def smaller(path):
    repaint(path, lambda rgb: rgb[:20])


def undescribed(path):
    repaint(path, lambda rgb: rgb + np.uint8(1))


def gray(path):
    repaint(path, lambda rgb: rgb[..., 0])


def cut(path):
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("kind", ["pq", "miou"])
@pytest.mark.parametrize(
    ("side", "change", "words"),
    [
        ("gt", absent, "gt: lacks 001.png (1 of the 3 files"),
        ("pred", absent, "pred: lacks 001.png (1 of the 3 files"),
        ("pred", smaller, "pred/001.png: the prediction has 32x20 pixels, the truth"),
        ("gt", undescribed, "gt/001.png: ids "),
        ("pred", undescribed, "pred/001.png: ids "),
        ("pred", gray, "pred/001.png: "),
        ("pred", cut, "pred/001.png: cannot be decoded"),
    ],
)
def test_pngs_of_images(refused, tmp_path, kind, side, change, words):
    dataset, _ = files.coco(tmp_path, kind=kind)
    change(tmp_path / side / "001.png")
    assert refused(dataset).startswith(f"{tmp_path}/{words}")


def test_a_wrong_path_is_no_missing_prediction(refused, tmp_path):
    dataset, _ = files.coco(tmp_path)
    line = refused(dataset, "--allow_missing", f"--pred_pngs={tmp_path / 'none'}")
    assert "not one of the 3 images" in line and f"{tmp_path / 'none'}" in line


@pytest.mark.parametrize("flags", [(), ("--allow_missing",)])
def test_a_wrong_folder_is_no_missing_proposal(refused, tmp_path, flags):
    dataset, _ = files.davis(tmp_path)
    wrong = dataclasses.replace(dataset, pred=tmp_path)
    line = refused(wrong, *flags)
    assert line.startswith(f"{tmp_path}: lacks all 8 predictions that {dataset.gt} ask")
    assert line.endswith("such as v0/00000.png; correct the path or the names")


# Videos.


@pytest.mark.parametrize("kind", ["stq", "vpq"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (absent, "pred: lacks s1/000002.png (1 of the 15 predictions"),
        (
            lambda path: repaint(path, lambda rgb: rgb[:8]),
            "has 16x8 pixels, the truth 16x12",
        ),
        (
            lambda path: repaint(path, lambda rgb: np.full_like(rgb, 7)),
            "the prediction holds classes 7, not 0..4 or 255 (ignore)",
        ),
        (gray, "has mode L; write 8-bit RGB"),
        (cut, "cannot be decoded"),
    ],
)
def test_pngs_of_videos(refused, tmp_path, kind, change, words):
    dataset = files.step(tmp_path, files.volumes(), kind=kind)
    change(tmp_path / "pred/s1/000002.png")
    line = refused(dataset)
    assert line.startswith(f"{tmp_path}/pred") and "s1/000002.png" in line
    assert words in line


@pytest.mark.parametrize(
    ("side", "change", "words"),
    [
        ("pred", lambda a: a * NAN, "frame 0: the prediction is float64, which may"),
        ("gt", lambda a: a * NAN, "frame 0: the truth is float64, which may hold"),
        ("pred", lambda a: a[:3], "the prediction has 3 frames, the truth 5"),
        ("pred", lambda a: a[:, :4], "has 16x4 pixels, the truth 16x12"),
        ("pred", lambda a: a + 50, "frame 0: the prediction holds classes 5, 6, 7 and"),
        ("gt", lambda a: a[:0], "the prediction has 5 frames, the truth 0"),
        ("gt", lambda a: a[0, 0], "has shape (16,); give [frames, height, width]"),
    ],
)
def test_arrays(refused, tmp_path, side, change, words):
    sequences = files.volumes()
    name, gt, pred = sequences[1]
    if side == "gt":
        gt = change(gt)
    else:
        pred = change(pred)
    sequences[1] = (name, gt, pred)
    line = refused(files.arrays(tmp_path, sequences))
    place = f"{tmp_path}/pred/s1.npz (truth {tmp_path}/gt/s1.npy)"
    assert line.startswith(f"sequence s1 of {place}") and words in line


def test_an_absent_or_damaged_array(refused, tmp_path):
    dataset = files.arrays(tmp_path, files.volumes())
    path = tmp_path / "pred/s1.npz"
    path.write_bytes(path.read_bytes()[:99])
    assert refused(dataset).startswith(f"{path}: cannot be read (")
    path.unlink()
    line = refused(dataset)
    assert line.startswith(f"{tmp_path}/pred: lacks s1 (1 of the 3 predictions")


def frame(content):
    """The first frame of the first video, s0."""
    return content["annotations"][0]["annotations"][0]


@pytest.mark.parametrize(
    ("side", "change", "words"),
    [
        ("pred", lambda c: frame(c).pop("segments_info"), "has no field 'segments_inf"),
        (
            "pred",
            lambda c: frame(c)["segments_info"].pop(),
            "s0/00000000.png: ids ",
        ),
        (
            "pred",
            lambda c: frame(c)["segments_info"].append(frame(c)["segments_info"][0]),
            "video s0: annotations[0]: a segment id occurs twice; give each segment "
            "its own, here and in 00000000.png",
        ),
        (
            "pred",
            lambda c: frame(c)["segments_info"][0].update(category_id=9),
            "of 00000000.png has category_id 9, which is not in categories",
        ),
        (
            "pred",
            lambda c: frame(c)["segments_info"][0].update(category_id=NAN),
            "00000000.png: annotations[0].segments_info: category_id is nan",
        ),
        ("pred", lambda c: c["annotations"].pop(), "pred.json: lacks s2/00000000.png"),
        ("pred", lambda c: c["annotations"].clear(), "annotations is empty; add vid"),
        ("gt", lambda c: c["annotations"].clear(), "annotations is empty; add videos"),
        ("gt", lambda c: c.pop("categories"), "has no list 'categories'"),
        ("gt", lambda c: c["categories"].append(3), "categories[5] has no field 'id'"),
        (
            "gt",
            lambda c: c["categories"][0].update(id=10**30),
            "categories[0]: id is 1000000000000000000000000000000; make it a 32-bit",
        ),
    ],
)
def test_json_of_videos(refused, tmp_path, side, change, words):
    dataset = files.vipseg(tmp_path, files.volumes())
    files.edit(getattr(dataset, side), change)
    line = refused(dataset)
    assert line.startswith(f"{tmp_path}/{side}") and words in line


def palette_id(path):
    repaint(path, lambda ids: np.full_like(ids, 21))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (absent, "pred: lacks v1/00002.png (1 of the 8 predictions"),
        (smaller, "pred/v1/00002.png: has 36x20 pixels, the truth 36x24"),
        (palette_id, "pred/v1/00002.png: holds the id 21, but at most 20 proposals"),
        (cut, "pred/v1/00002.png: cannot be decoded"),
    ],
)
def test_pngs_of_davis(refused, tmp_path, change, words):
    dataset, _ = files.davis(tmp_path)
    change(tmp_path / "pred/v1/00002.png")
    assert refused(dataset).startswith(f"{tmp_path}/{words}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v0\nv7\n", "gt/v7: holds no PNGs"),
        ("v0\nv0\n", "v0: named twice"),
        ("\n", "val.txt: names no sequence"),
    ],
)
def test_lists_of_sequences(refused, tmp_path, text, words):
    dataset, _ = files.davis(tmp_path)
    (tmp_path / "val.txt").write_text(text)
    assert words in refused(dataset, f"--sequences={tmp_path / 'val.txt'}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (absent, "pred: lacks city/1 (1 of the 3 predictions"),
        (lambda path: repaint(path, lambda x: x[:8]), "has 16x8 pixels, the truth"),
        (
            lambda path: repaint(path, lambda x: x * 0 + 7),
            "pred/city/1.png (truth {}/gt/city/1.png): the prediction holds classes 7",
        ),
        (cut, "pred/city/1.png: cannot be decoded"),
    ],
)
def test_label_maps(refused, tmp_path, change, words):
    dataset, _ = files.semantic(tmp_path)
    change(tmp_path / "pred/city/1.png")
    line = refused(dataset)
    assert line.startswith(f"{tmp_path}/pred") and words.format(tmp_path) in line


# Paths.


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("kind", ["pq", "stq", "arrays", "vpq", "davis", "miou"])
def test_an_absent_path(refused, tmp_path, kind, side):
    made = {
        "pq": lambda: files.coco(tmp_path)[0],
        "stq": lambda: files.step(tmp_path, files.volumes(1)),
        "arrays": lambda: files.arrays(tmp_path, files.volumes(1)),
        "vpq": lambda: files.vipseg(tmp_path, files.volumes(1)),
        "davis": lambda: files.davis(tmp_path)[0],
        "miou": lambda: files.semantic(tmp_path)[0],
    }[kind]()
    path = tmp_path / f"none{getattr(made, side).suffix}"
    line = refused(dataclasses.replace(made, **{side: path}))
    assert line.startswith(f"{path}: no such ")


@pytest.mark.parametrize(
    ("kind", "flags", "words"),
    [
        ("stq", files.CODING_FLAGS, "holds no frames <sequence>/<frame>.png"),
        ("davis", (), "no sequence to score"),
        ("miou", ("--num_classes=5", "--ignore_label=9"), "holds no PNGs"),
    ],
)
def test_an_empty_folder(refused, tmp_path, kind, flags, words):
    (tmp_path / "empty").mkdir()
    path = tmp_path / "empty"
    line = refused(files.Files(kind, path, path, flags))
    assert line.startswith(f"{path}: {words}")


def test_a_truth_of_another_kind(refused, tmp_path):
    dataset, _ = files.coco(tmp_path)
    as_davis = dataclasses.replace(dataset, kind="davis")
    words = f"--gt={dataset.gt}: J&F reads folders <sequence>/<frame>.png"
    assert refused(as_davis).startswith(words)
    folder = dataclasses.replace(dataset, gt=tmp_path / "gt")
    words = f"--gt={tmp_path / 'gt'}: PQ reads COCO panoptic files; give the JSON"
    assert refused(folder).startswith(words)
    as_video = dataclasses.replace(dataset, kind="vpq")
    words = f"{dataset.gt}: annotations[0] has no list 'annotations'"
    assert refused(as_video).startswith(words)


def test_a_prediction_of_another_layout(refused, tmp_path):
    dataset, _ = files.coco(tmp_path)
    folder = dataclasses.replace(dataset, pred=tmp_path / "pred")
    words = f"--pred={tmp_path / 'pred'}: is a folder; give the JSON of the predictions"
    assert refused(folder).startswith(words)
    videos = files.step(tmp_path / "step", files.volumes(1))
    json_file = dataclasses.replace(videos, pred=dataset.pred)
    assert refused(json_file).startswith(f"{dataset.pred}: no such folder")


def test_places_for_output(refused, tmp_path, monkeypatch):
    dataset, _ = files.coco(tmp_path)
    for flag in ("output", "per_image"):
        path = tmp_path / "none" / "m"
        assert refused(dataset, f"--{flag}={path}") == (
            f"{tmp_path / 'none'}: no such folder; make it first"
        )
        line = refused(dataset, f"--{flag}={tmp_path}")
        assert line == f"{tmp_path}: is a folder; name a file"
        before = dataset.pred.read_bytes()
        line = refused(dataset, f"--{flag}={tmp_path / 'gt' / '..' / 'pred.json'}")
        assert line.endswith("pred.json: is read or written already; name another file")
        assert dataset.pred.read_bytes() == before
    made = tmp_path / "made"
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: path != made)
        line = refused(dataset, f"--output={made / 'x.json'}")
    assert line.startswith(f"{made / 'x.json'}: cannot be written; change the perm")
    same = tmp_path / "made" / "m.json"
    assert refused(dataset, f"--per_image={same}").startswith(f"{same}: is read or wri")


# Flags.


@pytest.mark.parametrize(
    ("kind", "flag", "words"),
    [
        ("stq", "--diagnose", "--diagnose is for --kind=pq only; leave it out"),
        ("davis", "--bootstrap=9", "--bootstrap is for --kind=pq only"),
        ("miou", "--seed=1", "--seed is for --kind=pq only"),
        ("vpq", "--void_class=left_out", "--void_class is for --kind=stq only"),
        ("stq", "--window_sizes=1", "--window_sizes is for --kind=vpq only"),
        ("stq", "--crowd=crowd", "--crowd is for --kind=vpq only"),
        ("pq", "--sequences=x", "--sequences is for --kind=davis only"),
        ("pq", "--classes=kitti_step", "--classes is for --kind=stq or vpq or miou"),
        ("miou", "--things=1", "--things is for --kind=stq or vpq only"),
        ("davis", "--gt_pngs=x", "--gt_pngs is for --kind=pq or vpq or stq or miou"),
    ],
)
def test_flags_of_another_kind(refused, tmp_path, kind, flag, words):
    dataset = files.Files(kind, tmp_path / "gt", tmp_path / "pred")
    assert refused(dataset, flag).startswith(words)


def test_flags_that_the_files_answer(refused, tmp_path):
    coco, _ = files.coco(tmp_path / "coco", kind="miou")
    words = "--num_classes is not for these files, the JSON says it; leave it out"
    assert refused(coco, "--num_classes=3") == words
    step = files.step(tmp_path / "step", files.volumes(1))
    words = "--label_divisor is not for these files, PNGs hold 256 G + B as the inst"
    assert refused(step, "--label_divisor=10").startswith(words)
    words = "--num_classes is not for these files, --classes=kitti_step says it; le"
    assert refused(step, "--classes=kitti_step").startswith(words)
    words = "--gt_pngs is not for these files, --gt and --pred are the folders; lea"
    assert refused(step, "--gt_pngs=x").startswith(words)


def test_flags_that_are_missing(refused, tmp_path):
    step = files.step(tmp_path / "step", files.volumes(1), flags=())
    cure = "is missing; give --classes, or --num_classes, --things and --ignore_label"
    assert refused(step, "--things=3") == f"--num_classes {cure}"
    line = refused(step, "--num_classes=5", "--ignore_label=255")
    assert line == f"--things {cure}"
    arrays = files.arrays(tmp_path, files.volumes(1))
    arrays = dataclasses.replace(arrays, flags=files.CODING_FLAGS)
    assert refused(arrays).startswith("--label_divisor is missing")
    semantic, _ = files.semantic(tmp_path / "semantic")
    semantic = dataclasses.replace(semantic, flags=("--num_classes=5",))
    words = "--ignore_label is missing; give --classes, or --num_classes and --ignore"
    assert refused(semantic).startswith(words)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--kind is missing"),
        (["--kind=pq"], "--gt is missing"),
        (["--kind=pq", "--gt=a.json"], "--pred is missing"),
        (["--kind=iou"], "--kind=iou: value should be one of <pq|stq|vpq|davis|miou>"),
        (["--kind=pq", "--diagnos"], "Unknown command line flag 'diagnos'"),
        (["--kind=pq", "stray"], "unexpected argument 'stray'"),
        (["--num_workers=0"], "--num_workers=0"),
        (["--bootstrap=-1"], "--bootstrap=-1"),
    ],
)
def test_the_command_line(capsys, argv, words):
    assert app.run(metrics.main, "metrics", argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("metrics: error: ") and words in line


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--things=2,a", "--things=2,a: give whole numbers with commas between"),
        ("--things=7", "things has 7, not in 0..4"),
        ("--ignore_label=3", "ignore_label 3 is one of things"),
        ("--window_sizes=0", "window_sizes is (0,)"),
        ("--window_sizes=2,2", "window_sizes is (2, 2)"),
        ("--window_sizes=1.5", "--window_sizes=1.5: give whole numbers"),
    ],
)
def test_numbers(refused, tmp_path, flag, words):
    dataset = files.step(tmp_path, files.volumes(1), kind="vpq")
    assert refused(dataset, flag).startswith(words)


def test_one_image_has_no_interval(refused, tmp_path):
    dataset, _ = files.coco(tmp_path, count=1)
    line = refused(dataset, "--bootstrap=9")
    assert line.startswith(f"--bootstrap: {dataset.gt} has one image")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--window_sizes=9"], "the longest sequence has 5 frames, so that there is"),
        (["--kind=stq", "--ignore_label=0"], "no pixel of the truth is labelled, all"),
    ],
)
def test_what_only_the_whole_can_tell(capsys, tmp_path, flags, words):
    sequences = [("s", *np.zeros((2, 5, 4, 4), np.int32))]
    dataset = files.arrays(tmp_path, sequences, kind="vpq")
    output = tmp_path / "m.json"
    argv = dataset.argv(f"--output={output}", *flags)
    assert app.run(metrics.main, "metrics", argv) == 1
    progress, line = capsys.readouterr().err.splitlines()
    assert progress.endswith(" sequence 1/1")
    assert line.startswith(f"metrics: error: {words}")
    assert not output.exists()
