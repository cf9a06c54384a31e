"""A tiny training becomes a shipped model: its file, its config, its command."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import saved_training

from pix2seq_d import assets
from pix2seq_d.cli import app
from pix2seq_d.training import model_file

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import ship

PART = ["--config.data.source.train_images=16", "--config.data.source.eval_images=4"]


@pytest.fixture(scope="module")
def workdir(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("work") / "mine"
    argv = ["--config=shapes:tiny", *micro, *PART, "--config.train.dtype=bfloat16"]
    saved_training.save(path, argv, steps=[2])
    line = {"step": 2, "loss": 1.0, "time": 86400.0}
    (path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty folder of models, and a page for their cards."""
    page = tmp_path / "models.md"
    places = ("models", "mine")
    page.write_text("".join(f"<!-- {p} -->\n<!-- /{p} -->\n" for p in places))
    monkeypatch.setattr(ship, "PAGE", page)
    monkeypatch.setattr(assets, "names", lambda: ["mine"])
    monkeypatch.setattr(
        assets, "file_of", lambda name: tmp_path / f"{name}.safetensors"
    )
    return tmp_path


def arguments(workdir, *more):
    return [
        *("--name=mine", f"--workdir={workdir}", "--config=shapes:tiny"),
        *("--hardware=a core", *more),
    ]


def test_a_file_is_used_with_the_settings_that_it_was_shipped_with(workdir, package):
    more = ("--config.train.dtype=float32", "--config.evaluation.min_area=9")
    ship.main(arguments(workdir, *more))
    model = model_file.load(package / "mine.safetensors")
    assert model.step == 2 and model.config.train.dtype == "float32"
    assert model.config.evaluation.min_area == 9
    # What trains it anew computes as it was trained, and gives it these settings.
    (command,) = model.about["training"]["commands"]
    flags = shlex.split(command)
    assert "--config.train.dtype=bfloat16" in flags
    assert "--config.evaluation.min_area=9" in flags
    assert command in (package / "models.md").read_text()
    assert [one["num"] for one in model.about["evaluations"]] == [4, 4]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--config.model.bit_scale=2"], "cannot be changed after training"),
        (["--write", "--config.train.dtype=float32"], "--write takes no --config."),
    ],
)
def test_other_fields_and_a_page_alone_are_refused(
    workdir, package, capsys, argv, words
):
    assert app.run(ship.main, "ship", arguments(workdir, *argv)) == 1
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (package / "mine.safetensors").exists()
