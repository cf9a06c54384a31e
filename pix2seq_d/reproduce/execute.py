"""Runs jobs one after another as processes of their own, and records them."""

import datetime
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import pix2seq_d
from pix2seq_d.reproduce import ladder_rows, records, runs, states
from pix2seq_d.reproduce.jobs import Job
from pix2seq_d.reproduce.runs import Given
from pix2seq_d.training import interrupt

# The checkout, or the folder that the package is installed in.
_ROOT = Path(pix2seq_d.__file__).resolve().parent.parent
_DEVICES = "import jax; d = jax.devices(); print(f'{len(d)} x {d[0].device_kind}')"


class Stopped(Exception):
    """A signal came, and the job that ran has ended."""


class Starter:
    """Starts commands and hands SIGTERM, SIGINT and SIGHUP on to the one that runs.

    A process group of its own keeps the terminal's Ctrl-C from reaching a command a
    second time, which would end a training without saving.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._signal: int | None = None

    def __enter__(self) -> "Starter":
        self._before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM, *interrupt.hang_up())
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: list[str], *, reads: bool = False) -> tuple[int, str]:
        """Exit status and, where it is read instead of passed on, the output.

        Raises:
          Stopped: a signal came before.
        """
        if self._signal is not None:
            raise Stopped
        path = os.pathsep.join(filter(None, (str(_ROOT), os.getenv("PYTHONPATH"))))
        self._process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE if reads else None,
            text=True,
            process_group=0,
        )
        if self._signal is not None:  # between the question above and the start
            self._process.send_signal(self._signal)
        output, _ = self._process.communicate()
        status = self._process.returncode
        self._process = None
        return status, output or ""

    @property
    def is_stopped(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        if number == signal.SIGHUP:
            interrupt.leave_terminal()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def run_all(
    some: Iterable[Job], given: Given, *, commit: str, say: Callable[[str], None]
) -> int:
    """Runs all jobs that can be run; one that fails leaves the others alone.

    Args:
      some: the jobs, each after those that it needs.
      given: by the user.
      commit: of the code, for the records.
      say: takes the lines for people.
    Returns:
      Exit status: 0, 1 where a job failed or could not be run, 75 where a signal or a
      training that has saved its state stopped the work: the same command goes on.
    """
    failed = False
    with Starter() as starter:
        hardware = ""
        for job in some:
            why = _obstacle(job, given)
            if why:
                failed = True
                say(f"skipped: {job.name}: {why}")
                continue
            try:
                hardware = hardware or _hardware(starter)
                status = _run(job, starter, hardware=hardware, commit=commit, say=say)
            except Stopped:
                return interrupt.EXIT_STATUS
            if status == interrupt.EXIT_STATUS or starter.is_stopped:
                say(f"stopped: {job.name}; the same command goes on")
                return interrupt.EXIT_STATUS
            if status:
                failed = True
                say(f"failed: {job.name}, exit status {status}; see the lines above")
            elif job.command == "evaluate" and any(
                states.score(run, given) is None for run in job.runs
            ):
                failed = True
                say(f"failed: {job.name} wrote no result of these settings")
    return 1 if failed else 0


def _obstacle(job: Job, given: Given) -> str:
    """Why a job cannot be run now, after those before it; ''."""
    for run in job.runs:
        why = states.obstacle(run, given)
        if not why and job.command == "evaluate" and not states.is_trained(run):
            why = f"{run.row.evaluates or run.path} is not trained to its end"
        if not why and job.command == "train" and run.row.start:
            start = runs.make(run.row.start, run.seed, given)
            if not states.is_trained(start):
                why = f"starts from {start.path}, which is not trained to its end"
        if why:
            return why
    return ""


def _run(
    job: Job,
    starter: Starter,
    *,
    hardware: str,
    commit: str,
    say: Callable[[str], None],
) -> int:
    text = job.text
    say(f"$ {text}")
    started = _now()
    status, _ = starter.run([*_entry(job.command), *job.flags])
    record = records.Record(text, started, _now(), status, hardware, commit)
    if status == 0 and job.is_ladder:
        ladder_rows.split(job.folder, job.runs)
        for run in job.runs:
            records.add(run.score, record)
    records.add(job.folder, record)
    return status


def _entry(command: str) -> list[str]:
    """How a command is started: from the checkout, or as it is installed."""
    if (_ROOT / "launch" / f"{command}.py").is_file():
        return [sys.executable, "-m", f"launch.{command}"]
    return [sys.executable, "-m", "pix2seq_d.cli.main", command]


def _hardware(starter: Starter) -> str:
    """Number and kind of the devices, asked in a process that leaves them free."""
    status, output = starter.run([sys.executable, "-c", _DEVICES], reads=True)
    found = output.strip() if status == 0 else "not known"
    return f"{found} ({os.cpu_count()} cores)" if "cpu" in found else found


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
