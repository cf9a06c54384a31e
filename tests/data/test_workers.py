"""Workers keep the order, carry errors, and do not let anybody wait for ever."""

import subprocess
import sys
import threading
import time

import pytest

from pix2seq_d.data.workers import ordered_map


def mapped(function, items, **options):
    options = dict(num_workers=3, ahead=4, timeout_s=60.0) | options
    return ordered_map(function, items, waits_for=lambda: "the moon", **options)


def test_results_come_in_order_whatever_finishes_first():
    def slow_if_even(k):
        time.sleep(0.02 * (k % 2 == 0))
        return k * k

    assert list(mapped(slow_if_even, range(20))) == [k * k for k in range(20)]


def test_items_are_taken_no_further_ahead_than_asked():
    taken = []

    def items():
        for k in range(100):
            taken.append(k)
            yield k

    found = mapped(abs, items(), ahead=4)
    next(found)
    assert taken == [0, 1, 2, 3, 4]
    found.close()


def test_an_exception_comes_at_its_place_and_ends_the_threads():
    def fail_at_three(k):
        if k == 3:
            raise SystemExit("worker died")
        return k

    made = []
    with pytest.raises(SystemExit, match="worker died"):
        made.extend(mapped(fail_at_three, range(9)))
    before = [t for t in threading.enumerate() if t.name == "pix2seq_d-worker"]
    assert not before


def test_a_result_that_does_not_come_is_an_error_at_once():
    release = threading.Event()
    found = mapped(lambda k: release.wait() if k == 1 else k, range(5), timeout_s=0.2)
    assert next(found) == 0
    start = time.monotonic()
    message = r"^no training example was ready within 0\.2 s; waiting for the moon; .*"
    with pytest.raises(TimeoutError, match=message + r"data\.read_timeout_s$"):
        next(found)
    assert time.monotonic() - start < 3
    release.set()


def test_a_hanging_thread_does_not_keep_python_from_ending():
    script = (
        "import time\n"
        "from pix2seq_d.data.workers import ordered_map\n"
        "found = ordered_map(time.sleep, [1000.0], num_workers=1, ahead=0,"
        " timeout_s=0.1, waits_for=str)\n"
        "next(found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("TimeoutError: no training example")
