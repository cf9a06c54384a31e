"""SIGTERM, SIGINT and SIGHUP ask a training to stop after the step under way (ours).

Schedulers send SIGTERM before they take a machine away, a terminal SIGHUP when its
window or connection is gone. The training saves and ends with exit status 75
(EX_TEMPFAIL), on which schedulers may start the same command again.
"""

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TypeVar

EXIT_STATUS = os.EX_TEMPFAIL
T = TypeVar("T")


class Stopped(Exception):
    """A training has saved its state and ended before its last step."""


class StopRequest(Exception):
    """The place to stop at is reached; the training goes on to save its state."""


class Interruption:
    """Whether the job was asked to stop; `watch` makes one.

    Attributes:
      name: of the signal that came, None before; in a job of several processes the
        signal may have come to another.
    """

    def __init__(self, *, several: bool) -> None:
        self.name: str | None = None
        self._several = several
        self._checks = 0
        self._waits = False

    def check(self) -> None:
        """Raises StopRequest if this is the place to stop.

        All processes have to call it equally often: they stop at the same call, the
        first one that none of them has passed when the signal comes.
        """
        if self._several:
            from jax.experimental import multihost_utils  # app.py needs no JAX

            self._checks += 1
            if multihost_utils.reached_preemption_sync_point(self._checks):
                self.name = self.name or "SIGTERM"
                raise StopRequest
        elif self.name:
            raise StopRequest

    def next(self, batches: Iterator[T]) -> T:
        """The next batch; a single process does not wait for it to the end.

        Raises:
          StopRequest: a signal came meanwhile.
        """
        self._waits = not self._several
        try:
            return next(batches)
        finally:
            self._waits = False

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Runs in the main thread, between two instructions of Python."""
        if number == signal.SIGHUP:
            leave_terminal()  # the listener may not have come to it yet
        self.name = signal.Signals(number).name
        if self._waits:
            self._waits = False
            raise StopRequest


def hang_up() -> tuple[signal.Signals, ...]:
    """SIGHUP, or nothing where it is ignored, as under `nohup`, and stays so."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return () if ignored else (signal.SIGHUP,)


def leave_terminal() -> None:
    """What is printed goes nowhere where it went to a terminal that is gone.

    Or to a pipe, whose reader, such as `tee`, the terminal takes with it. Else the next
    line would end the process by an error before its state is saved.
    """
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed already
            mode = os.fstat(number).st_mode
            gone = stat.S_ISCHR(mode) and not os.isatty(number)
            if gone or stat.S_ISFIFO(mode):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


@contextlib.contextmanager
def stopping_at_once() -> Iterator[None]:
    """SIGTERM ends the process with `EXIT_STATUS`, but for where `watch` has it.

    For the time before there is anything to save, and after it is saved.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_STATUS))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def watch(*, several: bool = False) -> Iterator[Interruption]:
    """Takes SIGTERM, SIGINT and SIGHUP as requests to stop, while the context lasts.

    A SIGHUP that is ignored, as under `nohup`, stays ignored. A second SIGINT ends the
    process at once, even while it compiles: a thread reads the signals, which Python
    itself would see only when the compiler returns. Outside the main thread, where
    Python allows no handlers, nothing changes.

    Args:
      several: whether the job has several processes. SIGTERM is JAX's then, whose
        coordination service has them agree on a place to stop at.
    """
    interruption = Interruption(several=several)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    listener = threading.Thread(
        target=_listen, args=(reader, several), name="pix2seq_d-signals", daemon=True
    )
    listener.start()
    signals = [signal.SIGINT, *hang_up()]
    if not several:
        signals.append(signal.SIGTERM)
    handlers = {s: signal.signal(s, interruption.on_signal) for s in signals}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield interruption
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)
        listener.join()
        os.close(reader)


def _listen(reader: int, several: bool) -> None:
    told = interrupted = False
    while data := os.read(reader, 1):
        if data[0] not in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            continue
        name = signal.Signals(data[0]).name
        if name == "SIGHUP":
            leave_terminal()
        if name == "SIGINT" and interrupted:
            print("\ninterrupted", file=sys.stderr, flush=True)
            os._exit(130)
        if several and name != "SIGTERM":
            os.kill(os.getpid(), signal.SIGTERM)
        if not told:
            again = "; once more to stop at once" if name == "SIGINT" else ""
            with contextlib.suppress(OSError):  # nobody reads it
                print(
                    f"\n{name}: stopping after this step{again}",
                    file=sys.stderr,
                    flush=True,
                )
        told, interrupted = True, interrupted or name == "SIGINT"
