"""Commands of a table get the signals that come meanwhile."""

import os
import signal
import sys
import threading
import time

import pytest

from pix2seq_d.reproduce.execute import Starter, Stopped

WAITS = """
import pathlib, signal, sys, time
def stop(number, _):
    sys.exit(number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


@pytest.mark.usefixtures("heard_hang_up")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_goes_to_the_command_and_no_other_one_starts(number, tmp_path):
    ready = tmp_path / "ready"

    def send():
        end = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with Starter() as starter:
        threading.Thread(target=send).start()
        status, _ = starter.run([sys.executable, "-c", WAITS, str(ready)])
        assert status == number
        assert starter.is_stopped
        with pytest.raises(Stopped):
            starter.run([sys.executable, "-c", ""])
    assert signal.getsignal(number) == before


def test_nohup_holds_for_the_commands_too():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Starter() as starter:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not starter.is_stopped
            assert starter.run([sys.executable, "-c", ""])[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
