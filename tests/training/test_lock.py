"""One job at a time trains in a workdir."""

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys

import pytest

from pix2seq_d.config import ConfigError
from pix2seq_d.training import lock

HOLDER = """
import sys, time
from pathlib import Path
from pix2seq_d.training import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_job_is_refused_until_the_first_is_killed(tmp_path):
    workdir = tmp_path / "new" / "work"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(workdir)], stdout=subprocess.PIPE, text=True
    )
    with first:
        assert first.stdout.readline() == "held\n"
        holder = f"process {first.pid} on {socket.gethostname()}, since"
        message = rf"in use by another training \({holder}"
        with pytest.raises(ConfigError, match=message), lock.hold(workdir):
            pass
        first.kill()
        first.wait()
    with lock.hold(workdir):
        text = (workdir / lock.LOCK_FILE).read_text()
        assert text.startswith(f"process {os.getpid()} on ")


def test_it_is_free_again_after_an_error(tmp_path):
    with (
        pytest.raises(ConfigError, match="take another --output"),
        lock.hold(tmp_path),
        lock.hold(tmp_path, flag="output"),
    ):
        pass
    with lock.hold(tmp_path):
        pass


def test_a_workdir_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    message = r"--workdir=\S+/work cannot be written \(Not a directory\); take another"
    with pytest.raises(ConfigError, match=message):
        lock.hold(tmp_path / "file" / "work").__enter__()


def test_a_read_only_workdir_is_named(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount).returncode:
        pytest.skip("no file system may be mounted here")
    message = r"--workdir=\S+ cannot be written \(Read-only file system\); take another"
    try:
        for workdir in (tmp_path, tmp_path / "new"):
            with pytest.raises(ConfigError, match=message):
                lock.hold(workdir).__enter__()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_without_locks_a_line_says_so(tmp_path, monkeypatch, capsys):
    # No file system without locks is at hand.
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock.hold(tmp_path):
        pass
    error = capsys.readouterr().err
    assert f"{tmp_path} cannot be locked (Function not implemented)" in error
