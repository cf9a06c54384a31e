"""launch/node/train.sh: one process on this machine."""

import os

import pytest

from pix2seq_d.training import interrupt


def test_the_training_gets_its_arguments(cluster, arguments):
    cluster.stand_in("pix2seq-d", "echo trained")
    cluster.run("node/train.sh", "--", *arguments)
    assert cluster.calls() == [["pix2seq-d", "train", *arguments]]
    log = cluster.folder / "work" / "run 1" / "logs" / f"{os.uname().nodename}.log"
    assert log.read_text().endswith("trained\n")


def test_a_stopped_training_goes_on_and_a_failed_one_does_not(cluster, arguments):
    status = cluster.answers("statuses", [interrupt.EXIT_STATUS, 1])
    cluster.stand_in("pix2seq-d", f"exit {status}")
    done = cluster.run("node/train.sh", "--", *arguments, check=False)
    assert done.returncode == 1
    assert cluster.calls() == 2 * [["pix2seq-d", "train", *arguments]]


def test_the_workdir_may_stand_apart(cluster):
    cluster.stand_in("pix2seq-d")
    cluster.run(
        "node/train.sh", "--", "--config", "a:b", "--workdir", str(cluster.folder)
    )
    assert (cluster.folder / "logs").is_dir()


def test_gpus(cluster, arguments):
    cluster.stand_in("pix2seq-d", 'echo "sees $CUDA_VISIBLE_DEVICES"')
    done = cluster.run("node/train.sh", "--gpus=1,3", "--", *arguments)
    assert "sees 1,3" in done.stdout


@pytest.mark.parametrize("gpus", ["a", "1,", "1 2"])
def test_gpus_are_numbers(gpus, cluster, arguments):
    cluster.stand_in("pix2seq-d")
    done = cluster.run("node/train.sh", f"--gpus={gpus}", "--", *arguments, check=False)
    assert done.returncode == 2
    assert "--gpus" in done.stderr
    assert cluster.calls() == []
