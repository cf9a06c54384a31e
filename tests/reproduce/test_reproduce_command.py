"""launch.reproduce on a tiny study: stopped, gone on with, collected; its errors."""

import json
import os
import re
import shlex
import shutil
import signal
import threading
import time

import pytest
import saved_training

from pix2seq_d.cli import app, evaluate, reproduce
from pix2seq_d.training import checkpoint

STEPS = 300
TABLE = "study_steps"
WEIGHTS = "study_bit_scale/b_0.45"


def run(*argv):
    return app.run(reproduce.main, "reproduce", list(argv))


@pytest.fixture
def overrides(micro, tmp_path, monkeypatch):
    # What the processes compile they keep, and share with those after them.
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "1")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    return [
        *(a for a in micro if "diffusion.num_steps" not in a),
        "--config.model.conditioning=()",
        f"--config.train.num_steps={STEPS}",
        "--config.train.checkpoint_every=50",
        "--config.train.eval_images=1",
        "--config.data.source.train_images=20",
        "--config.data.source.eval_images=4",
        "--config.evaluation.batch_size=4",
        "--config.evaluation.min_area=1",
    ]


def test_a_study_is_stopped_gone_on_with_and_collected(tmp_path, capfd, overrides):
    workdir = tmp_path / "work"
    argv = [f"--table={TABLE}", f"--workdir={workdir}", "--rows=1_steps,2_steps"]
    argv += overrides
    seed_0, seed_1 = (workdir / WEIGHTS / f"seed_{seed}" for seed in (0, 1))
    # Seed 1 was trained and evaluated by hand, by the commands that it prints.
    assert run(*argv, "--print") == 0
    printed = [shlex.split(line) for line in capfd.readouterr().out.splitlines()]
    assert [command[2] for command in printed] == [
        *("launch.train", "launch.evaluate"),  # with seed 0
        *("launch.train", "launch.evaluate"),
    ]
    flags = [flag for flag in printed[2][3:] if "--workdir" not in flag]
    saved_training.save(seed_1, flags, steps=[STEPS])
    assert app.run(evaluate.main, "evaluate", printed[3][3:]) == 0
    capfd.readouterr()

    stop_when(lambda: checkpoint.steps(seed_0))
    assert run(*argv) == 75
    assert "the same command goes on" in capfd.readouterr().err
    reached = max(checkpoint.steps(seed_0))
    assert 0 < reached < STEPS
    assert not (workdir / f"{TABLE}.md").exists()
    assert run(*argv, "--dry_run") == 0
    plan = capfd.readouterr().out
    assert f"seed 0: at step {reached} of {STEPS}; seed 1: done" in plan

    assert run(*argv) == 0
    err = capfd.readouterr().err
    assert f"going on from step {reached}" in err
    # Of seed 1 there is nothing to do.
    assert err.count("launch.train") == err.count("--ladder=1,2") == 1
    assert run(*argv) == 0
    assert "all is done already" in capfd.readouterr().err

    # What a plain evaluation of the same settings writes.
    plain = tmp_path / "plain"
    settings = [f"--workdir={seed_0}", f"--output={plain}"]
    settings += ["--config.diffusion.num_steps=2"]
    assert app.run(evaluate.main, "evaluate", settings) == 0
    score = workdir / TABLE / "2_steps" / "seed_0" / "score"
    assert read(score / "metrics.json") == read(plain / "metrics.json")

    page = (workdir / f"{TABLE}.md").read_text()
    (table,) = read(workdir / f"{TABLE}.json")["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    assert rows["5_steps"]["state"] == "not run"
    assert re.search(r"\| 5_steps +\| +not run", page)
    whole = rows["2_steps"]["figures"][0]
    assert list(whole["ours"]) == ["0", "1"]
    assert whole["mean"] == pytest.approx(sum(whole["ours"].values()) / 2)
    assert {check["holds"] for check in table["checks"]} == {"not known"}
    origins = {origin["name"]: origin for origin in table["origins"]}
    trained = origins[f"{WEIGHTS} seed 0"]
    assert trained["what"] == f"trained {STEPS} of {STEPS} steps"
    assert trained["hardware"].startswith("1 x cpu")
    assert origins[f"{WEIGHTS} seed 1"]["hardware"] == "not recorded"
    assert trained["command"] in page
    for suffix in ("svg", "png"):
        assert (workdir / f"{TABLE}.{suffix}").stat().st_size > 1000

    shutil.copy(workdir / f"{TABLE}.json", tmp_path / "earlier.json")

    # Weights of another config are nobody's.
    assert run(*argv, "--config.optimizer.b1=0.5", "--dry_run") == 0
    plan = capfd.readouterr().out
    assert "holds a training with optimizer.b1=0.9, not 0.5" in plan
    assert "or go on with --config.optimizer.b1=0.9" in plan
    # Nor are their scores.
    assert run(*argv, "--config.optimizer.b1=0.5") == 1
    assert "skipped: evaluate study_steps" in capfd.readouterr().err
    (table,) = read(workdir / f"{TABLE}.json")["tables"]
    assert {row["state"] for row in table["rows"]} == {"not run"}
    # How many images are evaluated at once makes no other score.
    assert run(*argv, "--config.evaluation.batch_size=2", "--print") == 0
    assert not capfd.readouterr().out

    # What was collected stands for folders that are gone.
    shutil.rmtree(seed_1)
    shutil.rmtree(workdir / TABLE / "1_steps" / "seed_1")
    argv_again = [*argv, "--collect", f"--output={tmp_path / 'again'}"]
    assert run(*argv_again, f"--earlier={tmp_path / 'earlier.json'}") == 0
    (again,) = read(tmp_path / "again" / f"{TABLE}.json")["tables"]
    assert again["rows"] == list(rows.values())
    assert {o["name"] for o in again["origins"]} == set(origins)
    assert run(*argv_again) == 0
    (without,) = read(tmp_path / "again" / f"{TABLE}.json")["tables"]
    figures = {row["name"]: row["figures"][0]["ours"] for row in without["rows"]}
    assert list(figures["1_steps"]) == ["0"]
    assert figures["2_steps"] == whole["ours"]


def test_what_cannot_be_run_is_not_printed_as_a_command(capsys, tmp_path):
    assert run("--table=coco", f"--workdir={tmp_path}", "--print") == 1
    printed = capsys.readouterr()
    assert not printed.out
    lines = printed.err.splitlines()
    assert "left out: train coco/" in lines[0]
    assert "needs COCO 2017 panoptic: give --coco=DIR" in lines[0]


def stop_when(condition):
    """Sends this process SIGTERM as soon as something has happened."""

    def watch():
        end = time.monotonic() + 300
        while not condition() and time.monotonic() < end:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--workdir=w"], "--table is missing"),
        (["--table=coco"], "--workdir is missing"),
        (["--table=table1", "--workdir=w"], "choose one of coco, steps"),
        (["--table=coco", f"--workdir={__file__}"], "is a file; give a folder"),
        (["--table=coco", "--workdir=w", "--rows=low"], "has no row 'low'; choose of"),
        (["--table=study", "--workdir=w", "--rows=l2"], "--rows is for one table"),
        (["--table=coco", "--workdir=w", "--seeds=a"], "take whole numbers"),
        (["--table=coco", "--workdir=w", "--coco=none"], "--coco=none: no such folder"),
        (["--table=coco", "--workdir=w", "--prices=p"], "--prices is for --dry_run"),
        (["--table=coco", "--workdir=w", "--earlier=e"], "e: no such file; check"),
        (
            ["--table=coco", "--workdir=w", f"--earlier={__file__}"],
            "not a collected table; take a .json that launch.reproduce wrote",
        ),
        (
            ["--table=coco", "--workdir=w", "--earlier=e", "--print"],
            "--earlier is for collecting; leave it out",
        ),
        (
            ["--table=coco", "--workdir=w", "--detection_encoder=none"],
            "--detection_encoder=none: no such file",
        ),
        (
            ["--table=study_loss", "--workdir=w", "--config.model.prediction=eps"],
            "--config.model.prediction: the rows of study_loss say it",
        ),
        (  # of the row that it evaluates
            ["--table=study_loss", "--workdir=w", "--config.model.bit_scale=0.1"],
            "--config.model.bit_scale: the rows of study_bit_scale say it",
        ),
        (
            ["--table=coco", "--workdir=w", "--config.train.num_step=3"],
            "unknown config field; did you mean train.num_steps?",
        ),
        (["--table=coco", "--workdir=w", "--dry_run", "--print"], "exclude each other"),
    ],
)
def test_a_mistake_ends_in_one_line(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_help_lists_the_tables(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert "  davis                    DAVIS-2017 unsupervised val" in out
    assert "  study                    all studies on drawn shapes" in out
