"""Devices and processes share an evaluation; the result is that of one."""

import filecmp
import gc
import json
import math
import shutil
import signal
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

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, evaluate
from pix2seq_d.cli.evaluate_shard import Share
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation import shards, table
from pix2seq_d.evaluation.image_scores import IncompleteEvaluation
from pix2seq_d.evaluation.runner import Evaluation
from pix2seq_d.inference.predictor import Predictor, eval_settings
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


@pytest.fixture(scope="module")
def killed(workdir, tmp_path_factory):
    """The output of a process that ended with images 7 to 9 and died at image 4."""
    output = tmp_path_factory.mktemp("killed") / "output"
    script = Path(__file__).with_name("killed_evaluation.py")
    process = subprocess.run(
        [sys.executable, str(script), str(workdir), str(output)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    first, _, last = process.stderr.rpartition("evaluating step 2 on 7 images")
    assert first.count("evaluating step 2 on 3 images") == 2 and last
    assert "7 of 10 images are not evaluated yet: 0:7; the results" in first
    assert f"--output={output} --step=2 --shard=0:7" in first
    # As if it had been killed a moment later, in the middle of a line.
    (png,) = output.glob("shards/images/*/4.png")
    with png.with_name("journal.jsonl").open("a") as journal:
        journal.write('{"position": 4, "score": {"sco')
    return output


def evaluate_status(workdir, output, *argv):
    argv = [f"--workdir={workdir}", f"--output={output}", *argv]
    return app.run(evaluate.main, "evaluate", argv)


def same_files(folder, other):
    names = files_of(folder)
    assert files_of(other) == names
    same, *others = filecmp.cmpfiles(folder, other, names, shallow=False)
    assert (sorted(same), others) == (names, [[], []])


def test_unequal_shards_killed_and_gone_on_with_write_what_one_process_writes(
    workdir, alone, killed, tmp_path, capsys
):
    output = tmp_path / "output"
    shutil.copytree(killed, output, ignore=shutil.ignore_patterns("ladder"))
    assert evaluate_status(workdir, output, "--merge") == 1
    error = capsys.readouterr().err
    assert "3 of 10 images are not evaluated yet: 4:7; the results" in error
    assert f"--output={output} --step=2 --shard=4:7, or" in error
    assert evaluate_status(workdir, output, "--shard=0:7") == 0
    out, err = capsys.readouterr()
    assert "going on after 4 of 7 images of --shard=0:7\n" in err
    assert "evaluating step 2 on 3 images" in err
    assert "metrics:" in out and "| oracle" in out
    same_files(alone, output)
    # A cluster that starts a part once more finds nothing to do.
    for part in ("--shard=7:10", "--merge"):
        assert evaluate_status(workdir, output, part) == 0
        out, err = capsys.readouterr()
        assert "all is evaluated already; to evaluate anew: python -m " in err
        assert out == "" and "evaluating" not in err
    same_files(alone, output)


def interrupt_ladder(workdir, output, monkeypatch):
    """Evaluates images 0 and 1 by a ladder, and is stopped in image 2."""
    add = shards.Shards.add

    def interrupted(self, position, *args, **options):
        if position == 2:
            raise KeyboardInterrupt
        add(self, position, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(shards.Shards, "add", interrupted)
        assert evaluate_status(workdir, output, "--ladder=1,2", "--shard=0/2") == 130


def test_a_job_of_two_processes_goes_on_and_writes_what_one_writes(
    workdir, alone, ladder_alone, killed, tmp_path, monkeypatch
):
    copy = tmp_path / "work"
    shutil.copytree(workdir, copy, ignore=shutil.ignore_patterns("evaluation"))
    # What others have evaluated of step 2, in part.
    begun = {"images": tmp_path / "followed" / "2", "ladder": tmp_path / "ladder"}
    for kind, output in begun.items():
        shutil.copytree(killed / "shards" / kind, output / "shards" / kind)
    interrupt_ladder(workdir, begun["ladder"], monkeypatch)
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
    written = [process.communicate(timeout=900) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], written
    assert "metrics:" in written[0][0] and "metrics:" not in written[1][0]
    assert "evaluating step 2" in written[0][1] and "evaluat" not in written[1][1]
    assert "going on after 7 of 10 images\n" in written[0][1]
    assert "going on after 5 of 10 images\n" in written[0][1]
    assert "| oracle" in written[0][0] and "| oracle" not in written[1][0]
    # Read by one of them only, step 1 is nobody's.
    assert "step 1 was deleted" in written[0][1]
    lines = (tmp_path / "followed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2]
    assert len(files_of(alone)) == NUM_IMAGES + 5
    same_files(alone, tmp_path / "followed" / "2")
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


def test_records_of_other_settings_are_refused(workdir, killed, capsys):
    before = files_of(killed)
    assert evaluate_status(workdir, killed, "--config.diffusion.num_steps=3") == 1
    error = capsys.readouterr().err
    assert "shards/images: an evaluation that was not finished has " in error
    assert "has diffusion.num_steps 2, not 3; finish it with" in error
    assert error.count("\n") == 1
    assert files_of(killed) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--shard=1"], "--shard=1: no part; take one like 0/3, the first of three"),
        (["--shard=3/3"], "--shard=3/3: no part; take 0/3 to 2/3"),
        (["--shard=0/0"], "--shard=0/0: no part; take 0/1"),
        (["--shard=5:5"], "--shard=5:5: no part; take START:STOP with START below"),
        (["--shard=0/2", "--merge"], "--shard and --merge exclude each other"),
        (["--shard=0/2", "--follow"], "--shard and --follow exclude each other"),
        (["--merge", "--follow"], "--merge and --follow exclude each other"),
    ],
)
def test_flags_that_name_no_part_are_refused(tmp_path, capsys, argv, message):
    # Before the workdir is looked at.
    assert evaluate_status(tmp_path / "none", tmp_path, *argv) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "total", "expected"),
    [
        (None, 10, range(10)),
        ("0/3", 10, range(3)),
        ("1/3", 10, range(3, 6)),
        ("2/3", 10, range(6, 10)),
        ("7:10", 10, range(7, 10)),
    ],
)
def test_a_shard_is_a_range_of_positions(text, total, expected):
    assert Share(shard=text).positions(total, "image") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7:11", "--shard=7:11: there are 10 images; end with 10"),
        ("0/11", "--shard=0/11: has none of 10 images; take at most 10 parts"),
    ],
)
def test_a_shard_of_more_than_there_is_is_refused(text, message):
    with pytest.raises(app.UsageError, match=message):
        Share(shard=text).positions(10, "image")


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
    gc.collect()  # what earlier tests left in cycles is not held
    before, held = bytes_of(jax.live_arrays()), []
    local_rows = meshes.local_rows

    def counting(array):
        gc.collect()
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
    fields = json.loads((workdir / "config.json").read_text())
    config = config_lib.from_config_dict(fields)
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
    message = f"{len(set(seen))} of 10 images were evaluated, in {len(seen)} turns;"
    with pytest.raises(IncompleteEvaluation, match=message):
        evaluation.report()
