"""What holds a model's PQ back: its classes, or the instance ids of its things?

  python benchmarks/ids_or_classes.py --workdir=work/shapes [--output=missing.json]

Predicts the validation images as launch.evaluate does, and scores each mask as it is
and with a part of it exchanged: things told apart as connected regions, the true ids
under the model's classes, the true classes under its ids. What PQ gains by the exchange
is what that part costs. All is exchanged at mask size. Fields of the config are
overruled as by launch.evaluate, e.g. --config.diffusion.num_steps=5.
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags
from speed import report

from pix2seq_d.cli import app
from pix2seq_d.cli.evaluate import OVERRIDES
from pix2seq_d.cli.evaluate_checkpoint import prepare
from pix2seq_d.cli.evaluate_records import made_of
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.pq import PanopticQuality
from pix2seq_d.evaluation.runner import Evaluation, finish
from pix2seq_d.inference.predictor import eval_settings
from pix2seq_d.labels import LabelSpace
from pix2seq_d.progress import Progress
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained

CONNECTED = "its classes, connected regions"


def main(argv: list[str]) -> None:
    """Prints a table."""
    overrides, argv = app.split_overrides(argv)
    values = app.new_flags()
    flags.DEFINE_string("workdir", None, "Of launch.train.", flag_values=values)
    flags.DEFINE_integer("step", None, "The latest by default.", flag_values=values)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "workdir")
    report.check_output(values.output)
    trained = checkpoint.load(values.workdir, step=values.step)
    config = app.override(trained.config, overrides, allowed=OVERRIDES)
    trained = dataclasses.replace(trained, config=config)
    found = score(trained)
    print(table.groups_markdown(found))
    content = {
        "benchmark": "ids_or_classes",
        **made_of(trained),
        "masks": {
            name: table.result_to_json(result, trained.labels)
            for name, result in found.items()
        },
    }
    report.write(values.output, content)


def score(trained: Trained) -> dict[str, Mapping[str, Any]]:
    """PQ of each kind of mask over the validation split, as `PanopticQuality.result`.

    Args:
      trained: a model of images whose stuff has no instance ids.
    Raises:
      UsageError: another model.
    """
    rule = trained.config.data.ids
    if trained.config.model.num_cond_frames or rule.stuff or not rule.classes:
        raise app.UsageError(
            f"--workdir={trained.workdir}: is of videos, or has no classes, or ids for "
            "stuff as well; give a model of images with data.ids.stuff=False"
        )
    predictor, source = prepare(trained.config)
    # The kinds of mask say themselves whose ids they have.
    settings = dataclasses.replace(
        eval_settings(trained.config, predictor.mesh), by_region=False
    )
    labels = source.label_space
    evaluation = Evaluation(lambda images, index: index, source, settings)
    qualities: dict[str, PanopticQuality] = {}
    progress, done = Progress("score", len(source), unit="image"), 0
    for batch, rows in evaluation.batches():
        masks = predictor.labels(trained.variables, batch["image"], batch["index"])
        for row in rows:
            kinds = exchanged(masks[row.place], batch["labels"][row.place], labels)
            for name, mask in kinds.items():
                prediction = finish(
                    mask,
                    labels,
                    dataclasses.replace(settings, by_region=name == CONNECTED),
                    unpadded=row.unpadded,
                    original=row.example.panoptic.ids.shape,
                )
                quality = qualities.setdefault(name, PanopticQuality(labels))
                quality.update(row.example.panoptic, prediction)
            done += 1
            progress.update(done)
    return {name: quality.result() for name, quality in qualities.items()}


def exchanged(
    mask: np.ndarray, truth: np.ndarray, label_space: LabelSpace
) -> dict[str, np.ndarray]:
    """The masks that are scored.

    Args:
      mask: [h, w, 2] int (semantic, instance) of the model.
      truth: [h, w, 2] int; stuff has instance 0.
      label_space: the categories.
    Returns:
      Name -> [h, w, 2] int32.
    """
    semantic, instance = mask[..., 0], mask[..., 1]
    is_thing = label_space.is_thing

    def joined(classes: np.ndarray, ids: np.ndarray) -> np.ndarray:
        kept = np.where(is_thing[classes], ids, 0)
        return np.stack([classes, kept], -1).astype(np.int32)

    return {
        "the model": mask,
        CONNECTED: mask,  # `finish` connects
        "its classes, true ids": joined(semantic, truth[..., 1]),
        "true classes, its ids": joined(truth[..., 0], instance),
        "the truth": truth,
    }


if __name__ == "__main__":
    sys.exit(app.run(main, "ids_or_classes"))
