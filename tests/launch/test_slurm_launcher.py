"""launch/slurm: what sbatch gets, what the job runs, and when it is put back."""

import os
from pathlib import Path

import pytest

from pix2seq_d.training import interrupt

ROOT = Path(__file__).resolve().parents[2]

JOB = {"SLURM_JOB_ID": "17", "SLURM_SUBMIT_DIR": str(ROOT)}


@pytest.fixture
def job(cluster):
    """Stand-ins that do what SLURM does, with one node and one process."""
    cluster.stand_in("srun", 'while [ "${1#--}" != "$1" ]; do shift; done; "$@"')
    cluster.stand_in("scontrol")
    return cluster


def test_sbatch_gets_the_options_and_the_training_its_arguments(job, arguments):
    job.stand_in("sbatch", 'while [ "${1#-}" != "$1" ]; do shift; done; bash "$@"')
    job.stand_in("pix2seq-d", 'echo "$SRUN_CPUS_PER_TASK cores"')
    options = ["--nodes=2", "--account=a b"]
    environment = {**JOB, "SLURM_CPUS_PER_TASK": "12", "SLURM_PROCID": "5"}
    job.run("slurm/train.sh", *options, "--", *arguments, **environment)
    sbatch, srun, train = job.calls()
    script = "launch/slurm/train.sbatch"
    assert sbatch == ["sbatch", *options, script, *arguments]
    assert srun[0] == "srun"
    assert train == ["pix2seq-d", "train", *arguments]
    logs = job.folder / "work" / "run 1" / "logs"
    log = (logs / f"{os.uname().nodename}-5.log").read_text()
    assert log.endswith("12 cores\n")


def test_print_shows_what_the_job_runs(job, arguments):
    printed = job.run("slurm/train.sh", "--print", "--nodes=2", "--", *arguments).stdout
    assert job.calls() == []
    job.stand_in("sbatch")
    job.stand_in("pix2seq-d")
    job.run_printed(printed)
    _, srun, train = job.calls()
    job.run("slurm/train.sbatch", *arguments, **JOB)
    assert [srun, train] == job.calls()


def test_a_stopped_training_goes_back_into_the_queue(job, arguments):
    job.stand_in("pix2seq-d", f"exit {interrupt.EXIT_STATUS}")
    job.run("slurm/train.sbatch", *arguments, **JOB)
    assert job.calls()[-1] == ["scontrol", "requeue", "17"]


def test_the_job_ends_where_the_queue_does_not_take_it_back(job, arguments):
    job.stand_in("pix2seq-d", f"exit {interrupt.EXIT_STATUS}")
    job.stand_in("scontrol", "exit 1")
    done = job.run("slurm/train.sbatch", *arguments, check=False, **JOB)
    assert done.returncode == interrupt.EXIT_STATUS


@pytest.mark.parametrize("status", [0, 1, 137])
def test_what_ended_or_failed_is_not_repeated(status, job, arguments):
    job.stand_in("pix2seq-d", f"exit {status}")
    done = job.run("slurm/train.sbatch", *arguments, check=False, **JOB)
    assert done.returncode == status
    assert [call[0] for call in job.calls()] == ["srun", "pix2seq-d"]


def test_it_is_submitted_from_the_repository(job, arguments):
    job.stand_in("sbatch")
    script = ROOT / "launch" / "slurm" / "train.sh"
    text = f"cd '{job.folder}' && bash {script} -- --config=a --workdir=w"
    (job.folder / "elsewhere.sh").write_text(text)
    done = job.run(str(job.folder / "elsewhere.sh"), check=False)
    assert done.returncode == 2
    assert f"cd {ROOT}" in done.stderr
    assert job.calls() == []
