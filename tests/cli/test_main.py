"""The console script `pix2seq-d`: it names every command and runs them."""

import sys

import pytest

from pix2seq_d.cli import app, main


@pytest.fixture
def run(monkeypatch):
    def run(*argv):
        monkeypatch.setattr(sys, "argv", ["pix2seq-d", *argv])
        return main.main()

    return run


def test_every_launcher_is_a_command():
    launchers = (app.CONFIG_FOLDERS[1].parent / "launch").glob("[!_]*.py")
    assert {path.stem for path in launchers} == main.COMMANDS.keys()


def test_help_lists_the_commands(capsys, run):
    assert run() == run("--help") == 0
    out = capsys.readouterr().out
    assert "  metrics   PQ, STQ, VPQ, J&F or mIoU of files; no model needed\n" in out


def test_a_command_says_its_name(capsys, run):
    assert run("metrics", "--kind=pq", "--gt=a.json", "--pred=b.json") == 1
    line = "pix2seq-d metrics: error: a.json: no such file; check the path\n"
    assert capsys.readouterr().err == line


def test_an_unknown_command(capsys, run):
    assert run("metric") == 1
    line = capsys.readouterr().err
    assert line.startswith("pix2seq-d: error: no command 'metric'; choose demo, train")
