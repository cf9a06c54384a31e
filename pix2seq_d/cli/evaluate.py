"""Evaluates a checkpoint: PQ, SQ, RQ and the oracle, predictions and pictures.

  python -m launch.evaluate --workdir=work/shapes
  python -m launch.evaluate --workdir=work/shapes --config.diffusion.num_steps=5

Writes metrics.json, table.md, panoptic.json with panoptic/*.png, and examples.png
(worst, median and best images).
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path

from absl import flags
from PIL import Image

from pix2seq_d.cli import app
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.runner import Evaluation, Report
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.panoptic_files import PanopticWriter, read_map
from pix2seq_d.panoptic_index import read_index
from pix2seq_d.progress import Progress
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet

# What may differ from the training: everything else is baked into the weights.
OVERRIDES = ("diffusion.", "evaluation.", "data.source.", "train.dtype")


def main(argv: list[str]) -> None:
    """The command `evaluate`."""
    overrides = [a for a in argv if a.lstrip("-").startswith("config.")]
    argv = [a for a in argv if a not in overrides]
    values = app.new_flags()
    flags.DEFINE_string("workdir", None, "Workdir of launch.train.", flag_values=values)
    flags.DEFINE_integer(
        "step", None, "Which checkpoint; the latest by default.", flag_values=values
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder for the results; <workdir>/evaluation/<step> by default.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "limit",
        None,
        "Number of leading images; all by default.",
        flag_values=values,
        lower_bound=1,
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "workdir")

    trained = checkpoint.load(values.workdir, step=values.step)
    config = app.override(trained.config, overrides, allowed=OVERRIDES)
    output = values.output
    if output is None:
        output = trained.workdir / "evaluation" / str(trained.step)
    evaluate(
        dataclasses.replace(trained, config=config),
        Path(output),
        limit=values.limit,
    )


def evaluate(trained: Trained, output: Path, *, limit: int | None = None) -> Report:
    """Evaluates, prints the table and writes the files named above."""
    config = trained.config
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    sources.check_labels(trained.labels, source.label_space)
    mesh = meshes.make_mesh()
    meshes.check_batch_size(
        config.evaluation.batch_size, mesh, field="evaluation.batch_size"
    )
    predictor = Predictor(config, mesh, seed=config.evaluation.seed)
    evaluation = Evaluation(
        functools.partial(predictor.labels, trained.variables),
        source,
        eval_settings(config),
        limit=limit,
    )
    print(
        f"evaluating step {trained.step} on {evaluation.total} images, "
        f"{config.diffusion.num_steps} sampler steps ...",
        file=sys.stderr,
    )
    output.mkdir(parents=True, exist_ok=True)
    ranked = []
    progress = Progress("evaluate", evaluation.total, unit="image")
    with PanopticWriter(output, source.label_space) as writer:
        for done, scored in enumerate(evaluation, start=1):
            writer.write(
                scored.prediction,
                image_id=scored.example.image_id,
                file_name=scored.example.file_name,
            )
            ranked.append((scored.pq, scored.index))
            if done == 1:
                progress.restart(done)  # what came before was compiling
            progress.update(done)
    report = evaluation.report()
    text = table.markdown(report, source.label_space)
    (output / "table.md").write_text(text + "\n", encoding="utf-8")
    metrics = table.to_json(report, source.label_space) | {
        "step": trained.step,
        "sampler": dataclasses.asdict(config.diffusion),
        "evaluation": dataclasses.asdict(config.evaluation),
    }
    (output / "metrics.json").write_text(
        json.dumps(metrics, indent=2) + "\n", encoding="utf-8"
    )
    _write_examples(output, source, ranked)
    print(text)
    print(f"metrics:     {output / 'metrics.json'}")
    print(f"predictions: {output / 'panoptic.json'}")
    print(f"pictures:    {output / 'examples.png'}")
    return report


def _write_examples(
    output: Path, source: Source, ranked: list[tuple[float, int]]
) -> None:
    """A sheet of the worst, median and best two images by their own PQ."""
    order = sorted(ranked)
    middle = len(order) // 2
    chosen = order[:2] + order[middle - 1 : middle + 1] + order[-2:]
    kinds = ["worst", "worst", "median", "median", "best", "best"]
    index = read_index(output / "panoptic.json")
    rows, seen = [], set()
    for kind, (pq, number) in zip(kinds, chosen, strict=False):
        if number in seen:
            continue
        seen.add(number)
        example = source[number]
        prediction = read_map(index, output / "panoptic", example.image_id)
        rows.append(
            SheetRow(
                example.image,
                example.panoptic,
                prediction,
                title=f"{kind}: {example.file_name}",
                pq=pq,
            )
        )
    sheet = contact_sheet(rows, source.label_space)
    Image.fromarray(sheet).save(output / "examples.png")
