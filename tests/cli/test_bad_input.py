"""What users get wrong ends in one line that names it and the cure, status 1."""

import json

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.cli import app, demo, evaluate, predict, train
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.panoptic_files import PanopticWriter


def error_of(capsys, main, argv):
    status = app.run(main, "command", argv)
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 1
    assert lines[-1].startswith("command: error: ")
    return lines[-1]


def refused(capsys, main, argv):
    """The error where nothing else may have been printed before it."""
    line = error_of(capsys, main, argv)
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize("status", [None, 0, 1, 3])
def test_a_command_may_return_its_exit_status(capsys, status):
    assert app.run(lambda argv: status, "command", []) == (status or 0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        ([], ["--config is missing"]),
        (["--config=shapes:tiny"], ["--workdir is missing"]),
        (["--config=shapes:huge"], ["unknown variant 'huge'", "tiny"]),
        (["--config=cocoa"], ["--config=cocoa", "coco_panoptic, custom, davis"]),
        (
            ["--config=shapes:tiny", "--config.model.decoder.dimm=3"],
            ["model.decoder.dimm", "did you mean model.decoder.dim?"],
        ),
        (
            ["--config=shapes:tiny", "--config.train.batch_size=many"],
            ["config.train.batch_size", "many"],
        ),
        (
            ["--config=shapes:tiny", "--config.train.batch_size=0"],
            ["train.batch_size=0"],
        ),
        (
            ["--config=shapes:tiny", "--config.train.batch_size=12"],
            ["train.batch_size=12", "8 devices"],
        ),
        (
            ["--config=shapes:tiny", "--config.model.image_size=(60,64)"],
            ["model.image_size=(60, 64)", "multiples of 16"],
        ),
        (
            ["--config=shapes:tiny", "--config.model.num_classes=5"],
            ["model.num_classes=5", "10 classes"],
        ),
        (
            ["--config=shapes:tiny", "--config.data.source.name=coco_panoptic"],
            ["data.source.root", "--config.data.source.root=DIR"],
        ),
        (["--config=custom:tiny"], ["data.source.root"]),
        (["--config=shapes:tiny", "--profile_steps=9:3"], ["--profile_steps=9:3"]),
        (["--wrkdir=x"], ["wrkdir", "workdir"]),
        (["--config=shapes:tiny", "stray"], ["'stray'"]),
    ],
)
def test_train_arguments(capsys, tmp_path, argv, parts):
    if not any("missing" in part for part in parts):
        argv = [*argv, f"--workdir={tmp_path / 'work'}"]
    line = refused(capsys, train.main, argv)
    for part in parts:
        assert part in line


def test_help_is_no_error(capsys):
    for command in (train, evaluate, predict, demo):
        assert app.run(command.main, "command", ["--help"]) == 0
        assert "--" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    """A COCO-panoptic folder of drawn scenes, splits train and val."""
    root = tmp_path / "data"
    for split, count in (("train", 8), ("val", 2)):
        source = Shapes(split, size=(32, 32), num_examples=count)
        images = root / "images" / split
        images.mkdir(parents=True)
        with PanopticWriter(root, source.label_space, name=f"panoptic_{split}") as out:
            for index in range(count):
                e = source[index]
                name = e.file_name.replace(".png", ".jpg")
                Image.fromarray(e.image).save(images / name)
                out.write(e.panoptic, image_id=e.image_id, file_name=name)
    return root


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def missing_root(root):
    (root / "panoptic_train.json").rename(root / "elsewhere.json")
    return "panoptic_train.json"


def empty_folder(root):
    for path in (root / "images" / "train").iterdir():
        path.unlink()
    return "images/train"


def no_segments_info(root):
    def change(content):
        del content["annotations"][2]["segments_info"]

    edit_json(root / "panoptic_train.json", change)
    return "segments_info"


def other_size(root):
    path = sorted((root / "images" / "train").iterdir())[1]
    Image.fromarray(np.zeros((16, 20, 3), np.uint8)).save(path)
    return path.stem


def truncated_jpeg(root):
    path = sorted((root / "images" / "train").iterdir())[4]
    path.write_bytes(path.read_bytes()[:400])
    return path.name


def ids_absent(root):
    def change(content):
        content["annotations"][3]["segments_info"].pop()

    edit_json(root / "panoptic_train.json", change)
    content = json.loads((root / "panoptic_train.json").read_text())
    return content["annotations"][3]["file_name"]


def not_json(root):
    (root / "panoptic_train.json").write_text("{")
    return "panoptic_train.json"


@pytest.mark.parametrize(
    "damage",
    [
        missing_root,
        empty_folder,
        no_segments_info,
        other_size,
        truncated_jpeg,
        ids_absent,
        not_json,
    ],
    ids=lambda f: f.__name__,
)
def test_broken_data_is_named(capsys, tmp_path, micro, folder, damage):
    named = damage(folder)
    argv = [
        "--config=custom:tiny",
        f"--config.data.source.root={folder}",
        f"--workdir={tmp_path / 'work'}",
        *micro,
        "--config.train.num_steps=2",
        "--config.train.tensorboard=False",
    ]
    line = refused(capsys, train.main, argv)
    assert named in line


def test_no_checkpoint(capsys, tmp_path):
    absent, empty = tmp_path / "absent", tmp_path / "empty"
    empty.mkdir()
    image = tmp_path / "image.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image)
    for path, words in ((absent, "no such folder"), (empty, "holds no checkpoint")):
        line = refused(capsys, evaluate.main, [f"--workdir={path}"])
        assert str(path) in line and words in line
        argv = [f"--checkpoint={path}", f"--input={image}", "--output=x"]
        line = refused(capsys, predict.main, argv)
        assert str(path) in line and words in line


def test_a_damaged_checkpoint_is_named(capsys, tmp_path):
    (tmp_path / "checkpoints" / "7" / "config").mkdir(parents=True)
    line = refused(capsys, evaluate.main, [f"--workdir={tmp_path}"])
    assert "checkpoints/7 cannot be read as a checkpoint" in line


def test_predict_without_images(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    for given in ("absent.png", "empty", "*.jpg"):
        argv = [f"--checkpoint={tmp_path}", f"--input={tmp_path / given}", "--output=x"]
        line = refused(capsys, predict.main, argv)
        assert f"--input={tmp_path / given}" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(:", "SyntaxError"),
        ("x = 1", "get_config"),
        ("def get_config(): return 3", "ConfigDict"),
        (
            "from pix2seq_d import config\n"
            "def get_config():\n"
            "    c = config.default()\n"
            "    c.model.dimm = 3\n"
            "    return c",
            "dimm",
        ),
    ],
)
def test_a_config_file_that_is_wrong(capsys, tmp_path, text, words):
    path = tmp_path / "mine.py"
    path.write_text(text)
    argv = [f"--config={path}", f"--workdir={tmp_path / 'work'}"]
    line = refused(capsys, train.main, argv)
    assert "--config" in line and words in line


def test_a_flag_and_its_value_may_be_two_words(capsys, tmp_path):
    argv = ["--config", "shapes:tiny", "--workdir", str(tmp_path / "work")]
    line = refused(capsys, train.main, [*argv, "--config.train.batch_size", "0"])
    assert "train.batch_size=0" in line


def test_video_training_is_refused_until_it_is_built(capsys, tmp_path):
    argv = ["--config=shapes:tiny", f"--workdir={tmp_path / 'work'}"]
    line = refused(capsys, train.main, [*argv, "--config.model.num_cond_frames=2"])
    assert "model.num_cond_frames=2" in line
    assert not (tmp_path / "work").exists()


def test_the_demo_wants_shapes(capsys, tmp_path):
    argv = ["--config=custom:tiny", f"--workdir={tmp_path / 'work'}"]
    line = refused(capsys, demo.main, argv)
    assert "shapes" in line
    assert not (tmp_path / "work").exists()
