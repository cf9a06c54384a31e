"""What all commands share: a terminal that is gone, or that knows only ASCII."""

import errno
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


def _deny(path):
    # Who runs the tests may be allowed everything.
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Path.mkdir, "File exists; a file has this name: take another, or move it"),
        (os.listdir, "Not a directory; a file stands where a folder should: name"),
        (lambda path: (path.parent).write_text(""), "Is a directory; name a file"),
        (lambda path: (path.parent / "none").read_text(), "No such file or directory"),
        (_deny, "Permission denied; take a path that you may read and write, or"),
    ],
)
def test_a_refused_path_is_named_with_its_cure(act, said, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert app.run(lambda argv: act(path), "do") == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"do: error: {tmp_path}") and printed.count("\n") == 1
    assert said in printed and "Errno" not in printed


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
