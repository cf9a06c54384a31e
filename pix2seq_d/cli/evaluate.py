"""Evaluates a checkpoint: PQ, SQ, RQ and the oracle, predictions and pictures.

  python -m launch.evaluate --workdir=work/shapes
  python -m launch.evaluate --checkpoint=shapes          # a model that is shipped
  python -m launch.evaluate --workdir=work/shapes --config.diffusion.num_steps=5
  python -m launch.evaluate --workdir=work/shapes --report
  python -m launch.evaluate --workdir=work/shapes --ladder=1,2,5,10,20
  python -m launch.evaluate --workdir=work/shapes --follow
  python -m launch.evaluate --workdir=work/shapes --shard=0/3    # on another host: 1/3

Writes metrics.json, table.md, panoptic.json with panoptic/*.png, and examples.png
(worst, median and best images) into <workdir>/evaluation/<step>; of a model in one file
or a shipped one into <name>_evaluation. With --report also
report.html, one file to look into the results with any browser. With --ladder, PQ
against the number of sampler steps instead: ladder.json, ladder.md and figures. With
--follow it waits for the checkpoints of a training that another job runs, and ends
when the last one is evaluated.

Killed at any moment, the same command goes on after the last image that was scored; a
finished evaluation begins anew. With --shard any number of hosts evaluate a part each;
the results are those of one, to the byte.
"""

import dataclasses
import functools
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from pix2seq_d import assets
from pix2seq_d.cli import (
    app,
    compilation_cache,
    evaluate_checkpoint,
    evaluate_ladder,
    evaluate_report,
    evaluate_shard,
    evaluate_video,
    processes,
)
from pix2seq_d.cli.evaluate_shard import Share
from pix2seq_d.config import Config
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import checkpoint, follow
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.evaluate import eval_line, eval_scalars
from pix2seq_d.training.journal import say
from pix2seq_d.training.writer import JSON_LINES, Writer, make_writers
from pix2seq_d.visualize.curves import read_metrics

# What may differ from the training: everything else is baked into the weights.
OVERRIDES = ("diffusion.", "evaluation.", "data.source.", "train.dtype")
EVALUATION = "evaluation"  # folder of the results in a workdir


def main(argv: list[str]) -> None:
    """The command `evaluate`."""
    command, given = shlex.join(["python", "-m", "launch.evaluate", *argv]), argv
    overrides, argv = app.split_overrides(argv)
    values = app.new_flags()
    flags.DEFINE_string("workdir", None, "Workdir of launch.train.", flag_values=values)
    flags.DEFINE_string(
        "checkpoint",
        None,
        f"In place of --workdir. {app.CHECKPOINT}.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "step", None, "Which checkpoint; the latest by default.", flag_values=values
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder for the results; <workdir>/evaluation/<step> by default, of a file "
        "<name>_evaluation. With --follow: the folder above those of the steps.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "limit",
        None,
        "Number of leading images; all by default.",
        flag_values=values,
        lower_bound=1,
    )
    flags.DEFINE_boolean(
        "report",
        False,
        "Write report.html, too: scores, errors and images or clips with layers, in "
        "one file.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "follow",
        False,
        "Evaluate the latest checkpoint whenever there is a new one, until the "
        "training ends. Scores go to <workdir>/evaluation/metrics.jsonl, too; steps "
        "in there are not evaluated again.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "all_steps",
        False,
        "With --follow: evaluate every checkpoint, the earliest first.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "follow_timeout_s",
        7200.0,
        "With --follow: seconds to wait for a new checkpoint before giving up.",
        flag_values=values,
        lower_bound=0.0,
    )
    evaluate_ladder.define(values)
    evaluate_shard.define(values)
    processes.define(values)
    assert __doc__
    sections = {m.SECTION: m.NAMES for m in (evaluate_shard, processes)}
    if not app.parse(values, argv, __doc__, sections=sections):
        return
    if values.follow and values.checkpoint:
        raise app.UsageError("--follow is for a training: give --workdir")
    if not values.checkpoint:
        app.require(values, "workdir")
        name = values.workdir
        if name in assets.names() and not Path(name).exists():
            raise app.UsageError(
                f"--workdir={name}: no such folder; the shipped model is "
                f"--checkpoint={name}"
            )
    if values.checkpoint and values.workdir:
        raise app.UsageError("--workdir and --checkpoint exclude each other; give one")
    if values.follow and values.step is not None:
        raise app.UsageError("--step and --follow exclude each other; give one")
    if values.all_steps and not values.follow:
        raise app.UsageError("--all_steps works with --follow only; add it")
    ladder = evaluate_ladder.parse(values)
    share = evaluate_shard.parse(values, given)
    if ladder and values.report:
        raise app.UsageError(
            "--ladder and --report exclude each other; run the ladder first, the "
            "report of the same output then shows it"
        )
    processes.join(values)
    # JAX takes SIGTERM in a job of several, and tells only those who ask.
    if jax.distributed.is_initialized():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    compilation_cache.use()
    if values.follow:
        _follow(values, overrides, share, command)
        return

    # An absolute path is no name: a training that is not there is not the shipped one.
    path = values.checkpoint or Path(values.workdir).resolve()
    # A training may be writing: all processes take what the first one sees.
    step = values.step
    if step is None:
        step = max(checkpoint.steps(Path(path)), default=None)
    trained = checkpoint.load(path, step=gather(step)[0])
    trained = _overridden(trained, overrides)
    in_file = trained.workdir.is_file()
    share = share.of_step(trained.step, given=in_file or values.step is not None)
    if values.output:
        output = Path(values.output)
    elif in_file:
        output = Path(f"{trained.workdir.stem}_{EVALUATION}")
    else:
        output = trained.workdir / EVALUATION / str(trained.step)
    kind = _kind(trained.config)
    if ladder and kind is evaluate_video:
        raise app.UsageError(
            f"--ladder: {path} is a model of video, whose masks depend on "
            "those before; evaluate it once for each --config.diffusion.num_steps=N"
        )
    predictor, source = kind.prepare(trained.config)
    if ladder:
        told = evaluate_ladder.evaluate(
            trained, predictor, source, output, ladder=ladder, share=share
        )
        if told is not None:
            print(told)
        return
    report = kind.evaluate(trained, predictor, source, output, share=share)
    if report is not None:
        print(kind.summary(report, source.label_space, output))
        if values.report:
            written = evaluate_report.write(
                report, trained, source, output, command=command, overrides=overrides
            )
            print(f"report:      {written}")


def _kind(config: Config) -> Any:
    """The module that evaluates a model of images, or of clips."""
    return evaluate_video if config.model.num_cond_frames else evaluate_checkpoint


def _follow(
    values: flags.FlagValues, overrides: Sequence[str], share: Share, command: str
) -> None:
    """Evaluates checkpoints as they come."""
    workdir = Path(values.workdir).resolve()
    output = Path(values.output) if values.output else workdir / EVALUATION
    path = output / JSON_LINES
    done = {record["step"] for record in read_metrics(path)} if path.exists() else set()
    writers: list[Writer] = []
    # Compiled once, as long as the training keeps its config.
    prepared = functools.lru_cache(maxsize=1)(lambda c: _kind(c).prepare(c))

    def evaluate_step(step: int) -> None:
        # A function, so that its weights are freed before the next are read.
        trained = follow.load(workdir, step)
        if trained is None:
            say(f"step {step} was deleted while it was read (train.keep); going on")
            return
        trained = _overridden(trained, overrides)
        config = trained.config
        predictor, source = prepared(config)
        folder = output / str(step)
        report = _kind(config).evaluate(trained, predictor, source, folder, share=share)
        if report is not None:
            say(eval_line(report, step, config.train.num_steps))
            if values.report:
                evaluate_report.write(
                    *(report, trained, source, folder),
                    command=command,
                    overrides=overrides,
                )
            if not writers:
                writers.extend(
                    make_writers(
                        output,
                        resume_step=max(done, default=0),
                        tensorboard=config.train.tensorboard,
                    )
                )
            for writer in writers:
                writer.write(step, eval_scalars(report))
        done.add(step)

    say(f"waiting for checkpoints in {workdir} ...")
    try:
        while True:
            step = follow.wait_for_step(
                workdir,
                done,
                all_steps=values.all_steps,
                timeout_s=values.follow_timeout_s,
            )
            if step is None:
                break
            evaluate_step(step)
    finally:
        for writer in writers:
            writer.close()
    say(f"the training's last step is evaluated: {path}")


def _overridden(trained: Trained, overrides: Sequence[str]) -> Trained:
    config = app.override(trained.config, overrides, allowed=OVERRIDES)
    return dataclasses.replace(trained, config=config)
