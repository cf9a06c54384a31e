"""The same bytes in the same order: killed and resumed, any workers, any processes."""

import hashlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import write_batches

STEPS = 8


def hashes(folder, processes=1):
    """Hash of every global batch, shares in the order of the processes."""
    made = {}
    for loader in write_batches.LOADERS:
        for step in range(STEPS):
            name = f"{loader}-{step:03d}-{{}}.npy"
            shares = [np.load(folder / name.format(p)) for p in range(processes)]
            whole = np.concatenate(shares)
            assert len(whole) == 4
            made[loader, step] = hashlib.sha256(whole.tobytes()).hexdigest()
    return made


def start(*arguments):
    command = [sys.executable, "write_batches.py", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    write_batches.write(folder, start=0, stop=STEPS, workers=1)
    found = hashes(folder)
    assert len(set(found.values())) == len(found)
    return found


def test_killed_and_resumed_with_other_numbers_of_workers(tmp_path, expected):
    first = start(tmp_path, 0, 100_000, 8)
    while not (tmp_path / "memory-002-0.npy").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = len(list(tmp_path.glob("memory-???-0.npy")))
    resumed = min(done, STEPS - 3)  # it may have been quick
    for path in tmp_path.glob("*.npy"):
        if int(path.name.split("-")[1]) >= resumed:
            path.unlink()
    finish(start(tmp_path, resumed, STEPS, 2))
    assert hashes(tmp_path) == expected


def test_two_processes_over_loopback(tmp_path, expected):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    pair = [start(tmp_path, 0, STEPS, 2, rank, coordinator) for rank in (0, 1)]
    for process in pair:
        finish(process)
    assert hashes(tmp_path, processes=2) == expected
