"""What all commands share: a terminal that is gone, or that knows only ASCII."""

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pix2seq_d.cli import app

ROOT = Path(__file__).resolve().parents[2]


def test_characters_that_the_terminal_lacks_are_replaced(monkeypatch):
    buffer = io.BytesIO()
    stdout = io.TextIOWrapper(buffer, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert app.run(lambda argv: print("Straße"), "say") == 0
    assert buffer.getvalue() == b"Stra?e\n"


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_read_enough_is_no_error(lines):
    code = (
        "import sys; from pix2seq_d.cli import app\n"
        f"sys.exit(app.run(lambda argv: print('line\\n' * {lines}), 'say'))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("train", "workdir"),
        ("evaluate", "workdir"),
        ("evaluate", "output"),
        ("predict", "checkpoint"),
        ("predict", "output"),
        ("convert", "output"),
        ("export", "checkpoint"),
        ("export", "output"),
        ("curves", "workdir"),
    ],
)
def test_a_bucket_is_no_folder(command, flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = importlib.import_module(f"pix2seq_d.cli.{command}").main
    argv = ["--config=shapes:tiny"] if command == "train" else []
    assert app.run(run, command, [*argv, f"--{flag}=gs://bucket/folder"]) == 1
    assert capsys.readouterr().err == (
        f"{command}: error: --{flag}=gs://bucket/folder is no folder; mount the bucket "
        "(gcsfuse) and give its path, or take a disk\n"
    )
    assert list(tmp_path.iterdir()) == []
