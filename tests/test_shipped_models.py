"""The shipped models: they are as good as they say, and found by their names."""

import json
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest

from pix2seq_d import Segmenter, assets
from pix2seq_d import config as config_lib
from pix2seq_d.assets import card
from pix2seq_d.cli import app, convert, evaluate, export, train
from pix2seq_d.data import sources
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.training import checkpoint, model_file
from pix2seq_d.training.workdir import FREE_FIELDS

ROOT = Path(__file__).parents[1]
NAMES = ["shapes", "shapes_video"]
MOST_BYTES = 8_000_000
# Two tenths of a point: one thing more or less. Rounding has moved no score of 64
# images at all, compiled for AVX2 and for SSE4.2 (2026-11-27).
TOLERANCE = 0.002


@pytest.fixture(scope="module")
def models():
    return {name: model_file.load(assets.file_of(name)) for name in NAMES}


def error_of(capsys, command, argv):
    assert app.run(command.main, "command", argv) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_they_are_there_and_small():
    assert assets.names() == NAMES
    assert all(assets.file_of(name).stat().st_size <= MOST_BYTES for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_the_file(models, tmp_path, monkeypatch, name):
    """The fixed part of the validation scenes, evaluated as users do."""
    monkeypatch.chdir(tmp_path)
    part = models[name].about["evaluations"][-1]
    argv = card.evaluate_flags(name, part["limit"])
    assert app.run(evaluate.main, "evaluate", argv) == 0
    path = tmp_path / f"{name}_evaluation" / "metrics.json"
    found = card.scores(json.loads(path.read_text()))
    assert found == pytest.approx(part["scores"], abs=TOLERANCE)


def test_the_pages_say_what_the_files_say(models):
    page = (ROOT / "docs/models.md").read_text()
    assert f"<!-- models -->\n{card.table(models)}\n<!-- /models -->" in page
    for name, model in models.items():
        text = card.card(name, model, num_bytes=assets.file_of(name).stat().st_size)
        assert f"<!-- {name} -->\n{text}\n<!-- /{name} -->" in page


def test_the_readme_has_the_rows_of_the_page(models):
    rows = [row.split() for row in card.table(models).splitlines()]
    command = "`python -m launch.evaluate --checkpoint=shapes"  # or shapes_video
    lines = (ROOT / "README.md").read_text().splitlines()
    shipped = [line.split() for line in lines if f"| {command}" in line]
    assert shipped and all(row in rows for row in shipped), "take docs/models.md's row"


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_are_of_the_training(models, name):
    model = models[name]
    *_, command = model.about["training"]["commands"]
    python, _, launcher, *flags = shlex.split(command)
    assert (python, launcher) == ("python", "launch.train")
    config = app.load_config([f for f in flags if f.startswith("--config")])
    found = config_lib.flatten(sources.with_label_space(config, model.labels))
    free = tuple(f for f in FREE_FIELDS if f.startswith(("train.", "sharding.")))
    # Whatever it was trained in, it computes in what CPUs are fastest in.
    assert model.config.train.dtype == "float32"
    free += ("train.dtype",)
    for field, value in config_lib.flatten(model.config).items():
        assert field.startswith(free) or found[field] == value, field


def test_a_name_is_enough_in_python():
    segmenter = Segmenter.from_checkpoint("shapes")
    assert segmenter.trained.workdir == assets.file_of("shapes")
    assert segmenter.label_space == Shapes.label_space


def test_one_file_becomes_another(tmp_path):
    path = tmp_path / "new" / "again.safetensors"
    argv = ["--checkpoint=shapes", "--format=weights", f"--output={path}"]
    assert app.run(export.main, "export", [*argv, "--num_steps=3"]) == 0
    first, again = (checkpoint.load(place) for place in ("shapes", path))
    assert again.config == first.config.replaced(diffusion={"num_steps": 3})
    jax.tree.map(np.testing.assert_array_equal, first.variables, again.variables)


def test_a_training_of_that_name_wins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").mkdir()
    line = error_of(capsys, export, ["--checkpoint=shapes", "--output=a.npz"])
    assert "holds no checkpoint" in line and "rename this folder" in line
    (tmp_path / "shapes").rmdir()
    # What is not there is nowhere mistaken for the shipped one.
    line = error_of(capsys, evaluate, ["--workdir=shapes"])
    assert "no such folder; the shipped model is --checkpoint=shapes" in line
    line = error_of(capsys, evaluate, ["--checkpoint=./shapes"])
    assert "no such folder" in line and "shapes, shapes_video" in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--workdir=x", "--checkpoint=shapes"], "exclude each other"),
        (["--checkpoint=shapes", "--follow"], "for a training: give --workdir"),
        (["--checkpoint="], "--workdir is missing"),
        (["--checkpoint=shapes", "--step=7"], "alone, not 7"),
        ([], "--workdir is missing"),
    ],
)
def test_evaluate_takes_one_of_two(capsys, argv, words):
    assert words in error_of(capsys, evaluate, argv)


def test_weights_are_for_every_platform(capsys, tmp_path):
    argv = ["--checkpoint=shapes", f"--output={tmp_path / 'a.npz'}", "--format=weights"]
    assert "--platforms" in error_of(capsys, export, [*argv, "--platforms=cpu"])
    assert "name the file of a model *.safetensors" in error_of(capsys, export, argv)


def test_a_video_model_starts_from_the_image_model(tmp_path, capsys):
    argv = ["--from=shapes", "--config=shapes_video:small", f"--output={tmp_path}"]
    assert app.run(convert.main, "convert", argv) == 0
    said = capsys.readouterr().out
    assert "shapes (step " in said and "widened" in said
    assert checkpoint.load(tmp_path).config.model.num_cond_frames == 2


def test_a_training_starts_from_a_name(tmp_path, capsys, micro):
    """It is read, and of another size."""
    argv = ["--config=shapes:tiny", f"--workdir={tmp_path}", *micro]
    line = error_of(capsys, train, [*argv, "--config.init.from=shapes"])
    assert "shapes (step " in line
    line = error_of(capsys, train, [*argv, "--config.init.from=shape"])
    assert "shape does not exist" in line and "shapes, shapes_video" in line


def test_a_path_is_right_in_any_folder_and_a_name_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert assets.settled("shapes") == "shapes"
    assert assets.settled("") == ""
    for path in ("./shapes", "work/shapes"):
        assert assets.settled(path) == str((tmp_path / path).resolve())
    assert assets.find(tmp_path.joinpath("shapes")) == tmp_path / "shapes"
    (tmp_path / "shapes").mkdir()
    assert assets.settled("shapes") == str((tmp_path / "shapes").resolve())
