"""`launch.evaluate --follow`: checkpoints scored while another job writes them."""

import json
import os
import shutil
import signal
import threading
import time

import pytest
import saved_training

from pix2seq_d.cli import app, evaluate
from pix2seq_d.inference import image
from pix2seq_d.training import checkpoint, follow
from pix2seq_d.training.checkpoint import CheckpointError


@pytest.fixture(scope="module")
def trained(tmp_path_factory, micro):
    workdir = tmp_path_factory.mktemp("followed") / "work"
    argv = [
        "--config=shapes:tiny",
        *micro,
        "--config.train.num_steps=4",
        "--config.data.source.eval_images=3",
    ]
    saved_training.save(workdir, argv, steps=[1, 2, 4])
    return workdir


@pytest.fixture
def workdir(trained, tmp_path, monkeypatch):
    """The training up to step 2."""
    monkeypatch.setattr(follow, "POLL_S", 0.05)
    shutil.copytree(
        trained, tmp_path / "work", ignore=lambda _, names: {"4"} & set(names)
    )
    return tmp_path / "work"


def save_step_4(trained, workdir):
    """As Orbax does: under another name, until it is complete."""
    part = workdir / "checkpoints" / "4.orbax-checkpoint-tmp"
    shutil.copytree(trained / "checkpoints" / "4", part)
    time.sleep(0.2)
    part.rename(workdir / "checkpoints" / "4")


def follow_status(workdir, *flags):
    return app.run(evaluate.main, "evaluate", [f"--workdir={workdir}", *flags])


def scores_of(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {r["step"]: r["eval/oracle_pq"] for r in map(json.loads, lines)}


def test_new_checkpoints_are_scored_once_until_the_last(
    trained, workdir, monkeypatch, capsys
):
    compiled, sample = [], image.sample
    monkeypatch.setattr(
        image, "sample", lambda *a, **k: compiled.append(1) or sample(*a, **k)
    )
    first = workdir / "evaluation" / "2" / "metrics.json"

    def train_on():
        while not first.exists():
            time.sleep(0.02)
        save_step_4(trained, workdir)

    training = threading.Thread(target=train_on)
    training.start()
    assert follow_status(workdir, "--follow", "--all_steps", "--report") == 0
    training.join()
    folder = workdir / "evaluation"
    scores = scores_of(folder)
    assert list(scores) == [1, 2, 4]
    for step, score in scores.items():
        metrics = json.loads((folder / str(step) / "metrics.json").read_text())
        assert metrics["step"] == step
        assert metrics["oracle"]["All"]["pq"] == score > 0.5
        page = (folder / str(step) / "report.html").read_text()
        assert f"work, step {step}</h1>" in page
    assert len(compiled) == 1
    assert "evaluation at step 4/4 on 3 images" in capsys.readouterr().err

    # Nothing is done twice; without --all_steps an earlier one is passed over.
    path = folder / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert follow_status(workdir, "--follow") == 0
    assert "evaluating" not in capsys.readouterr().err
    assert list(scores_of(folder)) == [2, 4]


@pytest.mark.parametrize(
    ("steps", "done", "latest", "earliest"),
    [
        ([], [], None, None),
        ([1, 2, 4], [], 4, 1),
        ([1, 2, 4], [1, 4], None, 2),
        ([2, 4], [2], 4, 4),
        ([2, 4], [2, 4], None, None),
    ],
)
def test_the_latest_checkpoint_or_all_in_order(steps, done, latest, earliest):
    assert follow.next_step(steps, done, all_steps=False) == latest
    assert follow.next_step(steps, done, all_steps=True) == earliest


def test_a_checkpoint_deleted_while_it_is_read_is_passed_over(
    workdir, monkeypatch, capsys
):
    load = checkpoint.load

    def load_late(path, *, step):
        folder = path / "checkpoints" / str(step)
        shutil.rmtree(folder / "ema")
        try:
            return load(path, step=step)
        finally:
            shutil.rmtree(folder)

    monkeypatch.setattr(checkpoint, "load", load_late)
    flags = ["--follow", "--all_steps", "--follow_timeout_s=0.1"]
    assert follow_status(workdir, *flags) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" was")[0] for line in lines[1:3]] == ["step 1", "step 2"]
    assert "(train.keep)" in lines[1] and "no new checkpoint for 0.1 s" in lines[3]


def test_a_damaged_checkpoint_ends_the_waiting(workdir):
    shutil.rmtree(workdir / "checkpoints" / "2" / "ema")
    with pytest.raises(CheckpointError, match="lacks ema"):
        follow.load(workdir, 2)


def test_nothing_new_for_too_long_is_one_line(tmp_path, capsys):
    flags = ["--follow", "--follow_timeout_s=0.1"]
    assert follow_status(tmp_path / "not_yet", *flags) == 1
    waiting, error = capsys.readouterr().err.splitlines()
    assert waiting.startswith("waiting for checkpoints in")
    assert "no new checkpoint for 0.1 s" in error and "--follow_timeout_s" in error


def test_interrupted_while_it_waits(tmp_path, capsys):
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    assert follow_status(tmp_path, "--follow", "--follow_timeout_s=60") == 130
    assert capsys.readouterr().err.endswith("evaluate: interrupted\n")


def test_flags_that_contradict_each_other(tmp_path, capsys):
    assert follow_status(tmp_path, "--follow", "--step=2") == 1
    assert "--step and --follow exclude each other" in capsys.readouterr().err
    assert follow_status(tmp_path, "--all_steps") == 1
    assert "--all_steps works with --follow only" in capsys.readouterr().err
