"""launch.evaluate --ladder: every rung is the evaluation of its settings alone."""

import dataclasses
import json
from pathlib import Path

import pytest
import saved_training

from pix2seq_d.cli import app, evaluate
from pix2seq_d.cli.ladder_times import seconds_per_image
from pix2seq_d.evaluation.shards import Record
from pix2seq_d.training import checkpoint

NUM_IMAGES = 10  # two batches, the second padded


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    workdir = tmp_path_factory.mktemp("ladder") / "work"
    argv = [
        "--config=shapes:tiny",
        *micro,
        f"--config.data.source.eval_images={NUM_IMAGES}",
        "--config.evaluation.min_area=1",
    ]
    saved_training.save(workdir, argv, steps=[2])
    return workdir


def run(workdir, *argv):
    return app.run(evaluate.main, "evaluate", [f"--workdir={workdir}", *argv])


def read(path):
    return json.loads(path.read_text())


def test_a_rung_equals_the_plain_evaluation(workdir, tmp_path, capsys):
    assert run(workdir) == 0  # num_steps=2, time_difference=2
    folder = workdir / "evaluation" / "2"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(workdir, "--ladder=3,2", "--ladder_time_difference=2,0") == 0
    out, err = capsys.readouterr()
    assert "with 2, 3 sampler steps and time difference 0, 2" in err
    work = 2 * (2 + 3) * NUM_IMAGES
    assert f"ladder sampler step {work}/{work}" in err
    # The plain results are as they were.
    assert {path: path.read_bytes() for path in before} == before
    added = {p.name for p in folder.rglob("*") if p.is_file() and p not in before}
    figures = ("pq_against_steps", "pq_against_time_difference")
    assert added == {
        *("ladder.json", "ladder.md"),
        *(f"{name}.{suffix}" for name in figures for suffix in ("svg", "png")),
    }
    for name in ("ladder.json", "pq_against_steps.svg"):
        assert str(folder / name) in out
    assert (folder / "ladder.md").read_text() in out
    assert "of the time of 4 evaluations" in out

    ladder = read(folder / "ladder.json")
    assert (ladder["images"], ladder["step"]) == (NUM_IMAGES, 2)
    rows = {(row["num_steps"], row["time_difference"]): row for row in ladder["rows"]}
    assert list(rows) == [(2, 0.0), (3, 0.0), (2, 2.0), (3, 2.0)]
    settings = (
        "--config.diffusion.num_steps=3",
        "--config.diffusion.time_difference=0.0",
    )
    assert run(workdir, f"--output={tmp_path}", *settings) == 0
    for output, setting in ((folder, (2, 2.0)), (tmp_path, (3, 0.0))):
        plain, row = read(output / "metrics.json"), rows[setting]
        assert list(row["pq"]) == ["All", "Things", "Stuff"]
        assert row["pq"] == {group: plain[group] for group in row["pq"]}
        assert row["per_class"] == plain["per_class"]
        assert ladder["oracle"] == plain["oracle"]
    # The settings matter, or the equality says nothing.
    counts = [
        [entry["fp"] for entry in row["per_class"].values()] for row in rows.values()
    ]
    assert len(set(map(tuple, counts))) == 4
    assert all(row["seconds_per_image"] > 0 for row in rows.values())
    assert ladder["encoding_seconds_per_image"] > 0
    # The report of the same output shows it.
    assert run(workdir, "--report") == 0
    assert "2 steps: PQ" in (folder / "report.html").read_text()


def test_one_batch_has_no_times(workdir, tmp_path, capsys):
    argv = ["--ladder=2", "--limit=3", f"--output={tmp_path}"]
    assert run(workdir, *argv) == 0
    assert "prediction:" not in capsys.readouterr().out
    ladder = read(tmp_path / "ladder.json")
    assert ladder["images"] == 3
    assert ladder["left_out"] == NUM_IMAGES - 3
    (row,) = ladder["rows"]
    assert row["time_difference"] == 2.0  # the config's
    assert row["seconds_per_image"] is ladder["encoding_seconds_per_image"] is None
    assert not (tmp_path / "pq_against_time_difference.svg").exists()
    # It is no ladder of an evaluation of all images.
    assert run(workdir, "--report", f"--output={tmp_path}") == 0
    assert "Not measured." in (tmp_path / "report.html").read_text()
    del ladder["sampler"]  # as before it was written
    (tmp_path / "ladder.json").write_text(json.dumps(ladder))
    assert run(workdir, "--report", f"--output={tmp_path}") == 0


def test_times_are_those_of_all_processes_and_their_rows():
    spent = [("a", 1.0, 4), ("a", 3.0, 8), ("b", 9.0, 2)]
    records = [Record(None, Path(f), [[s, n], [0.0, 0]]) for f, s, n in spent]
    assert seconds_per_image(records) == [12 / 10, None]
    assert seconds_per_image(records[::-1]) == [12 / 10, None]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--ladder=0,1"], "--ladder=0,1: take 1 step or more"),
        (["--ladder="], "--ladder=: not a list of numbers; take whole numbers"),
        (["--ladder=1,two"], "--ladder=1,two: not a list of numbers"),
        (["--ladder=1.5"], "--ladder=1.5: not a list of numbers"),
        (["--ladder=5,1,5"], "--ladder=5,1,5: a number is there twice; drop one"),
        (
            ["--ladder=5", "--ladder_time_difference=1,x"],
            "--ladder_time_difference=1,x: not a list of numbers",
        ),
        (
            ["--ladder=5", "--ladder_time_difference=-1,nan"],
            "--ladder_time_difference=-1,nan: take numbers from 0 on",
        ),
        (["--ladder=5", "--ladder_time_difference=1,1.0"], "twice"),
        (["--ladder_time_difference=1"], "works with --ladder only"),
        (["--ladder=5", "--follow"], "--ladder and --follow exclude each other"),
    ],
)
def test_bad_flags_end_in_one_line(tmp_path, capsys, argv, message):
    # Before the workdir is looked at.
    assert run(tmp_path / "none", *argv) == 1
    out, err = capsys.readouterr()
    assert err.startswith("evaluate: error: ") and err.count("\n") == 1
    assert message in err and out == ""


def test_a_model_of_video_is_refused(workdir, tmp_path, capsys, monkeypatch):
    trained = checkpoint.load(workdir)
    model = dataclasses.replace(trained.config.model, num_cond_frames=1)
    config = dataclasses.replace(trained.config, model=model)
    of_video = dataclasses.replace(trained, config=config)
    monkeypatch.setattr(checkpoint, "load", lambda *a, **k: of_video)
    assert run(workdir, "--ladder=1,2", f"--output={tmp_path / 'none'}") == 1
    err = capsys.readouterr().err
    assert "is a model of video" in err and "--config.diffusion.num_steps=N" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "none").exists()
