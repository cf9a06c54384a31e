"""Small files are whole or as they were."""

import subprocess
import sys

import pytest

from pix2seq_d import atomic_file


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.json"
    for text in ("first", "second"):
        atomic_file.replace_text(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none/a\.json cannot be written .*No such file"):
        atomic_file.replace_text(tmp_path / "none" / "a.json", "text")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("before")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from pix2seq_d import atomic_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "atomic_file.replace_text(Path(sys.argv[1]), 'x' * 100)\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True
    )
    assert made.returncode == 1
    last = made.stderr.splitlines()[-1]
    assert "a.json cannot be written (File too large); free space" in last
    assert path.read_text() == "before"
