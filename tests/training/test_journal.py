"""Lines of metrics: means, phases, goodput, throughput, whatever the interruptions."""

import dataclasses
import json
import time

import jax
import jax.numpy as jnp
import pytest
from tiny_model import TINY

from pix2seq_d import accelerators
from pix2seq_d.config import Config, ConfigError
from pix2seq_d.models.summary import macs_of, operations
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import matmul_peak, throughput, writer
from pix2seq_d.training import program as programs
from pix2seq_d.training.journal import Journal
from pix2seq_d.training.ledger import Entry, Ledger
from pix2seq_d.training.phases import Phases
from pix2seq_d.training.profile import Profile
from pix2seq_d.training.window import Window


def step_scalars(loss, *, finite=1.0):
    return {"loss": jnp.float32(loss), "finite": jnp.float32(finite)}


def test_a_window_leaves_steps_under_way_alone():
    window = Window()
    for step, loss in enumerate([1.0, 2.0, 4.0], start=1):
        window.add(step, step_scalars(loss))
    assert [step for step, _ in window.settle(ahead=2)] == [1]
    assert [step for step, _ in window.settle()] == [2, 3]
    assert window.take() == {"loss": 7 / 3}
    assert window.take() == {}


def test_means_are_over_the_steps_that_were_taken():
    window = Window()
    window.add(1, step_scalars(3.0))
    window.add(2, step_scalars(float("nan"), finite=0.0))
    window.settle()
    assert window.take() == {"loss": 3.0}


def test_phases_sum_to_the_whole():
    now = [0.0]
    phases = Phases(clock=lambda: now[0])

    def work(seconds, name=None):
        if name is None:
            now[0] += seconds
            return
        with phases.of(name):
            now[0] += seconds

    work(3.0)
    work(2.0, "data")
    work(1.0, "data")
    work(4.0, "save")
    assert phases.seconds() == {"step": 3.0, "data": 3.0, "save": 4.0}
    phases.restart()
    assert phases.seconds() == {"step": 0.0}


class Lines:
    """Keeps what is written."""

    def __init__(self):
        self.lines = []

    def write(self, step, scalars):
        self.lines.append({"step": step, **scalars})

    def close(self):
        pass


def make_journal(workdir, *, first_step):
    lines = Lines()
    journal = Journal(workdir, Config(), first_step=first_step, writers=[lines])
    return journal, lines.lines


def test_means_do_not_depend_on_where_a_training_was_stopped(tmp_path):
    losses = [0.1, 0.7, 1.3]
    whole, expected = make_journal(tmp_path, first_step=0)
    for step, loss in enumerate(losses, start=1):
        whole.add(step, step_scalars(loss))
    whole.window.settle()
    whole.write(3)
    first, _ = make_journal(tmp_path, first_step=0)
    for step, loss in enumerate(losses[:2], start=1):
        first.add(step, step_scalars(loss))
    first.window.settle()
    first.note(2)
    second, found = make_journal(tmp_path, first_step=2)
    second.add(3, step_scalars(losses[2]))
    second.window.settle()
    second.write(3)
    assert found[0]["loss"] == expected[0]["loss"]


def test_goodput_counts_kept_steps_of_the_time_since_the_start(tmp_path):
    Ledger(tmp_path, resume_step=0).note(5, Entry(step_seconds=30.0))
    path = tmp_path / "ledger.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"started": time.time() - 100}))
    journal, lines = make_journal(tmp_path, first_step=5)
    journal.add(6, step_scalars(1.0))
    journal.window.settle()
    journal.write(6)
    assert lines[0]["goodput"] == pytest.approx(0.3, abs=0.02)
    # What came after the checkpoint that the next start goes on from is lost.
    assert Ledger(tmp_path, resume_step=4).entry(5) == Entry()


def test_a_ledger_that_a_power_cut_emptied_begins_anew(tmp_path, capsys):
    (tmp_path / "ledger.json").write_text("")
    ledger = Ledger(tmp_path, resume_step=5)
    assert ledger.entry(5) == Entry()
    assert "ledger.json cannot be read" in capsys.readouterr().err
    ledger.note(6, Entry(left_out=1))
    assert Ledger(tmp_path, resume_step=6).entry(6) == Entry(left_out=1)


def test_a_training_knows_which_evaluations_it_has_done(tmp_path):
    lines = writer.JsonLinesWriter(tmp_path, resume_step=0)
    lines.write(5, {"loss": 1.0})
    lines.write(5, {"eval/pq": 0.5})
    lines.write(10, {"loss": 1.0})
    lines.close()
    assert writer.is_evaluated(tmp_path, 5)
    assert not writer.is_evaluated(tmp_path, 10)
    assert not writer.is_evaluated(tmp_path / "elsewhere", 5)


def test_flops_are_those_of_the_products_in_the_traced_step():
    config = dataclasses.replace(
        Config(),
        model=TINY,
        train=dataclasses.replace(Config().train, batch_size=2),
        diffusion=dataclasses.replace(Config().diffusion, noise_draws=3),
    )
    program = programs.make(config, meshes.make_mesh(jax.devices()[:1]))
    traced = program.step.trace(program.state, program.batch, program.key)
    products = operations(traced.jaxpr.jaxpr, "")
    expected = sum(2 * macs_of(operation) for _, operation in products)
    found = 2 * throughput.image_flops(config.model, config.diffusion)
    # No gradient is needed for the images themselves.
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "tflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("TPU v4", 275),
        ("TPU v5 lite", 197),
        ("TPU v5", 459),
        ("TPU v6 lite", 918),
    ],
)
def test_peaks_are_found_by_the_name_that_jax_gives(kind, tflops):
    assert accelerators.find(kind).bf16_tflops == tflops


def test_what_is_not_known_is_not_told():
    assert accelerators.find("cpu") is None
    assert throughput.utilization(Config(), images_per_second=1.0) == {}
    assert throughput.memory() == {}


def test_utilization_is_a_share_of_the_vendors_peak_and_of_a_measured_product(
    monkeypatch,
):
    device = jax.local_devices()[0]
    measured = matmul_peak.tflops(device, dtype="float32", size=256, repeats=2)
    assert 0 < measured < 100
    made_up = accelerators.Accelerator("mine", "cpu", bf16_tflops=2.0, hbm_gb=1.0)
    monkeypatch.setattr(accelerators, "ACCELERATORS", (made_up,))
    monkeypatch.setattr(matmul_peak, "tflops", lambda device, *, dtype: 0.5)
    config = Config(model=TINY)
    flops = throughput.image_flops(config.model, config.diffusion)
    # 0.8e12 FLOP a second on 8 devices.
    found = throughput.utilization(config, images_per_second=0.8e12 / flops)
    assert found == pytest.approx({"mfu": 0.05, "matmul_share": 0.2})


def test_a_profile_is_of_the_steps_asked_for(tmp_path):
    profile = Profile(tmp_path, (2, 3))
    ended = []
    for step in range(1, 5):
        profile.before(step, ())
        ended.append(profile.after(step, jnp.zeros(()) + step))
    assert ended == [False, False, True, False]
    assert len(list((tmp_path / "profile").rglob("*.xplane.pb"))) == 1


def test_weights_and_biases_has_to_be_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"train\.wandb.*pip install wandb"):
        writer.make_writers(tmp_path, resume_step=0, tensorboard=False, wandb=Config())


def test_weights_and_biases_has_one_run_for_all_starts(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="optional")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for step in (0, 5):
        for lines in writer.make_writers(
            tmp_path, resume_step=step, tensorboard=False, wandb=Config()
        ):
            lines.write(step + 5, {"loss": 1.0})
            lines.close()
    run = (tmp_path / "wandb_id").read_text().strip()
    files = [path.name for path in (tmp_path / "wandb").rglob("*.wandb")]
    assert files == [f"run-{run}.wandb"] * 2
