"""What is exchanged in a mask, and that the ends of the scale are the known scores."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import saved_training

from pix2seq_d.cli import app, evaluate
from pix2seq_d.instance_ids import COCO
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.training import checkpoint

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import ids_or_classes

LABELS = LabelSpace(
    (Category(5, "sky", False, (0, 0, 9)), Category(9, "door", True, (9, 0, 0)))
)
# Three doors in a row of sky; the model sees one sky pixel as door, and joins the ids
# of the last two.
TRUTH = np.array([[(1, 0), (2, 1), (1, 0), (2, 2), (1, 0), (2, 3)]])
MASK = np.array([[(2, 4), (2, 4), (1, 0), (2, 5), (1, 0), (2, 5)]])


def test_one_part_is_exchanged_and_the_other_stays():
    found = ids_or_classes.exchanged(MASK, TRUTH, LABELS)
    assert (found["the model"] == MASK).all() and (found["the truth"] == TRUTH).all()
    true_ids = found["its classes, true ids"]
    assert (true_ids[..., 0] == MASK[..., 0]).all()
    assert true_ids[0, :, 1].tolist() == [0, 1, 0, 2, 0, 3]
    true_classes = found["true classes, its ids"]
    assert (true_classes[..., 0] == TRUTH[..., 0]).all()
    assert true_classes[0, :, 1].tolist() == [0, 4, 0, 5, 0, 5]


@pytest.fixture(scope="module")
def workdir(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("work") / "mine"
    few = "--config.data.source.eval_images=8"
    saved_training.save(path, ["--config=shapes:tiny", *micro, few], steps=[1])
    return path


def test_the_truth_scores_as_the_oracle(workdir, tmp_path):
    output = tmp_path / "missing.json"
    ids_or_classes.main([f"--workdir={workdir}", f"--output={output}"])
    found = json.loads(output.read_text())["masks"]
    assert app.run(evaluate.main, "evaluate", [f"--workdir={workdir}"]) == 0
    metrics = json.loads((workdir / "evaluation/1/metrics.json").read_text())
    assert found["the model"] == {k: metrics[k] for k in found["the model"]}
    assert found["the truth"] == metrics["oracle"]
    regions = "--config.evaluation.instances=regions"
    argv = [f"--workdir={workdir}", regions, f"--output={tmp_path / 'regions'}"]
    assert app.run(evaluate.main, "evaluate", argv) == 0
    metrics = json.loads((tmp_path / "regions/metrics.json").read_text())
    expected = found["its classes, connected regions"]
    assert expected == {k: metrics[k] for k in expected}
    assert expected != found["the model"]  # counts of false positives, here
    # Random weights: only the exchange can have brought what is right.
    assert found["true classes, its ids"]["Stuff"] == metrics["oracle"]["Stuff"]


def test_stuff_with_ids_is_refused(workdir):
    trained = checkpoint.load(workdir)
    config = trained.config.replaced(data={"ids": COCO})
    with pytest.raises(app.UsageError, match=r"data\.ids\.stuff=False"):
        ids_or_classes.score(dataclasses.replace(trained, config=config))
