"""The only training loop: build, restore, step, log, evaluate, save."""

import dataclasses
import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pix2seq_d.config import Config
from pix2seq_d.convert import start
from pix2seq_d.data import sources
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import parameter_count
from pix2seq_d.progress import Progress
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import optimizer as optimizers
from pix2seq_d.training import program as programs
from pix2seq_d.training import state as states
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.checkpoint import CheckpointStore
from pix2seq_d.training.evaluate import eval_line, eval_scalars, evaluate_ema
from pix2seq_d.training.program import Program
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.writer import Writer, make_writers


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient norm is not a number any more."""


def train(config: Config, workdir: Path) -> TrainState:
    """Trains, or goes on from the latest checkpoint in `workdir`.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/` and TensorBoard files.

    Args:
      config: what to train.
      workdir: made if absent; one training only.
    Returns:
      The state at the end.
    Raises:
      ConfigError: a field is wrong, or the workdir holds another training.
      NonFiniteLoss: the loss or the gradient norm became infinite or NaN.
    """
    model_size = config.model.image_size
    source = sources.make_source(
        config.data.source,
        train=True,
        size=model_size,
        max_missing=config.data.max_skipped,
    )
    eval_source = sources.make_source(config.data.source, train=False, size=model_size)
    labels = source.label_space
    sources.check_labels(labels, eval_source.label_space)
    config = sources.with_label_space(config, labels)
    mesh = meshes.make_mesh(**dataclasses.asdict(config.sharding))
    meshes.check_batch_size(
        config.evaluation.batch_size, mesh, field="evaluation.batch_size"
    )
    program = programs.make(config, mesh)
    workdir = workdir.resolve()
    workdirs.claim(workdir, config)
    predictor = Predictor(config, mesh, seed=config.evaluation.seed)

    with ExitStack() as stack:
        store = stack.enter_context(CheckpointStore(workdir, keep=config.train.keep))
        first_step = store.latest_step() or 0
        if store.latest_step() is None:
            state = fresh_state(config, labels, program)
        else:
            state = store.restore(program.state, step=first_step)
            sources.check_labels(store.labels(first_step), labels)
        if first_step >= config.train.num_steps:
            _say(f"{workdir} is trained to step {first_step} already; nothing to do")
            return state
        _say(
            f"{'going on from step ' + str(first_step) if first_step else 'training'}: "
            f"{parameter_count(state.variables['params']) / 1e6:.2f} M parameters, "
            f"{len(source)} images, {mesh.size} x {jax.devices()[0].device_kind}"
        )
        writers = make_writers(
            workdir, resume_step=first_step, tensorboard=config.train.tensorboard
        )
        for writer in writers:
            stack.callback(writer.close)
        batches = sources.train_batches(
            source,
            config,
            mesh=mesh,
            start_step=first_step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        stack.callback(batches.close)

        def evaluate(state: TrainState, step: int) -> None:
            report = evaluate_ema(state, predictor, eval_source, config)
            _write(writers, step, eval_scalars(report))
            _say(eval_line(report, step, config.train.num_steps))

        def save(state: TrainState) -> None:
            store.save(state, config=config, labels=labels)

        if first_step == 0 and config.train.eval_at_start:
            evaluate(state, 0)
        return run(
            state,
            batches,
            config=config,
            key=jax.random.key(config.train.seed),
            first_step=first_step,
            step_fn=program.step,
            writers=writers,
            evaluate=evaluate,
            save=save,
        )


def run(
    state: TrainState,
    batches: Iterator[dict[str, jax.Array]],
    *,
    config: Config,
    key: jax.Array,
    first_step: int,
    step_fn: Any,
    writers: list[Writer],
    evaluate: Any,
    save: Any,
) -> TrainState:
    """Steps from `first_step` to the end; takes any iterator of batches."""
    train = config.train
    rate = optimizers.learning_rate(config.optimizer, num_steps=train.num_steps)
    progress = Progress("train", train.num_steps, done=first_step)
    _say("compiling the training step ...")
    window: list[dict[str, jax.Array]] = []
    window_start = time.monotonic()
    for step in range(first_step + 1, train.num_steps + 1):
        state, scalars = step_fn(state, next(batches), key)
        window.append(scalars)
        if step == first_step + 1:
            jax.block_until_ready(state)
            progress.restart(step)
            window_start = time.monotonic()
        last = step == train.num_steps
        due = step % train.log_every == 0 or last
        saving = step % train.checkpoint_every == 0 or last
        if due or saving:
            means = _means(window)
            seconds = time.monotonic() - window_start
            if not all(math.isfinite(v) for v in means.values()):
                raise NonFiniteLoss(
                    f"step {step}: {means}; the last checkpoint is kept; lower "
                    "optimizer.peak_lr or raise optimizer.warmup_steps, and start "
                    "again in a new workdir"
                )
            means["learning_rate"] = float(rate(step - 1))
            means["images_per_second"] = (
                len(window) * train.batch_size / max(seconds, 1e-9)
            )
            _write(writers, step, means)
            progress.update(
                step,
                f"loss {means['loss']:.4f}  lr {means['learning_rate']:.2e}  "
                f"{means['images_per_second']:.1f} images/s",
            )
            window = []
        if saving:
            save(state)
        if last or (train.eval_every and step % train.eval_every == 0):
            before = time.monotonic()
            evaluate(state, step)
            progress.pause(time.monotonic() - before)
        if not window:
            window_start = time.monotonic()
    return state


def fresh_state(config: Config, labels: LabelSpace, program: Program) -> TrainState:
    """The state at step 0: drawn, or from the weights that `init` names."""
    # Threefry would be compiled once for every parameter: three times as long.
    # The price: a seed may give other weights on another kind of device.
    key = jax.random.key(config.train.seed, impl="unsafe_rbg")
    started = start.start(config, labels, key=key)
    if started is None:
        return program.init(key)
    _say(str(started.report))
    made = states.of(started.variables, started.ema, optimizer=program.optimizer)
    return jax.device_put(made, jax.tree.map(lambda leaf: leaf.sharding, program.state))


def _means(window: list[dict[str, jax.Array]]) -> dict[str, float]:
    values = jax.device_get(window)
    return {name: float(np.mean([v[name] for v in values])) for name in values[0]}


def _write(writers: list[Writer], step: int, scalars: dict[str, float]) -> None:
    for writer in writers:
        writer.write(step, scalars)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
