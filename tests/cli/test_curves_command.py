"""launch.curves: figures of workdirs, and what may be wrong."""

import json

import pytest
from PIL import Image

from pix2seq_d.cli import app, curves


@pytest.fixture
def workdirs(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        records = [{"step": k, "loss": 3.0 / k} for k in range(1, 6)]
        text = "".join(json.dumps(r) + "\n" for r in records)
        (tmp_path / name / "metrics.jsonl").write_text(text)
    return [tmp_path / "a", tmp_path / "b"]


def run(*argv):
    return app.run(curves.main, "curves", [str(a) for a in argv])


def test_a_workdir_gets_an_svg_with_scores_of_another_job(workdirs, capsys):
    folder = workdirs[0] / "evaluation"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text('{"step": 5, "eval/pq": 0.25}\n')
    assert run(f"--workdir={workdirs[0]}") == 0
    figure = workdirs[0] / "curves.svg"
    assert capsys.readouterr().out == f"figure: {figure}\n"
    svg = figure.read_text()
    assert ">PQ 25.0</text>" in svg and ">a</text>" in svg


def test_several_runs_in_one_png(workdirs, tmp_path):
    output = tmp_path / "both.png"
    assert run(*(f"--workdir={w}" for w in workdirs), f"--output={output}") == 0
    with Image.open(output) as image:
        assert image.size == (640, 400)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--workdir is missing"),
        (["--workdir=a", "--workdir=b/../a"], "--workdir=b/../a: is there twice"),
        (["--workdir=c"], "c: no metrics in it"),
        (["--workdir=a", "--output=c.jpg"], "c.jpg: figures are drawn as .png or .svg"),
        (["--workdir=a", "--output=no/c.svg"], "no: no such folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    workdirs, monkeypatch, tmp_path, capsys, argv, message
):
    monkeypatch.chdir(tmp_path)
    assert run(*argv) == 1
    out, err = capsys.readouterr()
    assert err.startswith("curves: error: ") and err.count("\n") == 1
    assert message in err and out == ""
