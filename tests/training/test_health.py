"""Steps whose loss or gradient is no number: recorded, then left out or fatal."""

import contextlib
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pix2seq_d.config import Config
from pix2seq_d.data.order import permutation
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.training import health, interrupt
from pix2seq_d.training import step as steps
from pix2seq_d.training.journal import Journal
from pix2seq_d.training.ledger import Entry, Ledger
from pix2seq_d.training.run import Run
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.store import CheckpointStore
from pix2seq_d.training.writer import JsonLinesWriter

NUM_IMAGES = 10


@pytest.fixture
def make_run(tmp_path):
    """Makes runs whose steps the test takes; they compile nothing."""
    with contextlib.ExitStack() as stack:
        yield lambda **fields: _run(tmp_path, stack, **fields)


def _run(workdir, stack, *, first_step=0, **train):
    train = dataclasses.replace(Config().train, batch_size=4, **train)
    config = dataclasses.replace(Config(), train=train)
    writer = JsonLinesWriter(workdir, resume_step=first_step)
    stack.callback(writer.close)
    return Run(
        config=config,
        workdir=workdir,
        labels=Shapes.label_space,
        num_images=NUM_IMAGES,
        program=None,
        store=None,
        journal=Journal(workdir, config, first_step=first_step, writers=[writer]),
        interruption=interrupt.Interruption(several=False),
        profile=None,
        predictor=None,
        eval_source=None,
    )


def tiny_state(step):
    leaf = {"kernel": jnp.full((2, 3), float(step))}
    return TrainState(jnp.asarray(step, jnp.int32), leaf, leaf, leaf)


def scalars(loss):
    values = {"loss": loss, "grad_norm": 2 * loss, "finite": np.isfinite(loss)}
    return {name: jnp.float32(value) for name, value in values.items()}


def take(run, losses):
    """Steps 1, 2, ... with these losses; looks at each at once."""
    for step, loss in enumerate(losses, start=1):
        run.journal.add(step, scalars(loss))
        run.look(tiny_state(step), ahead=0)


def test_a_batch_is_named_by_epoch_and_index():
    train = dataclasses.replace(Config().train, batch_size=4, seed=7)
    config = dataclasses.replace(Config(), train=train)
    batch = health.batch_of(3, config=config, num_images=NUM_IMAGES)
    first, second = (permutation(7, epoch, NUM_IMAGES) for epoch in (0, 1))
    assert batch == {
        "seed": 7,
        "epoch": [0, 0, 1, 1],
        "index": [*first[8:], *second[:2]],
    }


def test_stop_writes_metrics_batch_and_state_before_it_stops(tmp_path, make_run):
    run = make_run()
    with pytest.raises(health.NonFiniteError, match=r"step 3: loss nan.*peak_lr.*skip"):
        take(run, [1.0, 2.0, float("nan")])
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (line["step"], line["loss"], line["nonfinite_steps"]) == (3, 1.5, 1)
    folder = tmp_path / "nonfinite" / "step_3"
    found = json.loads((folder / "step.json").read_text())
    assert found["scalars"] == {"loss": "nan", "grad_norm": "nan", "finite": 0.0}
    assert len(found["batch"]["index"]) == 4
    # Of the step before, though it is looked at later: all since were left out.
    abstract = jax.tree.map(jnp.zeros_like, tiny_state(0))
    with CheckpointStore(folder, keep=1) as store:
        assert store.steps() == [2]
        restored = store.restore(abstract, step=2)
    assert int(restored.step) == 2
    np.testing.assert_array_equal(restored.variables["kernel"], np.full((2, 3), 3.0))


def test_the_record_of_an_earlier_start_does_not_hide_the_fault(tmp_path, make_run):
    """Of the same step, looked at later then: Orbax would refuse an earlier one."""
    folder = tmp_path / "nonfinite" / "step_2"
    with CheckpointStore(folder, keep=1) as store:
        store.save(tiny_state(9), config=Config(), labels=Shapes.label_space)
    with pytest.raises(health.NonFiniteError, match="step 2: loss nan"):
        take(make_run(), [1.0, float("nan")])
    assert [p.name for p in (folder / "checkpoints").glob("[0-9]*")] == ["1"]


def test_a_full_disk_does_not_hide_the_fault(tmp_path, make_run, capsys):
    (tmp_path / "nonfinite").write_text("a file where the folder should be")
    with pytest.raises(health.NonFiniteError, match="step 1: loss nan"):
        take(make_run(), [float("nan")])
    assert "nonfinite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("goes_on", "taken"), [(None, True), (1.0, True), (0.0, False)]
)
def test_steps_after_a_fault_leave_the_state_as_it_was(monkeypatch, goes_on, taken):
    def gradients(params, batch_stats, *_, **__):
        return jnp.float32(1), batch_stats, jax.tree.map(jnp.ones_like, params)

    monkeypatch.setattr(steps, "mean_gradients", gradients)
    params = {"kernel": jnp.ones((2, 3))}
    variables = {"params": params, "batch_stats": {}}
    optimizer = optax.sgd(0.1)
    state = TrainState(
        jnp.asarray(4, jnp.int32), variables, variables, optimizer.init(params)
    )
    after, scalars = steps.train_step(
        state,
        {},
        jax.random.key(0),
        None if goes_on is None else jnp.float32(goes_on),
        model=None,
        optimizer=optimizer,
        diffusion=None,
        ema_decay=0.5,
    )
    assert int(after.step) == 5 and float(scalars["finite"]) == taken
    expected = 0.9 if taken else 1.0
    np.testing.assert_allclose(after.variables["params"]["kernel"], expected)


def test_skip_goes_on_until_the_budget_is_spent(tmp_path, make_run, capsys):
    run = make_run(on_nonfinite="skip", max_nonfinite=2)
    with pytest.raises(health.NonFiniteError, match=r"step 5.*max_nonfinite"):
        take(run, [1.0, float("inf"), 2.0, float("nan"), float("nan")])
    told = capsys.readouterr().err
    assert "step 2: loss inf" in told and "1 of at most 2" in told
    folder = tmp_path / "nonfinite"
    assert sorted(p.name for p in folder.iterdir()) == ["step_2", "step_4", "step_5"]
    assert [p.name for p in (folder / "step_2").iterdir()] == ["step.json"]


def test_steps_left_out_before_a_restart_count(tmp_path, make_run):
    Ledger(tmp_path, resume_step=0).note(7, Entry(left_out=2))
    run = make_run(first_step=7, on_nonfinite="skip", max_nonfinite=2)
    run.journal.add(8, scalars(float("nan")))
    with pytest.raises(health.NonFiniteError, match="step 8"):
        run.look(tiny_state(8), ahead=0)
