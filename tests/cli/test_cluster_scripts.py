"""The scripts for clusters, run with stand-ins for the clusters' own commands."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from pix2seq_d.training import interrupt

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """Runs a script; returns its status and what the stand-ins were called with."""
    calls = tmp_path / "calls"
    calls.touch()

    def run(script, *argv, status=0, **environment):
        for name in ("srun", "scontrol", "gcloud"):
            result = status if name == "srun" else 0
            path = tmp_path / name
            path.write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\nexit {result}\n')
            path.chmod(0o755)
        done = subprocess.run(
            ["bash", ROOT / "launch" / script, *argv],
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "SLURM_JOB_ID": "17",
                # A .venv/bin there would go before the stand-ins.
                "SLURM_SUBMIT_DIR": str(tmp_path),
                **environment,
            },
            capture_output=True,
            check=False,
        )
        return done.returncode, calls.read_text().splitlines()

    return run


def test_slurm_puts_a_stopped_training_back_into_the_queue(run):
    stopped = interrupt.EXIT_STATUS
    status, (train, requeue) = run(
        "slurm/train.sbatch", "--config=a:b", status=stopped, SLURM_CPUS_PER_TASK="12"
    )
    assert train.startswith("srun --cpus-per-task=12 ")
    assert train.endswith("python -m launch.train --config=a:b")
    assert requeue == "scontrol requeue 17"
    assert status == 0


@pytest.mark.parametrize("status", [0, 1, 137])
def test_slurm_does_not_repeat_what_ended_or_failed(run, status):
    found, calls = run("slurm/train.sbatch", status=status)
    assert found == status
    assert len(calls) == 1


def test_a_tpu_slice_gets_the_arguments_as_they_are(run, tmp_path):
    argv = ("--config=a:b", "--config.model.image_size=(32, 32)")
    _, (call,) = run("tpu_pod.sh", "slice", "zone-a", *argv)
    prefix = (
        "gcloud compute tpus tpu-vm ssh slice --zone=zone-a --worker=all --command="
    )
    assert call.startswith(prefix)
    # What the hosts' shell makes of it.
    python = tmp_path / "pix2seq_d" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", call.removeprefix(prefix)],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["-m", "launch.train", *argv]
    assert (tmp_path / "pix2seq_d" / "train.pid").read_text().strip().isdigit()


def test_kubernetes_restarts_on_the_status_of_a_stopped_training():
    text = (ROOT / "launch" / "gke" / "train.yaml").read_text()
    spec = yaml.safe_load(text)["spec"]
    job = spec["replicatedJobs"][0]["template"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [interrupt.EXIT_STATUS]
    (container,) = job["template"]["spec"]["containers"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert container["command"][:3] == ["python", "-m", "launch.train"]
    (restart,) = spec["failurePolicy"]["rules"]
    assert restart["onJobFailureReasons"] == ["PodFailurePolicy"]
