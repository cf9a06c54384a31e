"""launch.convert and --config.init.from on real checkpoints of this project."""

import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image
from tiny_model import random_variables

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, convert, predict, train
from pix2seq_d.convert.report import Report
from pix2seq_d.convert.transfer import Transferred
from pix2seq_d.data import sources
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.training import checkpoint

INPUT = ("decoder", "input", "kernel")


def run(main, argv):
    assert app.run(main, "test", argv) == 0


def error_of(capsys, main, argv):
    assert app.run(main, "command", argv) == 1
    error = capsys.readouterr().err
    assert error.startswith("command: error: ")
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def source(tmp_path_factory, micro):
    """A workdir at step 0, its average 1.5 times its weights."""
    workdir = tmp_path_factory.mktemp("source") / "work"
    config = config_lib.from_config_dict(shapes.get_config("tiny"))
    config = app.override(config, micro, allowed=("",))
    config = sources.with_label_space(config, Shapes.label_space)
    variables = random_variables(Pix2SeqD(config.model))
    made = Transferred(
        variables,
        jax.tree.map(lambda leaf: 1.5 * leaf, variables),
        Report((), config.model, (), (), (), ()),
    )
    convert.save(made, workdir, config=config, labels=Shapes.label_space)
    return workdir


@pytest.fixture
def target(micro):
    """The config of a model with self-conditioning; a step changes no weight."""
    return [
        "--config=shapes:tiny",
        *micro,
        "--config.model.self_conditioning=x",
        "--config.data.source.train_images=8",
        "--config.data.source.eval_images=8",
        "--config.train.num_steps=1",
        "--config.train.eval_at_start=False",
        "--config.optimizer.peak_lr=0.0",
        "--config.optimizer.ema_decay=1.0",
    ]


@pytest.fixture
def argv(source, target, tmp_path):
    return [*target, f"--from={source}", f"--output={tmp_path / 'out'}"]


def assert_widened(made, source):
    """`made` holds the arrays of `source`, and zeros for the estimate's channels."""
    kernel = source["params"]["decoder"]["input"]["kernel"]
    wider = made["params"]["decoder"]["input"]["kernel"]
    bits = 8
    np.testing.assert_array_equal(wider[:, :, :bits], kernel[:, :, :bits])
    np.testing.assert_array_equal(wider[:, :, 2 * bits :], kernel[:, :, bits:])
    assert not wider[:, :, bits : 2 * bits].any()

    def check(path, a, b):
        if tuple(key.key for key in path[1:]) != INPUT:
            np.testing.assert_array_equal(a, b)

    jax.tree_util.tree_map_with_path(check, made, source)


def test_a_checkpoint_for_another_stage(argv, target, source, tmp_path, capsys):
    run(convert.main, argv)
    text = capsys.readouterr().out
    assert f"from {source} (step 0)" in text
    assert "model.self_conditioning: 'none' -> 'x'" in text
    assert "widened  decoder/input/kernel" in text
    assert "8 rows of zeros" in text
    for weights in ("ema", "online"):
        made = checkpoint.load(tmp_path / "out", weights=weights)
        before = checkpoint.load(source, weights=weights)
        assert_widened(made.variables, before.variables)
    assert made.step == 0
    assert made.config.model.self_conditioning == "x"
    assert made.labels == before.labels

    # It predicts ...
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(photo)
    out = tmp_path / "masks"
    checkpoint_argv = [f"--checkpoint={tmp_path / 'out'}", f"--output={out}"]
    run(predict.main, [*checkpoint_argv, f"--input={photo}"])
    assert len(json.loads((out / "panoptic.json").read_text())["annotations"]) == 1

    # ... and trains on.
    run(train.main, [*target, f"--workdir={tmp_path / 'out'}"])
    after = checkpoint.load(tmp_path / "out")
    assert after.step == 1
    assert_widened(after.variables, checkpoint.load(source).variables)


def test_training_starts_from_other_weights(target, source, tmp_path, capsys):
    workdir = tmp_path / "work"
    run(train.main, [*target, f"--workdir={workdir}", f"--config.init.from={source}"])
    error = capsys.readouterr().err
    assert "widened  decoder/input/kernel" in error
    made = checkpoint.load(workdir, weights="online")
    before = checkpoint.load(source, weights="online")
    assert made.step == 1
    assert_widened(
        {"params": made.variables["params"]}, {"params": before.variables["params"]}
    )
    made, before = checkpoint.load(workdir), checkpoint.load(source)
    assert_widened(made.variables, before.variables)
    assert made.config.init.from_ == str(source)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (["--from="], ["--from is missing"]),
        (["--output="], ["--output is missing"]),
        (["--from=nowhere"], ["nowhere", "does not exist"]),
        (["--kind=keras"], ["--kind", "official|detection|resnet50|checkpoint"]),
        (["--kind=official"], ["holds no TensorFlow checkpoint"]),
        (["--config.init.encoder=x"], ["pass --from and --encoder"]),
        (["--labels=nowhere.json"], ["nowhere.json: no such file"]),
        (
            ["--config.model.decoder.dim=16"],
            ["(8, 32)", "change model.decoder.dim", "more differ)"],
        ),
        (["--config.model.conditioning=()", "--encoder=SOURCE"], ["conditioning"]),
    ],
)
def test_what_cannot_be_converted(argv, source, tmp_path, capsys, change, parts):
    change = [part.replace("SOURCE", str(source)) for part in change]
    error = error_of(capsys, convert.main, [*argv, *change])
    for part in parts:
        assert part in error
    assert not (tmp_path / "out").exists()


def test_a_training_is_never_overwritten(argv, source, capsys):
    before = sorted(source.rglob("*"))
    error = error_of(capsys, convert.main, [*argv, f"--output={source}"])
    assert "holds a training already" in error
    assert sorted(source.rglob("*")) == before


def test_a_damaged_checkpoint_is_named(argv, source, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    for file in (broken / "checkpoints" / "0" / "variables").rglob("*"):
        if file.is_file() and file.stat().st_size > 5000:
            file.write_bytes(file.read_bytes()[:1000])
    error = error_of(capsys, convert.main, [*argv, f"--from={broken}"])
    assert "broken/checkpoints/0 cannot be read" in error
    (broken / "checkpoints" / "0").rename(broken / "elsewhere")
    error = error_of(capsys, convert.main, [*argv, f"--from={broken}"])
    assert "holds no checkpoint" in error
    assert not (tmp_path / "out").exists()


def test_training_names_the_field_of_wrong_weights(target, source, tmp_path, capsys):
    argv = [*target, f"--workdir={tmp_path / 'work'}", "--config.model.decoder.dim=16"]
    assert app.run(train.main, "train", [*argv, f"--config.init.from={source}"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "does not fit the config" in error
    nowhere = f"--config.init.encoder={tmp_path}/no"
    assert app.run(train.main, "train", [*argv, nowhere]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "init.encoder=" in error and "does not exist" in error
