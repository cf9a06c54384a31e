"""Signals become a place to stop at, the same one in all processes."""

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pix2seq_d.training import interrupt

ROOT = Path(__file__).resolve().parents[2]


def python(code, *argv, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.usefixtures("heard_hang_up")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_request_to_stop_at_the_next_check(number, capfd):
    with interrupt.watch() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        with pytest.raises(interrupt.StopRequest):
            interruption.check()
        assert interruption.name == number.name
    assert f"{number.name}: stopping after this step" in capfd.readouterr().err


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interrupt.watch():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_data_that_does_not_come_is_not_waited_for():
    def batches():
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert not threading.Event().wait(60), "was waited for"
        yield

    with interrupt.watch() as interruption, pytest.raises(interrupt.StopRequest):
        interruption.next(batches())


def test_a_batch_that_comes_is_passed_on():
    with interrupt.watch() as interruption:
        assert interruption.next(iter([3])) == 3


HUNG_UP = """
import sys
from pathlib import Path
from pix2seq_d.training import interrupt
with interrupt.watch() as interruption:
    print("ready", flush=True)
    while interruption.name is None:
        pass
print("saving", flush=True)
print("saving", file=sys.stderr, flush=True)
Path(sys.argv[1]).write_text(interruption.name)
"""


@pytest.mark.usefixtures("heard_hang_up")
def test_a_terminal_that_is_gone_stops_a_training_and_takes_what_it_prints(tmp_path):
    terminal, inside = pty.openpty()
    # The first one that a session's leader opens becomes its controlling terminal.
    opened = "import os; os.open(os.ttyname(0), os.O_RDWR)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", opened + HUNG_UP, str(tmp_path / "saved")],
        cwd=ROOT,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        assert os.read(terminal, 100).startswith(b"ready")
        os.close(terminal)
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert (tmp_path / "saved").read_text() == "SIGHUP"


@pytest.mark.usefixtures("heard_hang_up")
def test_a_pipe_whose_reader_went_with_the_terminal_takes_what_is_printed(tmp_path):
    with python(HUNG_UP, str(tmp_path / "saved")) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.stdout.close()
            process.stderr.close()
            process.send_signal(signal.SIGHUP)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert (tmp_path / "saved").read_text() == "SIGHUP"


def test_nohup_stays_deaf_to_a_terminal_that_is_gone():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt.watch() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            interruption.check()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_changes():
    before = signal.getsignal(signal.SIGTERM)

    def work():
        with interrupt.watch() as interruption:
            interruption.check()
            seen.append(signal.getsignal(signal.SIGTERM))

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


# Done in C, which looks at no signals and lets other threads run, as compiling is.
BUSY = """
import hashlib
from pix2seq_d.training import interrupt
with interrupt.watch():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


def test_a_second_ctrl_c_ends_a_process_that_is_busy_in_c():
    with python(BUSY) as process:
        try:
            assert process.stdout.readline() == "busy\n"
            time.sleep(0.1)  # for it to be busy
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline() == "\n"
            line = process.stderr.readline()
            again = "once more to stop at once\n"
            assert line == f"SIGINT: stopping after this step; {again}"
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()


# One of the processes is ahead, and the signal comes to one of them only.
SEVERAL = """
import sys, time, jax
from pix2seq_d.cli import app
from pix2seq_d.training import interrupt
index = int(sys.argv[1])
jax.distributed.initialize(sys.argv[2], 2, index)

def main(argv):
    with interrupt.watch(several=True) as interruption:
        print("ready", flush=True)
        step = 0
        try:
            while True:
                interruption.check()
                step += 1
                time.sleep(0.01 + 0.01 * index)
        except interrupt.StopRequest:
            print(step, interruption.name, flush=True)
    sys.stdin.read()
    raise ValueError("too few cats")

sys.exit(app.run(main, "train", []))
"""


@pytest.fixture(scope="module")
def several():
    """Status, output and errors of two processes; one of them gets Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        python(SEVERAL, str(index), address, stdin=subprocess.PIPE) for index in (0, 1)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        processes[1].send_signal(signal.SIGINT)
        # Process 0 holds the service that the other one needs until its end.
        ends = [process.communicate(timeout=60) for process in reversed(processes)]
    finally:
        for process in processes:
            process.kill()
    return [
        (process.returncode, *end)
        for process, end in zip(processes, reversed(ends), strict=True)
    ]


def test_a_signal_to_one_process_stops_all_at_the_same_call(several):
    (first, _), (second, name) = (output.split() for _, output, _ in several)
    assert first == second and int(first) > 0
    assert name == "SIGINT"


def test_an_error_names_its_process_which_waits_for_no_other(several):
    for index, (status, _, errors) in enumerate(several):
        assert status == 1
        line = f"train (process {index} of 2): error: too few cats"
        assert errors.splitlines()[-1] == line


def test_a_signal_while_a_resumed_job_saves_stops_it_at_once(tmp_path):
    """Orbax looks at the same signal, and would put the stop 500 calls off."""
    script = Path(__file__).with_name("preempted_job.py")
    made = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.stdout.splitlines()[-1:] == ["0 more steps, stopped by SIGTERM"], made


def test_sigterm_before_there_is_anything_to_save_has_the_status_too(tmp_path):
    code = (
        "import time\n"
        "from pix2seq_d.training import interrupt\n"
        "with interrupt.stopping_at_once():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with python(code) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == interrupt.EXIT_STATUS


def test_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with interrupt.stopping_at_once():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
