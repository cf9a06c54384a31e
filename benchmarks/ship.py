r"""Puts a training into the package as a shipped model, with its scores and its card.

  python benchmarks/ship.py --name=shapes --workdir=work/shapes --config=shapes:tiny \
      --hardware="two CPU cores, shared" [--config.train.dtype=float32]
  python benchmarks/ship.py --write

Writes pix2seq_d/assets/NAME.safetensors: the moving average, scores of that very file,
and the commands that train it anew; then the table and the cards of docs/models.md.
With --write only these, from the files that are there. Fields of the config are
overruled as by launch.evaluate: sampler, evaluation, and what the file computes in.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import past_training
from absl import flags

from pix2seq_d import assets
from pix2seq_d.assets import card
from pix2seq_d.cli import app, evaluate
from pix2seq_d.data import sources
from pix2seq_d.labels import LabelSpace
from pix2seq_d.scaling import page
from pix2seq_d.training import checkpoint, model_file
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.model_file import Model

PAGE = Path(__file__).resolve().parents[1] / "docs/models.md"
MOST_BYTES = 8_000_000
PART = 64  # images (of videos: frames) that tests evaluate again


def main(argv: list[str]) -> None:
    """Ships a model, or writes the page."""
    overrides, argv = app.split_overrides(argv)
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    text("name", "Of the shipped model.")
    text("workdir", "Of its training.")
    text("config", "What it was trained with, but for the fields that the card names.")
    text("hardware", "That it was trained on, for people.")
    flags.DEFINE_integer("step", None, "The latest by default.", flag_values=values)
    flags.DEFINE_bool("write", False, "Write the page alone.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    if values.write and overrides:
        raise app.UsageError("--write takes no --config. flags; it changes no file")
    if not values.write:
        app.require(values, "name", "workdir", "config", "hardware")
        path = assets.file_of(values.name)
        workdir = Path(values.workdir).resolve()
        trained = checkpoint.load(workdir, step=values.step)
        config = app.override(trained.config, overrides, allowed=evaluate.OVERRIDES)
        dtype = trained.config.train.dtype
        training = past_training.training(
            # What trains it anew gives it the settings that it is used with.
            dataclasses.replace(
                trained, config=config.replaced(train={"dtype": dtype})
            ),
            workdir,
            base=values.config,
            hardware=values.hardware,
        )
        start = trained.config.init.from_
        config = config.replaced(init={"from_": start and past_training.place(start)})
        model = (trained.variables, config, labels_now(trained), trained.step)
        about = {"training": training, **scored(values.name, model)}
        model_file.save(path, Model(*model, about=about))
        print(f"model: {path}, {path.stat().st_size / 1e6:.1f} MB")
    write_page()
    print(f"page:  {PAGE}")


def labels_now(trained: Trained) -> LabelSpace:
    """The classes of the data in today's colours."""
    config = trained.config
    size = config.model.image_size
    source = sources.make_source(config.data.source, train=False, size=size)
    sources.check_labels(trained.labels, source.label_space)
    return source.label_space


def scored(name: str, model: tuple[Any, ...]) -> dict[str, Any]:
    """Evaluates the file that the model will be, as users do.

    Raises:
      ValueError: the file is too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}{assets.SUFFIX}"
        model_file.save(path, Model(*model, about={}))
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{name}: its file is larger than {MOST_BYTES / 1e6} MB")
        found = []
        for limit in (None, PART):
            output = Path(folder) / str(limit)
            argv = card.evaluate_flags(str(path), limit)
            evaluate.main([*argv, f"--output={output}"])
            metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
            unit = "videos" if "num_videos" in metrics else "images"
            found.append(
                {
                    "limit": limit,
                    "num": metrics[f"num_{unit}"],
                    "unit": unit,
                    "scores": card.scores(metrics),
                }
            )
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = {
        package: importlib.metadata.version(package)
        for package in past_training.VERSIONS
    }
    return {"evaluations": found, "evaluated": {"day": day, "versions": versions}}


def write_page() -> None:
    """Writes the table and the cards into their places."""
    paths = {name: assets.file_of(name) for name in assets.names()}
    models = {name: model_file.load(path) for name, path in paths.items()}
    blocks = {
        name: card.card(name, model, num_bytes=paths[name].stat().st_size)
        for name, model in models.items()
    }
    page.insert(PAGE, {card.TABLE: card.table(models), **blocks})


if __name__ == "__main__":
    sys.exit(app.run(main, "ship"))
