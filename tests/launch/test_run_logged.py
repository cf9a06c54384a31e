"""run_logged.sh: a process's console, its signals and its status."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pix2seq_d.training import interrupt

ROOT = Path(__file__).resolve().parents[2]

STOPPED = interrupt.EXIT_STATUS


def log_of(folder, suffix=""):
    return (folder / f"{os.uname().nodename}{suffix}.log").read_text()


@pytest.mark.parametrize("status", [0, 1, STOPPED, 137])
def test_the_command_keeps_its_status_and_arguments(status, cluster, arguments):
    cluster.stand_in("program", f"exit {status}")
    logs = cluster.folder / "a b" / "logs"
    done = cluster.run("run_logged.sh", str(logs), "program", *arguments, check=False)
    assert done.returncode == status
    assert cluster.calls() == [["program", *arguments]]


def test_the_log_has_both_streams_of_every_start(cluster):
    cluster.stand_in("program", "echo out; echo err >&2")
    for _ in range(2):
        shown = cluster.run("run_logged.sh", str(cluster.folder), "program", "x y")
    assert [line for line in shown.stdout.splitlines() if " " not in line] == [
        "out",
        "err",
    ]
    lines = log_of(cluster.folder).splitlines()
    assert lines[1:3] == lines[4:6] == ["out", "err"]
    assert lines[0].endswith(f"{os.uname().nodename}: program x\\ y")


def test_processes_of_a_host_have_logs_of_their_own(cluster):
    cluster.stand_in("program", "echo said")
    argv = ("run_logged.sh", str(cluster.folder), "program")
    cluster.run(*argv, SLURM_PROCID="3")
    cluster.run(*argv, JOB_COMPLETION_INDEX="1")
    assert "said" in log_of(cluster.folder, "-3")
    assert "said" in log_of(cluster.folder, "-1")


def test_again_repeats_what_was_stopped_and_nothing_else(cluster):
    status = cluster.answers("statuses", [STOPPED, STOPPED, 1, 0])
    cluster.stand_in("program", f"exit {status}")
    argv = ("run_logged.sh", "--again", str(cluster.folder), "program", "x")
    assert cluster.run(*argv, check=False).returncode == 1
    assert cluster.calls() == 3 * [["program", "x"]]
    assert log_of(cluster.folder).count("it goes on") == 2


@pytest.mark.usefixtures("heard_hang_up")
@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGTERM, "TERM"), (signal.SIGINT, "INT"), (signal.SIGHUP, "TERM")],
)
def test_a_signal_reaches_the_command_which_is_then_not_repeated(number, name, cluster):
    cluster.stand_in(
        "program",
        f"trap 'sleep 0.2; echo last word; exit {STOPPED}' {name}\n"
        "echo ready\nwhile :; do sleep 0.05; done",
    )
    script = str(ROOT / "launch" / "run_logged.sh")
    process = subprocess.Popen(
        ["bash", script, "--again", str(cluster.folder), "program"],
        env={**cluster.environment, "PATH": f"{cluster.folder}/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout
        assert any(line == "ready\n" for line in process.stdout)
        # As terminals and SLURM do it; tee is of the group, and stays.
        os.killpg(process.pid, number)
        assert process.stdout.read() == "last word\n"
        assert process.wait(20) == STOPPED
    assert cluster.calls() == [["program"]]
    assert log_of(cluster.folder).endswith("last word\n")


def test_what_it_takes_is_said_where_it_is_missing(cluster):
    done = cluster.run("run_logged.sh", str(cluster.folder), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("launch/run_logged.sh [--again] FOLDER COMMAND")
