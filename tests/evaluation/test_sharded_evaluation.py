"""Devices and processes share an evaluation; the result is that of one."""

import filecmp
import json
import math
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import saved_training

from pix2seq_d.cli import app, evaluate
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.runner import Evaluation, IncompleteEvaluation
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import PanopticWriter
from pix2seq_d.panoptic_shares import merge_shares, share_folder
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding import rules
from pix2seq_d.training import checkpoint
from pix2seq_d.training.evaluate import evaluate_ema
from pix2seq_d.training.state import TrainState

NUM_IMAGES = 10


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    workdir = tmp_path_factory.mktemp("sharded") / "work"
    argv = [
        "--config=shapes:tiny",
        *micro,
        f"--config.data.source.eval_images={NUM_IMAGES}",
        # Does not split over 8 devices, which no evaluation is refused for.
        "--config.evaluation.batch_size=4",
        "--config.evaluation.min_area=1",
        "--config.train.num_steps=2",
    ]
    saved_training.save(workdir, argv, steps=[1, 2])
    return workdir


@pytest.fixture(scope="module")
def alone(workdir):
    """The results of one process with 8 devices."""
    assert app.run(evaluate.main, "evaluate", [f"--workdir={workdir}"]) == 0
    return workdir / "evaluation" / "2"


@pytest.fixture(scope="module")
def ladder_alone(workdir, tmp_path_factory):
    """The ladder of one process with 8 devices."""
    output = tmp_path_factory.mktemp("ladder")
    argv = [f"--workdir={workdir}", f"--output={output}", "--ladder=1,2"]
    assert app.run(evaluate.main, "evaluate", argv) == 0
    return output


def files_of(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def scores_of(ladder):
    """What ladder.json holds but for the times, which differ."""
    content = json.loads((ladder / "ladder.json").read_text())
    times = [content.pop("encoding_seconds_per_image")]
    times += [row.pop("seconds_per_image") for row in content["rows"]]
    assert min(times) > 0
    return content


def test_two_processes_write_what_one_writes(workdir, alone, ladder_alone, tmp_path):
    copy = tmp_path / "work"
    shutil.copytree(workdir, copy, ignore=shutil.ignore_patterns("evaluation"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    script = Path(__file__).with_name("evaluate_share.py")
    pair = [
        subprocess.Popen(
            [sys.executable, str(script), str(copy), str(tmp_path), coordinator, rank],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    written = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], written
    assert "predictions:" in written[0][0] and "predictions:" not in written[1][0]
    assert "evaluating step 2" in written[0][1] and "evaluat" not in written[1][1]
    assert "| oracle" in written[0][0] and "| oracle" not in written[1][0]
    # Read by one of them only, step 1 is nobody's.
    assert "step 1 was deleted" in written[0][1]
    lines = (tmp_path / "followed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2]
    names = files_of(alone)
    assert len(names) == NUM_IMAGES + 4
    for output in (tmp_path / "once", tmp_path / "followed" / "2"):
        assert files_of(output) == names
        same, *others = filecmp.cmpfiles(alone, output, names, shallow=False)
        assert (sorted(same), others) == (names, [[], []])
    assert files_of(tmp_path / "ladder") == files_of(ladder_alone)
    scores = scores_of(ladder_alone)
    assert scores_of(tmp_path / "ladder") == scores
    assert [row["num_steps"] for row in scores["rows"]] == [1, 2]
    # They say something: matches of the oracle, segments of the model.
    metrics = json.loads((alone / "metrics.json").read_text())
    assert metrics["num_images"] == NUM_IMAGES
    assert 0.5 < metrics["oracle"]["All"]["pq"] < 1
    assert sum(row["fp"] for row in metrics["per_class"].values()) > NUM_IMAGES
    assert scores["rows"][1]["per_class"] == metrics["per_class"]
    assert scores["rows"][0]["per_class"] != metrics["per_class"]


def bytes_of(arrays):
    """Bytes on the devices of this process, copies included."""
    return sum(
        len(array.addressable_shards)
        * math.prod(array.sharding.shard_shape(array.shape))
        * array.dtype.itemsize
        for array in arrays
    )


def test_an_average_split_over_devices_is_evaluated_without_a_second_copy(
    workdir, alone, monkeypatch
):
    trained = checkpoint.load(workdir)
    config = trained.config
    average = jax.device_get(trained.variables)
    del trained
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(average))
    mesh = meshes.make_mesh(fsdp=8)
    ema = jax.device_put(average, rules.shardings(average, mesh))
    # Kernels are split, the small rest is everywhere.
    assert bytes_of(jax.tree.leaves(ema)) < 2 * whole
    before, held = bytes_of(jax.live_arrays()), []
    local_rows = meshes.local_rows

    def counting(array):
        held.append(bytes_of(jax.live_arrays()))
        return local_rows(array)

    monkeypatch.setattr(meshes, "local_rows", counting)
    state = TrainState(
        step=jnp.zeros(()), variables={}, ema=ema, opt_state=optax.EmptyState()
    )
    source = Shapes("val", size=(32, 32), num_examples=NUM_IMAGES)
    predictor = Predictor(config, mesh, seed=0)
    report = evaluate_ema(state, predictor, source, config, check=int)
    assert len(held) == 2
    assert max(held) - before < 0.5 * whole
    metrics = json.loads((alone / "metrics.json").read_text())
    found = json.loads(json.dumps(table.to_json(report, source.label_space)))
    assert found == {key: metrics[key] for key in found}


def constant(images, index):
    return np.zeros((len(index), 16, 16, 2), np.int32)


@pytest.mark.parametrize("count", [1, 2])
def test_an_evaluation_that_misses_images_has_no_report(workdir, count):
    config = checkpoint.load(workdir).config
    source = Shapes("val", size=(32, 32), num_examples=NUM_IMAGES)
    settings = eval_settings(config, meshes.make_mesh())
    assert settings.batch_size == 8
    evaluation = Evaluation(constant, source, settings, process_count=count)
    seen = [scored.index for scored in evaluation]
    if count == 1:
        assert evaluation.report().num_images == NUM_IMAGES
        # Once more: every image twice.
        seen += [scored.index for scored in evaluation]
    assert len(seen) == (2 * NUM_IMAGES if count == 1 else 6)
    message = f"{len(set(seen))} of 10 images were evaluated, in {len(seen)} turns"
    with pytest.raises(IncompleteEvaluation, match=message):
        evaluation.report()


def write_map(writer, number, *, name):
    ids = np.full((4, 6), number, np.int32)
    panoptic = PanopticMap(ids, (Segment(id=number, category_id=1),))
    writer.write(panoptic, image_id=number, file_name=name)


def test_shares_with_equal_names_merge_to_the_files_of_one_writer(tmp_path):
    space = Shapes.label_space
    names = {1: "a/0.jpg", 2: "b/0.jpg", 3: "c/0.jpg", 4: "c/1.jpg", 5: "d/0.jpg"}
    with PanopticWriter(tmp_path / "one", space) as writer:
        for number, name in names.items():
            write_map(writer, number, name=name)
    shares = [[0, 1, 4], [2, 3]]
    for process, share in enumerate(shares):
        with PanopticWriter(
            share_folder(tmp_path / "two", process, 2), space
        ) as writer:
            for position in share:
                write_map(writer, position + 1, name=names[position + 1])
    merge_shares(tmp_path / "two", space, shares)
    found = files_of(tmp_path / "one")
    assert "panoptic/0-4.png" in found
    assert files_of(tmp_path / "two") == found
    assert not (tmp_path / "two" / "shares").exists()
    same = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", found, shallow=False)[0]
    assert sorted(same) == found


def test_a_share_in_another_folder_is_missed(tmp_path):
    space = Shapes.label_space
    with PanopticWriter(share_folder(tmp_path, 0, 2), space) as writer:
        write_map(writer, 1, name="0.jpg")
    with pytest.raises(
        FileNotFoundError, match=r"what process 1 predicted .* --output"
    ):
        merge_shares(tmp_path, space, [[0], [1]])
