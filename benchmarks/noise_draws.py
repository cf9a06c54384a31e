"""What several noise draws for an encoded image are worth: images/s, and after a time.

  python benchmarks/noise_draws.py --config=shapes:tiny --draws=1,2,4 --minutes=5 \
      --workdir=work/noise_draws [--output=draws.json]

Times the training step of each number of draws, in turns in one run. Then trains each
for as many steps as fit into --minutes at its speed, with a learning rate that ends
there, and evaluates it: all have had the same time. One seed each.
"""

import dataclasses
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
from absl import flags
from speed import command, report, workloads
from speed.timing import Runner, Spread

from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.evaluation import text_table
from pix2seq_d.training.writer import JSON_LINES
from pix2seq_d.visualize.curves import read_metrics

_TURNS = 7
_SCORES = ("pq", "things_pq", "stuff_pq")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A training of one number of draws.

    Attributes:
      draws: of noise for an encoded image.
      step: seconds of a step.
      images: encoded in a step.
      num_steps: that fit into the time.
      loss: mean of the last tenth of the steps.
      scores: of the end, fractions.
    """

    draws: int
    step: Spread
    images: int
    num_steps: int
    loss: float
    scores: dict[str, float]


def main(argv: list[str]) -> None:
    """Times, trains, and prints a table."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_list("draws", ["1", "2", "4"], "Numbers.", flag_values=values)
    flags.DEFINE_float(
        "minutes", 5.0, "Of each training's steps.", flag_values=values, lower_bound=0.1
    )
    flags.DEFINE_string("workdir", None, "New folder.", flag_values=values)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config", "workdir")
    if jax.default_backend() != "cpu":
        raise app.UsageError(
            "the trainings are processes of their own, and this one holds the "
            "accelerator that they need; JAX_PLATFORMS=cpu measures on the CPU"
        )
    given = [one for one in argv if one.lstrip("-").startswith("config")]
    workdir = Path(values.workdir).resolve()
    if workdir.exists():
        raise app.UsageError(f"--workdir={workdir}: is there; give a new folder")
    report.check_output(values.output)
    configs = {
        n: command.config_of(*given, f"--config.diffusion.noise_draws={n}")
        for n in command.counts(values, "draws")
    }
    steps = _step_seconds(configs)
    found = []
    for n, config in configs.items():
        num_steps = max(1, round(60 * values.minutes / steps[n].median))
        folder = workdir / f"draws_{n}"
        _train(given, folder, draws=n, num_steps=num_steps)
        images = config.train.batch_size
        found.append(Trained(n, steps[n], images, num_steps, *_ended(folder)))
        print(f"\n{table(found)}", flush=True)
        report.write(values.output, {"minutes": values.minutes, "trained": found})


def _step_seconds(configs: dict[int, Config]) -> dict[int, Spread]:
    """Of a training step, all numbers of draws in turn."""
    jax.config.update("jax_enable_compilation_cache", False)
    runners = {
        n: Runner(workloads.make("train_step", config, batch=config.train.batch_size))
        for n, config in configs.items()
    }
    seconds: dict[int, list[float]] = {n: [] for n in configs}
    for turn in range(_TURNS + 1):
        for n, runner in runners.items():
            spent = runner.seconds(3)
            if turn:  # the first calls are slower
                seconds[n] += spent
    return {n: Spread.of(values) for n, values in seconds.items()}


def _train(config: list[str], folder: Path, *, draws: int, num_steps: int) -> None:
    options = {
        "diffusion.noise_draws": draws,
        "train.num_steps": num_steps,
        "train.eval_every": num_steps,
        "train.eval_at_start": False,
        "train.log_every": max(1, num_steps // 20),
    }
    config = [*config, *(f"--config.{k}={value}" for k, value in options.items())]
    subprocess.run(
        [sys.executable, "-m", "launch.train", f"--workdir={folder}", *config],
        check=True,
    )


def _ended(folder: Path) -> tuple[float, dict[str, float]]:
    """Loss and scores at the end of a training."""
    records = read_metrics(folder / JSON_LINES)
    losses = [record["loss"] for record in records if "loss" in record]
    tenth = losses[-max(1, len(losses) // 10) :]
    return statistics.mean(tenth), {k: records[-1][f"eval/{k}"] for k in _SCORES}


def table(found: list[Trained]) -> str:
    """Markdown, percent."""
    rows: list[tuple[Any, ...]] = [
        (
            str(one.draws),
            f"{1e3 * one.step.median:.0f}",
            f"{one.images / one.step.median:.1f}",
            f"{one.images * one.draws / one.step.median:.1f}",
            f"{one.num_steps:,}",
            f"{one.loss:.4f}",
            *(text_table.percent(one.scores[name]) for name in _SCORES),
        )
        for one in found
    ]
    head = ("draws", "ms a step", "images/s", "masks/s", "steps", "loss")
    return text_table.markdown((*head, "PQ", "things", "stuff"), rows)


if __name__ == "__main__":
    sys.exit(app.run(main, "noise_draws"))
