"""Solvers and time grids at few sampler steps: PQ of trained image models.

  python benchmarks/few_steps.py --checkpoints=work/shapes[,...] [--steps=2,3,5,8]
      [--seeds=0] [--settings='ddim td=0,...'] [--images=256] [--skip=0]

A setting gives three numbers for each step: the level gamma that the decoder is told,
the level gamma' that its estimate is noised to, and how far the estimate is first
carried on along the line from the one before. All else is the library's. Images are
encoded once, a step is compiled once. Prints JSON lines, then a table for each
checkpoint, in percent: PQ, mean over the seeds of noise ± half their range (things,
stuff).
"""

import dataclasses
import functools
import itertools
import json
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from few_step_settings import Setting, coefficients, tried
from speed import command

from pix2seq_d.cli import app
from pix2seq_d.data import sources
from pix2seq_d.diffusion.sampler import ddim_step
from pix2seq_d.evaluation import text_table
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.image_scores import reports
from pix2seq_d.evaluation.runner import Evaluation
from pix2seq_d.inference.image import decode_labels
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.models.attention_choice import model_on
from pix2seq_d.progress import Progress
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint

KINDS = ("All", "Things", "Stuff")

Found = dict[tuple[int, str], list[list[float]]]  # (n, name) -> seeds x KINDS, percent


class Sampler:
    """Samples encoded images with any coefficients; common beginnings are kept."""

    def __init__(self, model: Pix2SeqD, variables: Any, prepared: Any) -> None:
        self._step = functools.partial(_step, variables, prepared, model=model)
        self._kept: dict[bytes, tuple[jax.Array, jax.Array]] = {}

    def x0(self, x_init: jax.Array, rows: np.ndarray) -> jax.Array:
        """The last estimate; `rows` are those of `coefficients`."""
        x, x0 = x_init, jnp.zeros_like(x_init)
        for k, row in enumerate(rows):
            key = rows[: k + 1].tobytes()
            if key not in self._kept:
                self._kept[key] = self._step(x, x0, row)
            x, x0 = self._kept[key]
        return x0


@functools.partial(jax.jit, static_argnames="model")
def _step(
    variables: Any,
    prepared: Any,
    xt: jax.Array,
    last: jax.Array,
    row: jax.Array,
    *,
    model: Pix2SeqD,
) -> tuple[jax.Array, jax.Array]:
    b = model.config.bit_scale
    gamma, gamma_next = (jnp.broadcast_to(g, xt.shape[:1]) for g in row[:2])
    x0 = jnp.clip(model.denoise(variables, xt, gamma, prepared).x0, -b, b)
    carried = jnp.clip(x0 + row[2] * (x0 - last), -b, b)
    return ddim_step(xt, carried, gamma=gamma, gamma_next=gamma_next), x0


@functools.partial(jax.jit, static_argnames="shape")
def _noise(root: jax.Array, index: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    """The first noise of `inference.predictor`, keyed by image."""

    def of_image(i: jax.Array) -> jax.Array:
        return jax.random.normal(
            jax.random.fold_in(jax.random.fold_in(root, i), 0), shape
        )

    return jax.vmap(of_image)(jnp.maximum(index, 0))


def main(argv: list[str]) -> None:
    """Prints the results."""
    values = app.new_flags()
    define = functools.partial(flags.DEFINE_list, flag_values=values)
    define("checkpoints", None, "Of image models.")
    define("steps", ["2", "3", "5", "8"], "Numbers of decoder evaluations.")
    define("seeds", ["0"], "Of the noise.")
    define("settings", None, "Their names; all by default.")
    number = functools.partial(flags.DEFINE_integer, flag_values=values)
    number("images", 256, "How many.", lower_bound=1)
    skipped = "Images left out before them; `shapes` never ends."
    number("skip", 0, skipped, lower_bound=0)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoints")
    known = {str(setting): setting for setting in tried()}
    names = values.settings or list(known)
    for name in set(names) - set(known):
        raise app.UsageError(f"--settings: no {name!r}; choose of {', '.join(known)}")
    chosen = [known[name] for name in names]
    steps = command.counts(values, "steps")
    if not all(seed.isdigit() for seed in values.seeds):
        raise app.UsageError(f"--seeds={','.join(values.seeds)}: whole numbers from 0")
    seeds = list(map(int, values.seeds))
    positions = range(values.skip, values.skip + values.images)
    for path in values.checkpoints:
        print(table(score(path, chosen, steps, seeds, positions), steps, names))


def score(
    path: str,
    chosen: Sequence[Setting],
    steps: Sequence[int],
    seeds: Sequence[int],
    positions: range,
) -> Found:
    """PQ of a checkpoint, all settings and seeds."""
    trained = checkpoint.load(path)
    if trained.config.model.num_cond_frames:
        raise app.UsageError(f"--checkpoints={path}: is a model of video")
    config = trained.config
    source = sources.make_source(
        dataclasses.replace(config.data.source, eval_images=positions.stop),
        train=False,
        size=config.model.image_size,
    )
    positions = range(positions.start, min(positions.stop, len(source)))
    mesh = meshes.make_mesh()
    predictor = Predictor(config, mesh, seed=0)
    model = model_on(config.model, config.train.dtype, mesh.devices.flat)
    schedule = config.diffusion.sample_schedule.make()
    plans: dict[tuple[int, bytes], tuple[np.ndarray, list[str]]] = {}
    for n, setting in itertools.product(steps, chosen):
        rows = coefficients(setting, n, schedule)
        # What the last step leads to is not looked at.
        rows[-1, 1:] = 0
        plans.setdefault((n, rows.tobytes()), (rows, []))[1].append(str(setting))
    evaluation = Evaluation(
        lambda labels, index: labels,  # they are sampled below
        source,
        eval_settings(config, predictor.mesh),
        positions=positions,
    )
    scored: dict[Any, list] = {(plan, seed): [] for plan in plans for seed in seeds}
    progress = Progress("few steps", len(positions) * len(scored), unit="mask")
    prepare = jax.jit(model.prepare)
    decode = jax.jit(functools.partial(decode_labels, config=config.model))
    done = 0
    for batch, rows in evaluation.batches():
        features = predictor.encode(trained.variables, batch["image"])
        prepared = prepare(trained.variables, features)
        for seed in seeds:
            sample = Sampler(model, trained.variables, prepared)
            shape = (*config.model.mask_size, config.model.num_bits)
            x_init = _noise(jax.random.key(seed), batch["index"], shape=shape)
            for plan, (coefs, _) in plans.items():
                labels = np.asarray(decode(sample.x0(x_init, coefs)))
                for one in evaluation.score(labels, batch["index"], rows):
                    scored[plan, seed].append((one.index, one.score))
                done += len(rows)
                progress.update(done)
    found: Found = {}
    categories = Categories.of(source.label_space)
    for (plan, (_, names)), seed in itertools.product(plans.items(), seeds):
        (report,) = reports(scored[plan, seed], categories)
        pq = [100 * report.pq[kind]["pq"] for kind in KINDS]
        for name in names:
            found.setdefault((plan[0], name), []).append(pq)
        line = {"checkpoint": path, "seed": seed, "n": plan[0], "settings": names}
        print(json.dumps(line | dict(zip(KINDS, np.round(pq, 3), strict=True))))
    return found


def table(found: Found, steps: Sequence[int], names: Sequence[str]) -> str:
    """A row for each setting, a column for each number of steps."""

    def cell(scores: Sequence[Sequence[float]]) -> str:
        (pq, things, stuff), spread = np.mean(scores, 0), np.ptp(scores, 0)[0] / 2
        among = f" ± {spread:.1f}" if len(scores) > 1 else ""
        return f"{pq:.1f}{among} ({things:.1f}, {stuff:.1f})"

    rows = [[name, *(cell(found[n, name]) for n in steps)] for name in names]
    return text_table.markdown(["setting", *(f"{n} steps" for n in steps)], rows)


if __name__ == "__main__":
    sys.exit(app.run(main, "few_steps"))
