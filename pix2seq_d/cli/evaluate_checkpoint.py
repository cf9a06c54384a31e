"""One checkpoint evaluated, by all processes, and the files that come of it."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
from PIL import Image

from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.runner import Evaluation, Report
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import PanopticWriter, read_map
from pix2seq_d.panoptic_index import read_index
from pix2seq_d.panoptic_shares import merge_shares, share_folder
from pix2seq_d.progress import Progress
from pix2seq_d.report.chosen import choose
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.gather import gather
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
    limit: int | None = None,
) -> Report:
    """Evaluates and writes the files; all processes have to call it.

    They are metrics.json, table.md, panoptic.json with panoptic/*.png, examples.png.

    Args:
      trained: the checkpoint.
      predictor: of its config.
      source: labelled images.
      output: made if absent; one folder for all processes.
      limit: number of leading images; None takes all.
    """
    config = trained.config
    sources.check_labels(trained.labels, source.label_space)
    process, count = jax.process_index(), jax.process_count()
    evaluation = Evaluation(
        functools.partial(predictor.labels, trained.variables),
        source,
        eval_settings(config, predictor.mesh),
        limit=limit,
        process_index=process,
        process_count=count,
    )
    say(
        f"evaluating step {trained.step} on {evaluation.total} images, "
        f"{config.diffusion.num_steps} sampler steps ..."
    )
    share = share_folder(output, process, count)
    share.mkdir(parents=True, exist_ok=True)
    progress = Progress("evaluate", len(evaluation.mine), unit="image")
    with PanopticWriter(share, source.label_space) as writer:
        for done, scored in enumerate(evaluation, start=1):
            writer.write(
                scored.prediction,
                image_id=scored.example.image_id,
                file_name=scored.example.file_name,
            )
            if process:
                continue
            if done == 1:
                progress.restart(done)  # what came before was compiling
            progress.update(done)
    report = evaluation.report()
    shares = gather(evaluation.mine)
    if process == 0:
        if count > 1:
            merge_shares(output, source.label_space, shares)
        _write_results(report, trained, source, output)
    return report


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
    report: Report, trained: Trained, source: Source, output: Path
) -> None:
    labels = source.label_space
    write_scores(
        output, trained, table.markdown(report, labels), table.to_json(report, labels)
    )
    _write_examples(output, source, report)


def write_scores(
    output: Path, trained: Trained, text: str, metrics: dict[str, Any]
) -> None:
    """Writes table.md, and metrics.json with the settings that it came of."""
    (output / "table.md").write_text(text + "\n", encoding="utf-8")
    metrics = metrics | {
        "step": trained.step,
        "sampler": dataclasses.asdict(trained.config.diffusion),
        "evaluation": dataclasses.asdict(trained.config.evaluation),
    }
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
