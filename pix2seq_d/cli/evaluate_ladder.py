"""One checkpoint evaluated with several sampler settings; images are encoded once."""

import collections
import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from pix2seq_d.cli import app
from pix2seq_d.cli.evaluate_records import (
    finish,
    left,
    made_of,
    open_shards,
    under_way,
)
from pix2seq_d.cli.evaluate_shard import WHOLE, Share
from pix2seq_d.cli.ladder_times import Timed, seconds_per_image
from pix2seq_d.config import DiffusionConfig
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation import ladder_table
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.diagnosis import Diagnosis
from pix2seq_d.evaluation.image_scores import ImageScore, reports
from pix2seq_d.evaluation.ladder import LadderEvaluation, Rung
from pix2seq_d.evaluation.shards import Record
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.progress import Progress
from pix2seq_d.report import ladder as ladder_page
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.journal import say
from pix2seq_d.visualize import diagram, ladder_plot

TABLE_FILE = "ladder.md"
STEPS_FIGURE, TIME_FIGURE = "pq_against_steps", "pq_against_time_difference"


@dataclasses.dataclass(frozen=True)
class Ladder:
    """What to evaluate: every number of steps with every time difference.

    Attributes:
      steps: numbers of sampler steps, ascending.
      time_differences: ascending; empty: the config's.
    """

    steps: tuple[int, ...]
    time_differences: tuple[float, ...] = ()


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""
    flags.DEFINE_string(
        "ladder",
        None,
        "Numbers of sampler steps, such as 1,2,5,10,20: scores all of them from one "
        "encoder pass an image, into ladder.json, ladder.md and pq_against_steps.svg "
        "and .png; predictions and metrics.json are left to an evaluation without it.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "ladder_time_difference",
        None,
        "With --ladder: time differences of the sampler, such as 0,1,2,3, each with "
        "every number of steps; the config's by default.",
        flag_values=values,
    )


def parse(values: flags.FlagValues) -> Ladder | None:
    """The ladder that the flags ask for; None where there is none.

    Raises:
      UsageError: a value is no list of numbers, or the flags do not go together.
    """
    if values.ladder is None:
        if values.ladder_time_difference is not None:
            raise app.UsageError(
                "--ladder_time_difference works with --ladder only; add it, such as "
                "--ladder=5,10,20"
            )
        return None
    if values.follow:
        raise app.UsageError("--ladder and --follow exclude each other; give one")
    steps = _numbers("ladder", values.ladder, int, "whole numbers from 1 on")
    if steps[0] < 1:
        raise app.UsageError(f"--ladder={values.ladder}: take 1 step or more")
    text, times = values.ladder_time_difference, ()
    if text is not None:
        name = "ladder_time_difference"
        times = _numbers(name, text, float, "numbers from 0 on")
        if not (times[0] >= 0 and all(map(math.isfinite, times))):
            raise app.UsageError(f"--{name}={text}: take numbers from 0 on")
    return Ladder(steps, times)


def evaluate(
    trained: Trained,
    predictor: Predictor,
    source: Source,
    output: Path,
    *,
    ladder: Ladder,
    share: Share = WHOLE,
) -> str | None:
    """Evaluates and writes the files; all processes have to call it.

    They are ladder.json, ladder.md, pq_against_steps.svg and .png, and with several
    time differences pq_against_time_difference.svg and .png. An evaluation that was
    not finished in the same output goes on.

    Args:
      trained: the checkpoint.
      predictor: of its config.
      source: labelled images.
      output: made if absent; one folder for all processes.
      ladder: the settings.
      share: what this command evaluates.
    Returns:
      What a person is told at the end; None where this process does not write files.
    """
    config = trained.config
    sources.check_labels(trained.labels, source.label_space)
    times = ladder.time_differences or (config.diffusion.time_difference,)
    samplers = [
        dataclasses.replace(config.diffusion, num_steps=n, time_difference=td)
        for td, n in itertools.product(times, ladder.steps)
    ]
    total = share.total(len(source))
    size = {"total": total, "unit": "image"}
    rungs = [[sampler.num_steps, sampler.time_difference] for sampler in samplers]
    shards = open_shards(output, trained, kind="ladder", total=total, ladder=rungs)
    positions = left(shards, share, **size)
    encode = Timed(functools.partial(predictor.encode, trained.variables))
    sample = functools.partial(predictor.sample, trained.variables)
    predict = [
        Timed(functools.partial(sample, diffusion=sampler)) for sampler in samplers
    ]
    settings = eval_settings(config, predictor.mesh)
    evaluation = LadderEvaluation(
        encode,
        predict,
        source,
        settings,
        positions=positions,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    if positions:
        say(
            f"evaluating step {trained.step} on {len(positions)} images, encoded once, "
            f"with {', '.join(map(str, ladder.steps))} sampler steps and time "
            f"difference {', '.join(f'{td:g}' for td in times)} ..."
        )
    # By sampler steps: those are what takes the time.
    work = [sampler.num_steps for sampler in samplers]
    progress = Progress("ladder", len(evaluation.mine) * sum(work), unit="sampler step")
    done, compiling = 0, True
    found: dict[int, list[Diagnosis]] = collections.defaultdict(list)
    with under_way(shards):
        for number, scored in evaluation:
            found[scored.index] += scored.score.found
            if number == len(samplers) - 1:
                score = ImageScore(scored.score.oracle, tuple(found.pop(scored.index)))
                spent = [
                    timed.spent(settings.batch_size) for timed in (encode, *predict)
                ]
                shards.add(scored.index, score.to_json(), seconds=spent)
            done += work[number]
            if jax.process_index():
                continue
            if compiling:
                progress.restart(done)
                compiling = not predict[-1].calls
            progress.update(done)
    write = functools.partial(
        _write_results, trained=trained, source=source, output=output, samplers=samplers
    )
    return finish(shards, share, write, **size)


def _write_results(
    records: Mapping[int, Record],
    *,
    trained: Trained,
    source: Source,
    output: Path,
    samplers: Sequence[DiffusionConfig],
) -> str:
    scores = ((k, ImageScore.from_json(record.score)) for k, record in records.items())
    encoding, *sampling = seconds_per_image(records.values())
    rungs = [
        Rung(sampler.num_steps, sampler.time_difference, report, seconds)
        for sampler, report, seconds in zip(
            samplers,
            reports(scores, Categories.of(source.label_space)),
            sampling,
            strict=True,
        )
    ]
    _write(rungs, trained, source, output, encoding=encoding)
    return _summary(rungs, output, encoding=encoding)


def _write(
    rungs: Sequence[Rung],
    trained: Trained,
    source: Source,
    output: Path,
    *,
    encoding: float | None,
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    config = trained.config
    content = ladder_table.to_json(rungs, source.label_space)
    content |= {
        "encoding_seconds_per_image": encoding,
        "left_out": len(source) - content["images"],
        **made_of(trained),
    }
    (output / ladder_page.FILE).write_text(
        json.dumps(content, indent=2) + "\n", encoding="utf-8"
    )
    (output / TABLE_FILE).write_text(
        ladder_table.markdown(rungs) + "\n", encoding="utf-8"
    )
    data = f"{config.data.source.name} {config.data.source.eval_split}"
    title = (
        f"{data}, {content['images']} images; model {trained.workdir.name}, "
        f"step {trained.step}"
    )
    figures = {STEPS_FIGURE: ladder_plot.against_steps(content, title=title)}
    if len({rung.time_difference for rung in rungs}) > 1:
        figures[TIME_FIGURE] = ladder_plot.against_time_difference(content, title=title)
    for name, figure in figures.items():
        for suffix in diagram.SUFFIXES:
            diagram.save(figure, output / f"{name}{suffix}")


def _summary(rungs: Sequence[Rung], output: Path, *, encoding: float | None) -> str:
    lines = [ladder_table.markdown(rungs)]
    sampling = [rung.seconds for rung in rungs if rung.seconds is not None]
    if encoding is not None and len(rungs) > 1:
        once = encoding + sum(sampling)
        lines.append(
            f"prediction:  {1000 * once:.1f} ms an image, {1000 * encoding:.1f} of it "
            f"for encoding it once; {once / (once + (len(rungs) - 1) * encoding):.2f} "
            f"of the time of {len(rungs)} evaluations"
        )
    lines.append(f"metrics:     {output / ladder_page.FILE}")
    lines.append(f"picture:     {output / STEPS_FIGURE}.svg")
    if len({rung.time_difference for rung in rungs}) > 1:
        lines.append(f"             {output / TIME_FIGURE}.svg")
    return "\n".join(lines)


def _numbers(name: str, text: str, kind: Callable[[str], Any], what: str) -> tuple:
    """'5,1' -> (1, 5)."""
    try:
        numbers = sorted(map(kind, text.split(",")))
    except ValueError:
        raise app.UsageError(
            f"--{name}={text}: not a list of numbers; take {what}, with commas between"
        ) from None
    if len(set(numbers)) < len(numbers):
        raise app.UsageError(f"--{name}={text}: a number is there twice; drop one")
    return tuple(numbers)
