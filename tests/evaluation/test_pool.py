"""Items scored by processes that are really started: order, errors, deaths."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pix2seq_d.evaluation import pool


@dataclasses.dataclass(frozen=True)
class Squares:
    """Row -> its square and the process; every other row takes longer."""

    count: int
    per_process: int = 1
    chunk: int = 1
    broken: int = -1
    deadly: int = -1

    unit = "image"

    def __len__(self) -> int:
        return self.count

    def score(self, row):
        time.sleep(0.02 * (row % 2))
        if row == self.broken:
            raise ValueError(f"{row}.png: is broken; mend it")
        if row == self.deadly:
            os._exit(1)
        return row**2, os.getpid()


@pytest.mark.parametrize("chunk", [1, 8])
def test_two_processes_keep_the_order_up_to_an_error(chunk):
    found = pool.scores(Squares(10_000, chunk=chunk, broken=40), num_workers=2)
    start = time.monotonic()
    first = [next(found) for _ in range(40)]
    assert [square for square, _ in first] == [row**2 for row in range(40)]
    processes = {process for _, process in first}
    assert len(processes) == 2 and os.getpid() not in processes
    with pytest.raises(ValueError, match=r"^40\.png: is broken; mend it$"):
        next(found)
    # What comes after the error is left: all of it takes 50 seconds.
    assert time.monotonic() - start < 25


@pytest.mark.parametrize(
    ("task", "num_workers"),
    [(Squares(9), 1), (Squares(9, per_process=5), 8), (Squares(0), 8)],
)
def test_one_worker_or_few_items_take_no_process(task, num_workers):
    found = list(pool.scores(task, num_workers=num_workers))
    assert found == [(row**2, os.getpid()) for row in range(len(task))]


def test_the_last_chunk_may_be_short():
    found = list(pool.scores(Squares(21, chunk=8), num_workers=2))
    assert [square for square, _ in found] == [row**2 for row in range(21)]


def test_without_a_process_an_error_is_the_same():
    with pytest.raises(ValueError, match=r"^2\.png: is broken; mend it$"):
        list(pool.scores(Squares(3, broken=2), num_workers=1))


def test_a_killed_process_does_not_hang():
    found = pool.scores(Squares(50, deadly=5), num_workers=2)
    with pytest.raises(RuntimeError, match=r"a process was killed, .*; lower num_work"):
        list(found)


STARTING = """
import pathlib, sys, time
from pix2seq_d.cli import app
from pix2seq_d.evaluation import pool

if __name__ == "__mp_main__":  # imports of a process that starts
    pathlib.Path(f"{sys.argv[1]}/started").touch()
    time.sleep(1)


class Naps:
    unit, per_process, chunk = "image", 1, 1

    def __len__(self):
        return 999

    def score(self, row):
        time.sleep(0.1)


def main(argv):
    list(pool.scores(Naps(), num_workers=2))


if __name__ == "__main__":
    sys.exit(app.run(main, "nap"))
"""


def test_ctrl_c_is_one_line_while_processes_start(tmp_path):
    script, started = tmp_path / "nap.py", tmp_path / "started"
    script.write_text(STARTING)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(pool.__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "\nnap: interrupted\n"
    assert process.returncode == 130


def test_ctrl_c_never_falls_between_a_process_and_the_pool():
    handler, reached = signal.getsignal(signal.SIGINT), False
    with pytest.raises(KeyboardInterrupt), pool._interrupt_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_thread_may_start_processes():
    with ThreadPoolExecutor(1) as threads:
        found = threads.submit(lambda: list(pool.scores(Squares(4), num_workers=2)))
    assert [square for square, _ in found.result()] == [0, 1, 4, 9]
