"""The command `doctor`: what it prints and writes, and its exit status."""

import json

import pytest
from PIL import Image

from pix2seq_d.cli import app, doctor


def run(argv):
    return app.run(doctor.main, "doctor", [*argv, "--num_workers=1"])


def test_a_set_that_is_fine(capsys, tmp_path, coco_folder):
    output = tmp_path / "deep" / "report"
    argv = [f"--dataset={coco_folder.root}", "--splits=val"]
    assert run([*argv, f"--output={output}"]) == 0
    out = capsys.readouterr().out
    assert f"{coco_folder.root}: the set is fine to train on: 3 images, 9 seg" in out
    assert str(output / "index.html") in out
    assert json.loads((output / "findings.json").read_text())["fine"] is True
    assert (output / "index.html").read_text().startswith("<!DOCTYPE html>")
    with Image.open(output / "contact_sheet.png") as sheet:
        assert sheet.mode == "RGB"


def test_problems_end_in_status_1_without_another_line(capsys, coco_folder):
    (coco_folder.images / "20.png").unlink()
    assert run([f"--dataset={coco_folder.root}", "--splits=val"]) == 1
    printed = capsys.readouterr()
    path = coco_folder.images / "20.png"
    assert f"{path}: image 20: no such file; add the file" in printed.out
    assert "1 problem in 1 file" in printed.out
    assert "error" not in printed.err


def test_warnings_and_notes_do_not(capsys, coco_folder):
    (coco_folder.images / "other.png").write_bytes(b"")
    argv = [f"--dataset={coco_folder.root}", "--config=custom:tiny"]
    argv.append("--config.data.ids.stuff=True")
    argv.append("--config.model.max_instances=2")
    assert run([*argv, "--splits=val"]) == 0
    out = capsys.readouterr().out
    assert "the set is fine to train on" in out and "2 remarks" in out
    assert "the 1 smallest become void" in out


def test_one_split_is_not_enough(capsys, coco_folder):
    assert run([f"--dataset={coco_folder.root}"]) == 1
    out = capsys.readouterr().out
    assert "has the split 'val' only, there is none to train on" in out
    assert "--config.data.source.train_split=val" in out


def test_an_old_sheet_does_not_stay(tmp_path, coco_folder):
    argv = [f"--dataset={coco_folder.root}", f"--output={tmp_path / 'report'}"]
    argv.append("--splits=val")
    assert run(argv) == 0
    coco_folder.json_path.write_text("{")
    assert run(argv) == 1
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["findings.json", "index.html"]


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        ([], ["--dataset is missing"]),
        (["--dataset={}/absent"], ["absent: no such folder"]),
        (["--dataset={}", "--layout=voc"], ["--layout=voc", "cityscapes"]),
        (["--dataset={}"], ["panoptic_*.json", "--layout"]),
        (["--dataset={}", "--layout=arrays"], ["holds no *.npz"]),
        (["--dataset={}", "--layout=tfds"], ["--builder is missing"]),
        (["--dataset={}", "--layout=davis", "--builder=a/b"], ["not davis", "leave"]),
        (["--dataset={}/absent", "--builder=a/b"], ["absent: no such folder"]),
        (["--dataset={}", "--config=nothing"], ["--config=nothing", "custom"]),
        (["--dataset={}", "--max_instances=9"], ["max_instances", "--help"]),
        (["--dataset={}", "--limit=0"], ["limit"]),
    ],
)
def test_what_is_wrong_with_the_command_line(capsys, tmp_path, argv, parts):
    assert run([a.format(tmp_path) for a in argv]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("doctor: error: ")
    for part in parts:
        assert part in lines[0]


def test_help_is_no_error(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "  --dataset: " in out
    # Those of a conversion have a section of their own.
    checks, _, conversions = out.partition("\nTo convert:\n")
    assert "  --convert_from: " in conversions and "  --convert_from: " not in checks
    assert all(len(line) <= 88 for line in out.splitlines())
