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
    errors = process.communicate(timeout=900)[1]
    assert process.returncode == 0, errors


def kill(processes, folder):
    """Kills them once each has made three batches; returns the step to resume at."""
    marks = [folder / f"memory-002-{p}.npy" for p in range(len(processes))]
    while not all(mark.exists() for mark in marks):
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        process.communicate()
    made = [
        len(list(folder.glob(f"memory-???-{p}.npy"))) for p in range(len(processes))
    ]
    resumed = min(*made, STEPS - 3)  # they may have been quick
    for path in folder.glob("*.npy"):
        if int(path.name.split("-")[1]) >= resumed:
            path.unlink()
    return resumed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "tiny"
    write_batches.write_dataset(root)
    return root


@pytest.fixture(scope="module")
def expected(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    write_batches.write(folder, dataset, start=0, stop=STEPS, workers=1)
    found = hashes(folder)
    assert len(set(found.values())) == len(found)
    return found


def test_killed_and_resumed_with_other_numbers_of_workers(tmp_path, dataset, expected):
    first = start(tmp_path, dataset, 0, 100_000, 8)
    resumed = kill([first], tmp_path)
    finish(start(tmp_path, dataset, resumed, STEPS, 2))
    assert hashes(tmp_path) == expected


def test_two_processes_killed_and_resumed(tmp_path, dataset, expected):
    def pair(first, stop, workers):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            coordinator = f"localhost:{free.getsockname()[1]}"
        return [
            start(tmp_path, dataset, first, stop, count, rank, coordinator)
            for rank, count in enumerate(workers)
        ]

    resumed = kill(pair(0, 100_000, workers=(1, 8)), tmp_path)
    for process in pair(resumed, STEPS, workers=(8, 2)):
        finish(process)
    assert hashes(tmp_path, processes=2) == expected
