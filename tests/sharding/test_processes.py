"""The processes of a job: found by flags, by environment, or not there."""

import os
import socket
import subprocess
import sys

import pytest

from pix2seq_d.config import ConfigError
from pix2seq_d.sharding.processes import Job, find

SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_STEP_TASKS_PER_NODE": "8(x2)",
    "SLURM_NTASKS": "16",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "3",
}


def test_a_process_without_a_job_is_alone():
    assert find({}) is None
    assert find({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None
    # The shell of an allocation of 16 tasks.
    assert find({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_flags_come_before_the_environment():
    job = find(SLURM, coordinator="node1:5000", num_processes=2, process_id=1)
    assert job == Job("node1:5000", 2, 1)


def test_jax_variables_name_the_job():
    environ = {"JAX_COORDINATOR_ADDRESS": "pod-0.svc:5000", "JAX_NUM_PROCESSES": "4"}
    assert find({**environ, "JAX_PROCESS_ID": "3"}) == Job("pod-0.svc:5000", 4, 3)


def test_kubernetes_numbers_the_pods_of_an_indexed_job():
    environ = {"JAX_COORDINATOR_ADDRESS": "pod-0.svc:5000", "JAX_NUM_PROCESSES": "4"}
    assert find({**environ, "JOB_COMPLETION_INDEX": "2"}) == Job("pod-0.svc:5000", 4, 2)
    # Without an address they are trainings of their own.
    assert find({"JOB_COMPLETION_INDEX": "2"}) is None


@pytest.mark.parametrize(
    ("environ", "devices"),
    [
        ({}, None),  # CPU nodes
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"}, (3,)),
        ({"SLURM_GPUS_ON_NODE": "8"}, (3,)),
        ({"CUDA_VISIBLE_DEVICES": "3"}, (0,)),  # --gpus-per-task=1
        (
            {
                "CUDA_VISIBLE_DEVICES": "0,1,2,3",
                "SLURM_STEP_TASKS_PER_NODE": "4,1(x3)",
                "SLURM_LOCALID": "0",
            },
            (0, 1, 2, 3),
        ),
        (
            {
                "SLURM_GPUS_ON_NODE": "8",
                "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
                "SLURM_LOCALID": "1",
            },
            (4, 5, 6, 7),
        ),
    ],
)
def test_tasks_of_slurm_share_the_gpus_of_their_node(environ, devices):
    assert find({**SLURM, **environ}) == Job(local_device_ids=devices)


def test_gpus_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(ConfigError, match="8 tasks of this node cannot share its 6 "):
        find({**SLURM, "SLURM_GPUS_ON_NODE": "6"})


def test_tpu_hosts_leave_everything_to_jax():
    assert find({}, has_tpu=True) == Job()


def test_half_a_job_is_refused():
    with pytest.raises(ConfigError, match="--num_processes and --process_id missing"):
        find({}, coordinator="node1:5000")
    with pytest.raises(ConfigError, match="JAX_NUM_PROCESSES and JAX_PROCESS_ID miss"):
        find({"JAX_COORDINATOR_ADDRESS": "node1:5000"})
    with pytest.raises(ConfigError, match="--coordinator=node1: give host and port"):
        find({}, coordinator="node1", num_processes=2, process_id=1)
    with pytest.raises(ConfigError, match=r"--process_id=2 is no process .* 0 to 1"):
        find({}, coordinator="node1:5000", num_processes=2, process_id=2)
    with pytest.raises(ConfigError, match="JAX_NUM_PROCESSES=two"):
        find(
            {
                "JAX_COORDINATOR_ADDRESS": "node1:5000",
                "JAX_NUM_PROCESSES": "two",
                "JAX_PROCESS_ID": "0",
            }
        )


def test_a_process_that_finds_no_other_ends_with_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--config=shapes:tiny", "--workdir=unused", "--join_timeout_s=2"]
    arguments += [f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    made = subprocess.run(
        [sys.executable, "-m", "launch.train", *arguments, "--process_id=1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 1
    assert made.stderr.startswith("error: process 1 of 2 did not find the others at 1")
    assert made.stderr.count("\n") == 1
    assert not os.path.exists("unused")
