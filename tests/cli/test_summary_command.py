"""launch.summary: the table, the figure, and what may be wrong."""

import pytest
from PIL import Image

from pix2seq_d.cli import app, summary


def test_prints_the_parts_and_draws_them(capsys, tmp_path, micro):
    figure = tmp_path / "model.png"
    argv = ["--config=shapes:tiny", *micro, f"--figure={figure}"]
    assert app.run(summary.main, "summary", argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["output", "parameters", "GFLOP"]
    assert {line.split()[0] for line in lines if "per" in line.split()} == {
        "encoder",
        "pyramid",
        "decoder",
    }
    assert lines[-1] == f"figure: {figure}"
    with Image.open(figure) as image:
        assert image.width == 1600


def test_fields_change_the_model(capsys, micro):
    def parameters(*more):
        argv = ["--config=shapes:tiny", *micro, *more]
        assert app.run(summary.main, "summary", argv) == 0
        lines = capsys.readouterr().out.splitlines()
        (line,) = [line for line in lines if line.startswith("all")]
        return int(line.split()[1].replace(",", ""))

    frames = "--config.model.num_cond_frames=1"
    assert parameters(frames) > parameters()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--config is missing"),
        (["--config=shape:tiny"], "known configs"),
        (["--config=shapes:tiny", "--figure=model.jpg"], "model.jpg: figures"),
        (["--config=shapes:tiny", "--figure=absent/m.png"], "absent: no such folder"),
        (["--config=shapes:tiny", "--config.model.mask_size=(7,7)"], "model.mask_size"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(capsys, argv, message):
    assert app.run(summary.main, "summary", argv) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("summary: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
