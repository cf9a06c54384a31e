"""One checkpoint evaluated, by all processes, and the files that come of it."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from PIL import Image

from pix2seq_d.cli.evaluate_records import (
    finish,
    left,
    made_of,
    open_shards,
    under_way,
)
from pix2seq_d.cli.evaluate_shard import WHOLE, Share
from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.image_scores import ImageScore, Report, reports
from pix2seq_d.evaluation.runner import Evaluation, Scored
from pix2seq_d.evaluation.shards import Record, Shards
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import ids_to_rgb
from pix2seq_d.panoptic_files import (
    PanopticWriter,
    describe_image,
    describe_segments,
    read_map,
)
from pix2seq_d.panoptic_index import read_index
from pix2seq_d.progress import Progress
from pix2seq_d.report.chosen import choose
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.journal import say
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet


def prepare(config: Config) -> tuple[Predictor, Source]:
    """What all checkpoints of a training are evaluated with, on all devices."""
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    return Predictor(config, meshes.make_mesh(), seed=config.evaluation.seed), source


def evaluate(
    trained: Trained,
    predictor: Predictor,
    source: Source,
    output: Path,
    *,
    share: Share = WHOLE,
) -> Report | None:
    """Evaluates and writes the files; all processes have to call it.

    They are metrics.json, table.md, panoptic.json with panoptic/*.png, examples.png.
    An evaluation that was not finished in the same output goes on.

    Args:
      trained: the checkpoint.
      predictor: of its config.
      source: labelled images.
      output: made if absent; one folder for all processes.
      share: what this command evaluates.
    Returns:
      The results; None where this process does not write them.
    """
    config = trained.config
    sources.check_labels(trained.labels, source.label_space)
    total = share.total(len(source))
    size = {"total": total, "unit": "image"}
    shards = open_shards(output, trained, kind="images", total=total)
    positions = left(shards, share, **size)
    evaluation = Evaluation(
        functools.partial(predictor.labels, trained.variables),
        source,
        eval_settings(config, predictor.mesh),
        positions=positions,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    if positions:
        say(
            f"evaluating step {trained.step} on {len(positions)} images, "
            f"{config.diffusion.num_steps} sampler steps ..."
        )
    progress = Progress("evaluate", len(evaluation.mine), unit="image")
    with under_way(shards):
        for done, scored in enumerate(evaluation, start=1):
            _record(scored, shards, source.label_space)
            if jax.process_index():
                continue
            if done == 1:
                progress.restart(done)  # what came before was compiling
            progress.update(done)
    write = functools.partial(
        _write_results, trained=trained, source=source, output=output
    )
    return finish(shards, share, write, **size)


def _record(scored: Scored, shards: Shards, label_space: LabelSpace) -> None:
    """Writes a prediction and its score where they are kept until all are there."""
    example, prediction = scored.example, scored.prediction
    image = describe_image(
        prediction, image_id=example.image_id, file_name=example.file_name
    )
    entry = {
        "score": scored.score.to_json(),
        "image": image,
        "segments_info": describe_segments(prediction, label_space),
    }
    png = f"{scored.index}.png"
    Image.fromarray(ids_to_rgb(prediction.ids)).save(shards.own / png)
    shards.add(scored.index, entry, files=[png])


def summary(report: Report, labels: LabelSpace, output: Path) -> str:
    """What a person is told at the end."""
    return "\n".join(
        (
            table.markdown(report, labels),
            f"metrics:     {output / 'metrics.json'}",
            f"predictions: {output / 'panoptic.json'}",
            f"pictures:    {output / 'examples.png'}",
        )
    )


def _write_results(
    records: Mapping[int, Record], *, trained: Trained, source: Source, output: Path
) -> Report:
    labels = source.label_space
    with PanopticWriter(output, labels) as writer:
        for position, record in records.items():
            png = record.folder / f"{position}.png"
            writer.take(png, record.score["image"], record.score["segments_info"])
    scores = (
        (position, ImageScore.from_json(record.score["score"]))
        for position, record in records.items()
    )
    (report,) = reports(scores, Categories.of(labels))
    metrics = table.to_json(report, labels)
    metrics["left_out"] = len(source) - len(records)
    write_scores(output, trained, table.markdown(report, labels), metrics)
    _write_examples(output, source, report)
    return report


def write_scores(
    output: Path, trained: Trained, text: str, metrics: dict[str, Any]
) -> None:
    """Writes table.md, and metrics.json with the settings that it came of.

    Args:
      output: folder.
      trained: the checkpoint.
      text: of table.md.
      metrics: scores, and `left_out`: images or videos that --limit left out.
    """
    (output / "table.md").write_text(text + "\n", encoding="utf-8")
    metrics = metrics | made_of(trained)
    (output / "metrics.json").write_text(
        json.dumps(metrics, indent=2) + "\n", encoding="utf-8"
    )


def _write_examples(output: Path, source: Source, report: Report) -> None:
    """A sheet of the worst, median and best two images by their own PQ."""
    index = read_index(output / "panoptic.json")
    rows = []
    for kind, numbers in choose(report.images, each=2).items():
        for number in numbers:
            example = source[number]
            prediction = read_map(index, output / "panoptic", example.image_id)
            rows.append(
                SheetRow(
                    example.image,
                    example.panoptic,
                    prediction,
                    title=f"{kind}: {example.file_name}",
                    pq=report.images[number],
                )
            )
    sheet = contact_sheet(rows, source.label_space, with_errors=True)
    Image.fromarray(sheet).save(output / "examples.png")
