"""A training that is killed and stopped ends as one that was left alone."""

import json
import signal
import socket

import jax
import numpy as np
import pytest
from killed_training import (
    Training,
    curve,
    is_saving,
    last_logged,
    records,
    saved_steps,
    state,
)

STEPS = 100
# One that does not end before it is stopped.
LONG_EVALUATION = (
    "--config.train.eval_images=0",
    "--config.data.source.eval_images=4000",
)


@pytest.fixture(scope="module")
def argv(micro):
    # Lines fall between checkpoints. A model of few parts starts sooner.
    return [
        "--config=shapes:tiny",
        *micro,
        "--config.model.conditioning=()",
        "--config.model.self_conditioning=none",
        "--config.diffusion.noise_draws=1",
        "--config.train.batch_size=2",
        f"--config.train.num_steps={STEPS}",
        "--config.train.checkpoint_every=20",
        "--config.train.log_every=7",
        "--config.train.eval_at_start=False",
        "--config.train.eval_images=1",
        "--config.data.source.eval_images=1",
        "--config.data.source.train_images=20",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def undisturbed(folder, argv):
    training = Training(folder / "undisturbed", [*argv, "--profile_steps=8:9"])
    assert training.end() == 0, training.errors()
    return training.workdir


@pytest.fixture(scope="module")
def disturbed(folder, argv, undisturbed):
    """Three SIGKILLs, one while saving and one before the last evaluation; SIGTERM."""
    workdir = folder / "disturbed"

    def kill(condition, *more):
        training = Training(workdir, [*argv, *more])
        training.wait_until(condition)
        training.send(signal.SIGKILL)
        assert training.end() == -signal.SIGKILL

    kill(lambda: is_saving(workdir))
    assert saved_steps(workdir) == []
    kill(lambda: last_logged(workdir) >= 28)
    training = Training(workdir, argv)
    training.wait_until(lambda: last_logged(workdir) >= 49)
    training.send(signal.SIGTERM)
    assert training.end() == 75, training.errors()
    stopped = training.errors().splitlines()[-1], saved_steps(workdir)[-1]
    kill(lambda: STEPS in saved_steps(workdir), *LONG_EVALUATION)
    assert last_logged(workdir) == STEPS and "eval/pq" not in records(workdir)[-1]
    training = Training(workdir, argv)
    assert training.end() == 0, training.errors()
    return workdir, stopped


def test_sigterm_saves_the_step_it_stops_at(disturbed):
    line, step = disturbed[1]
    assert 49 <= step < STEPS
    assert line == f"stopped at step {step} by SIGTERM; the same command goes on"


def test_the_metrics_are_those_of_an_undisturbed_training(disturbed, undisturbed):
    expected = curve(undisturbed)
    assert [r["step"] for r in expected] == [*range(7, STEPS, 7), STEPS, STEPS]
    assert curve(disturbed[0]) == expected


def test_the_last_checkpoint_is_that_of_an_undisturbed_training(disturbed, undisturbed):
    arrays = [state(workdir, STEPS) for workdir in (disturbed[0], undisturbed)]
    assert len(arrays[0]) > 100
    for found, expected in zip(*arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_goodput_is_of_all_time_since_the_start_at_step_0(disturbed):
    lines = records(disturbed[0])
    ledger = json.loads((disturbed[0] / "ledger.json").read_text())
    assert ledger["started"] < lines[0]["time"]
    last = [line for line in lines if "loss" in line][-1]
    kept = ledger["steps"][str(STEPS)]["step_seconds"]
    lasted = last["time"] - ledger["started"]
    assert last["goodput"] == pytest.approx(kept / lasted, rel=0.1)


def test_a_profile_has_the_steps_asked_for(undisturbed):
    (path,) = (undisturbed / "profile").rglob("*.xplane.pb")
    steps = [
        event.stats
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes
        for line in plane.lines
        for event in line.events
        if event.name == "train"
    ]
    assert [dict(stats)["step_num"] for stats in steps] == [8, 9]


def test_an_evaluation_is_not_waited_for(folder, argv, undisturbed):
    more = ["--config.train.eval_at_start=True", *LONG_EVALUATION]
    workdir = folder / "evaluating"
    training = Training(workdir, [*argv, *more])
    training.wait_until((workdir / "ledger.json").exists)
    training.send(signal.SIGTERM)
    assert training.end(timeout_s=60) == 75, training.errors()
    assert "stopped at step 0 by SIGTERM" in training.errors()
    assert records(workdir) == [] and saved_steps(workdir) == []


def test_sigterm_to_one_process_stops_the_job_at_one_step(folder, argv):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    workdir = folder / "several"
    job = [f"--coordinator={address}", "--num_processes=2"]
    processes = [
        Training(workdir, [*argv, *job, f"--process_id={i}"], process=i) for i in (0, 1)
    ]
    try:
        processes[0].wait_until(lambda: last_logged(workdir) >= 7)
        processes[1].send(signal.SIGTERM)
        ends = [process.end(timeout_s=120) for process in processes]
    finally:
        for process in processes:
            process.send(signal.SIGKILL)
    told, silent = (process.errors() for process in processes)
    assert ends == [75, 75], told + silent
    (step,) = saved_steps(workdir)
    line = f"stopped at step {step} by SIGTERM; the same command goes on"
    assert told.splitlines()[-1] == line
    assert "stopped at" not in silent
