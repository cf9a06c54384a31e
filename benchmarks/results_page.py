r"""Writes a page of results: a training, its curves and its scores, from its workdir.

  python -m launch.evaluate --workdir=work/shapes
  python benchmarks/results_page.py --workdir=work/shapes --config=shapes:tiny \
      --name=shapes_training --hardware="two CPU cores, shared" [--baseline=FILE]

Writes NAME.md and NAME.svg into docs/results, of the latest checkpoint and of what
launch.evaluate has written for it, the ladder included. A page that is there keeps what
people wrote before and after the place <!-- training -->. --baseline takes the JSON of
trivial_baseline.py for the same images. No picture of an image is in the page.
"""

import dataclasses
import datetime
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import past_training
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.assets import card
from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import app, curves, evaluate, evaluate_ladder
from pix2seq_d.config import Config
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import parse_json
from pix2seq_d.report import ladder
from pix2seq_d.reproduce import states
from pix2seq_d.scaling import page
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.model_file import Model
from pix2seq_d.training.workdir import FREE_FIELDS

PLACE = "training"  # of all that is written, in the page
RESULTS = Path(__file__).resolve().parents[1] / "docs/results"
# Groups of the config, and what metrics.json calls them.
_MADE_WITH = {"diffusion": "sampler", "evaluation": "evaluation"}
# Fields of the sampler, which no training depends on.
_SAMPLER = [
    field.removeprefix("diffusion.").rstrip(".")
    for field in FREE_FIELDS
    if field.startswith("diffusion.")
]
# Flags of a ladder, and what ladder.json calls them.
_LADDER = {"ladder": "num_steps", "ladder_time_difference": "time_difference"}


def main(argv: list[str]) -> None:
    """Writes the page."""
    values = app.new_flags()

    def text(name: str, doc: str, default: str | None = None) -> None:
        flags.DEFINE_string(name, default, doc, flag_values=values)

    text("workdir", "Of the training.")
    text("config", "What it was trained with, but for the fields that the page names.")
    text("hardware", "That it was trained on, for people.")
    text("name", "Of the page.")
    text("output", "Folder of the page.", str(RESULTS))
    text("baseline", "JSON of trivial_baseline.py.")
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "workdir", "config", "hardware", "name")
    workdir = Path(values.workdir).resolve()
    found = Evaluated.read(workdir, base=values.config)
    training = past_training.training(
        found.as_trained(),
        workdir,
        base=values.config,
        hardware=values.hardware,
    )
    baseline = found.baseline(Path(values.baseline)) if values.baseline else None
    target = Path(values.output) / f"{values.name}.md"
    figure = target.with_suffix(".svg")
    curves.draw([workdir], figure)
    block = "\n\n".join(
        (
            *scores(found, training, baseline),
            f"![Loss, PQ, learning rate and gradient norm over steps]({figure.name})",
            *origins(found, training, values.config),
            *details(found),
            f"Written {datetime.date.today().isoformat()} by "
            f"`{shlex.join(['python', 'benchmarks/results_page.py', *argv])}`.",
        )
    )
    if not target.exists():
        title = f"# `{values.config}`: a training and its scores"
        replace_text(target, f"{title}\n\n<!-- {PLACE} -->\n<!-- /{PLACE} -->\n")
    page.insert(target, {PLACE: block})
    print(f"page:   {target}\nfigure: {figure}")


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A checkpoint, and what `launch.evaluate` has written of it.

    Attributes:
      trained: the latest checkpoint.
      folder: of the results.
      metrics: of metrics.json.
      config: that it was evaluated with.
      today: of the file and variant that the training's command names.
    """

    trained: Trained
    folder: Path
    metrics: Mapping[str, Any]
    config: Config
    today: Config

    @classmethod
    def read(cls, workdir: Path, *, base: str) -> "Evaluated":
        """Of the latest checkpoint of a workdir; `base` as of `past_training`.

        Raises:
          UsageError: it is not evaluated, or not on all images, or one of videos.
        """
        trained = checkpoint.load(workdir)
        folder = workdir / evaluate.EVALUATION / str(trained.step)
        path = folder / states.METRICS
        if not path.is_file():
            raise app.UsageError(
                f"--workdir={workdir}: step {trained.step} is not evaluated; run "
                f"python -m launch.evaluate --workdir={workdir} first"
            )
        metrics = parse_json(File.read(path))
        if "vpq" in metrics:
            raise app.UsageError(
                f"--workdir={workdir}: its results are of videos; pages are of images"
            )
        if metrics.get("left_out"):
            raise app.UsageError(
                f"{path}: --limit left out {metrics['left_out']} images; run "
                f"python -m launch.evaluate --workdir={workdir} without it"
            )
        fields = config_lib.to_config_dict(trained.config).to_dict()
        fields |= {name: metrics[key] for name, key in _MADE_WITH.items()}
        config = _of_dtype(config_lib.from_config_dict(fields), metrics)
        today = app.load_config([f"--config={base}"])
        return cls(trained, folder, metrics, config, today)

    def command(self, *more: str) -> str:
        """The evaluation, as a shell takes it, of this workdir and of a later one."""
        trained = config_lib.flatten(self.trained.config)
        later = config_lib.flatten(self.as_trained().config)
        changed = [
            f"--config.{name}={value}"
            for name, value in config_lib.flatten(self.config).items()
            if value != trained[name] or value != later[name]
        ]
        where = f"--workdir={past_training.place(str(self.trained.workdir))}"
        return shlex.join(["python", "-m", "launch.evaluate", where, *changed, *more])

    def as_trained(self) -> Trained:
        """The checkpoint; what prediction alone depends on is as in the config file."""
        config = dataclasses.replace(
            self.trained.config,
            diffusion=dataclasses.replace(
                self.trained.config.diffusion,
                **{name: getattr(self.today.diffusion, name) for name in _SAMPLER},
            ),
            evaluation=self.today.evaluation,
        )
        return dataclasses.replace(self.trained, config=config)

    def model(self, training: Mapping[str, Any]) -> Model:
        """What `card` describes; `training` as there."""
        of, about = self.trained, {"training": training}
        return Model(of.variables, self.config, of.labels, of.step, about)

    def baseline(self, path: Path) -> Mapping[str, Any]:
        """What trivial_baseline.py has written.

        Raises:
          UsageError: the file is something else, or of other classes or images.
        """
        found = parse_json(File.read(path))
        if not isinstance(found, dict) or found.get("benchmark") != "trivial_baseline":
            raise app.UsageError(
                f"--baseline={path}: is not of trivial_baseline.py; give its --output"
            )
        best = found["baselines"][found["best"]]
        same = _names(best) == _names(self.metrics)
        if not same or found["images"]["val"] != self.metrics["num_images"]:
            raise app.UsageError(
                f"--baseline={path}: has other classes or another number of images "
                "than the evaluation; run it on the same data"
            )
        return found


def _of_dtype(config: Config, scores: Mapping[str, Any]) -> Config:
    """The config with the dtype of a file of scores; those of before do not say it."""
    return config.replaced(train={"dtype": scores.get("dtype") or config.train.dtype})


def _names(result: Mapping[str, Any]) -> list[str]:
    return [entry["name"] for entry in result["per_class"].values()]


def scores(
    found: Evaluated, training: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> Iterator[str]:
    """The row of the README's table, then all scores beside those of no model."""
    metrics = found.metrics
    evaluation = {
        "num": metrics["num_images"],
        "unit": "images",
        "scores": card.scores(metrics),
    }
    name = Path(past_training.place(str(found.trained.workdir))).name
    yield card.result(name, found.model(training), evaluation, found.command())
    rows = {"this model": metrics}
    if baseline:
        rows |= {f"no model: {k}": v for k, v in baseline["baselines"].items()}
    yield table.groups_markdown(rows | {"oracle": metrics["oracle"]})
    yield (
        "Percent. The oracle is the truth sent through mask size and back, the most "
        "that masks of this size can reach. One training, one seed."
    )
    if baseline:
        best = baseline["baselines"][baseline["best"]]["All"]["pq"]
        times = (
            f"; this model {metrics['All']['pq'] / best:.2f} times that" if best else ""
        )
        yield (
            "The best prediction that never looks at the image, "
            f"{baseline['best']}, has PQ {percent(best)}{times}. By "
            f"`{baseline['command']}`, {baseline['date']}, commit "
            f"{baseline['commit'] or 'not recorded'}."
        )


def origins(
    found: Evaluated, training: Mapping[str, Any], config: str
) -> Iterator[str]:
    """Settings, commit, versions, hardware, seed, and the commands."""
    model = found.model(training)
    facts = {
        "config": f"`{config}`, and what the command names",
        **card.network_facts(model),
        **card.training_facts(model),
    }
    written = (found.folder / states.METRICS).stat().st_mtime
    day = datetime.datetime.fromtimestamp(written, datetime.UTC).date()
    facts["evaluated"] = f"{day.isoformat()}; by which commit is not recorded"
    yield card.fact_list(facts)
    lines = [*training["commands"], found.command()]
    yield "```bash\n" + "\n".join(lines) + "\n```"


def details(found: Evaluated) -> Iterator[str]:
    """The scores of each class, and the ladder where there is one."""
    yield "## Classes"
    yield (found.folder / "table.md").read_text(encoding="utf-8").strip()
    path = found.folder / ladder.FILE
    if path.is_file():
        content = parse_json(File.read(path))
        rows = content["rows"]
        given = [
            f"--{flag}={','.join(f'{v:g}' for v in sorted({row[key] for row in rows}))}"
            for flag, key in _LADDER.items()
        ]
        of = dataclasses.replace(found, config=_of_dtype(found.config, content))
        yield f"## Sampler steps\n\n`{of.command(*given)}`"
        text = found.folder / evaluate_ladder.TABLE_FILE
        yield text.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(app.run(main, "results_page"))
