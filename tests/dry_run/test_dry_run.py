"""A dry run on the devices at hand: 8 of this machine's CPU."""

import dataclasses
import json

import jax
import pytest

from configs import coco_panoptic, shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run, train
from pix2seq_d.dry_run import estimate, measure, report, shards, topology, traffic
from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.models import convolution


@pytest.fixture(scope="module")
def config(micro):
    """Wide enough that products, not element-wise work, are most of the arithmetic."""
    fields = shapes.get_config("tiny")
    wider = [
        "--config.train.batch_size=64",
        "--config.model.resnet.width=0.25",
        "--config.model.encoder.dim=32",
        "--config.model.encoder.mlp_dim=64",
        "--config.model.pyramid.dim=32",
        "--config.model.decoder.dim=32",
        "--config.model.decoder.transformer_dim=32",
    ]
    argv = [*micro, *wider]
    made = app.override(config_lib.from_config_dict(fields), argv, allowed=("",))
    return dry_run.settle(made)[0]


@pytest.fixture(scope="module")
def split(config):
    """Compiled for data 2 x fsdp 4; the same program on every kind of CPU."""
    sharding = dataclasses.replace(config.sharding, fsdp=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "has_avx512", lambda: True)
        return measure.measure(
            dataclasses.replace(config, sharding=sharding), jax.devices()
        )


def test_devices_exchange_gradients_parameters_moments_and_scalars_only(split):
    rows = traffic.summarize(split.collectives, split.program)
    assert {(row.purpose, row.op) for row in rows} == {
        ("gradients", "all-reduce"),
        ("parameters", "all-gather"),
        ("batch-norm moments", "all-reduce"),
        ("scalars", "all-reduce"),
    }
    assert not traffic.activations(split.collectives, split.program)


def test_every_split_parameter_is_gathered_and_every_gradient_reduced(split):
    params = jax.tree.leaves(split.program.state.variables["params"])
    is_split = [leaf.sharding.shard_shape(leaf.shape) != leaf.shape for leaf in params]
    gathered = sum(one.count for one in split.collectives if one.op == "all-gather")
    assert 0 < sum(is_split) <= gathered
    whole = sum(leaf.size * 4 for leaf in params)
    rows = traffic.summarize(split.collectives, split.program)
    reduced = sum(row.bytes for row in rows if row.purpose == "gradients")
    assert reduced >= whole


def test_activations_that_move_are_called_so(split):
    moved = split.collectives[0]
    moved = dataclasses.replace(moved, op="all-to-all", shape=(8, 16, 16, 8))
    assert traffic.activations([moved], split.program) == (moved,)


def test_the_table_of_shards_holds_every_parameter_once(split):
    state = split.program.state
    rows = shards.groups(split.program)
    params = state.variables["params"]
    assert sum(row.count for row in rows) == len(jax.tree.leaves(params))
    assert sum(row.bytes for row in rows) == shards.whole_bytes(params)
    assert sum(row.device_bytes for row in rows) == shards.device_bytes(params)
    text = shards.table(rows)
    assert "(-, -, -, fsdp)" in text and "whole" in text


def test_memory_is_what_the_arrays_of_a_device_take(split):
    program = split.program
    batch = shards.device_bytes([program.batch, program.state])
    # The key and padding besides.
    assert batch <= split.memory.arguments <= batch + 4096
    assert split.memory.temporaries > 0
    assert split.memory.total >= split.memory.arguments


def test_the_flops_of_the_step_are_what_xla_counts_of_the_compiled_one(split):
    """Up to what every device does for all: optimizer, moving average."""
    devices = split.program.mesh.size
    assert split.flops / devices == pytest.approx(split.xla_flops, rel=0.05)


def test_the_report_says_it_all(split):
    text = report.model(split.config, split.program)
    assert "8 x cpu: data 2 x fsdp 4" in text
    assert report.sampling({32: 27_000_000_000_000, 8: 7_300_000_000_000}) == (
        "sampling     32 steps 27 TFLOP, 8 steps 7.3 TFLOP a mask"
    )
    text = report.measured(split)
    assert f"whole step   {split.flops / 1e12:,.4g} TFLOP" in text
    assert f"XLA counts {split.xla_flops / 1e12:,.4g} TFLOP on each device" in text
    for part in ("memory of one device", "exchanged between devices", "all-gather"):
        assert part in text
    assert "please report" not in text
    uncounted = report.measured(dataclasses.replace(split, xla_flops=None))
    assert f"compiled     in {split.compile_seconds:.0f} s\n" in uncounted


def test_device_hours_are_flops_over_what_a_device_does(config):
    known = estimate.ACCELERATORS[1]
    assert known.name == "H200"
    flops = report.image_flops(config.model, config.diffusion)
    total = flops * config.train.batch_size * config.train.num_steps
    expected = total / (989e12 * 0.4) / 3600
    assert estimate.device_hours(config, known) == pytest.approx(expected)


KINDS = ("H100", "H200", "TPU v5e", "TPU v5p", "TPU v6e")


def rows_of(text):
    """Name of an accelerator -> the numbers beside it."""
    named = {one.name: one.name for one in estimate.ACCELERATORS}
    return {
        name: line.strip().removeprefix(name).split()
        for line in text.splitlines()
        for name in named
        if line.startswith(f"  {name:12s}")
    }


def test_without_prices_there_are_device_hours_of_every_kind_and_no_money(config):
    text = estimate.table(config, None)
    rows = rows_of(text)
    assert set(KINDS) <= set(rows)
    for accelerator in estimate.ACCELERATORS:
        hours = estimate.device_hours(config, accelerator)
        assert rows[accelerator.name][2:] == [
            estimate.number(hours),
            estimate.number(hours / 24),
            estimate.number(hours / 192),
        ]
    assert "an hour" not in text and "price" not in text


def test_money_is_hours_times_the_price_and_named_with_its_date(config):
    longer = dataclasses.replace(
        config, train=dataclasses.replace(config.train, num_steps=10**9)
    )
    found = Prices("2026-11-01", "EUR", "an offer", {"h100": 2.5, "v5e": 0.8})
    text = estimate.table(longer, found)
    rows = rows_of(text)
    for name, price in (("H100", 2.5), ("TPU v5e", 0.8)):
        (known,) = (one for one in estimate.ACCELERATORS if one.name == name)
        cost = price * estimate.device_hours(longer, known)
        assert cost > 1
        assert rows[name][5:] == [f"{price:.2f}", f"{cost:,.0f}"]
    assert len(rows["H200"]) == 5
    assert "EUR an hour" in text.splitlines()[0]
    assert text.splitlines()[-1] == "prices of 2026-11-01: an offer"


def test_lengths_and_classes_that_only_data_know_are_assumed_and_said():
    fields = coco_panoptic.get_config("debug")
    fields.model.num_classes = 0
    fields.train.num_epochs = 2.0
    config, assumed = dry_run.settle(config_lib.from_config_dict(fields))
    assert config.model.num_classes == 256
    assert config.train.num_steps == 118_287 * 2 // 8 + 1
    assert [line.split("=")[0].split(",")[0] for line in assumed] == [
        "model.num_classes",
        "118",
    ]


def test_the_command_needs_neither_data_nor_workdir(micro, capsys, tmp_path):
    argv = ["--config=custom:tiny", *micro, "--dry_run"]
    argv += [f"--config.data.source.root={tmp_path / 'absent'}"]
    file = tmp_path / "prices.json"
    hours = {"h100": 2.5}
    content = dict(date="2026-11-01", currency="USD", source="x", per_device_hour=hours)
    file.write_text(json.dumps(content))
    argv.append(f"--prices={file}")
    assert train.main(argv) == 0
    out = capsys.readouterr().out
    assert "devices      8 x cpu: data 8 x fsdp 1" in out
    assert "batch-norm moments  all-reduce" in out
    assert "\nsampling     2 steps " in out
    assert "an estimate, nothing was run" in out
    assert len(rows_of(out)["H100"]) == 7 and len(rows_of(out)["H200"]) == 5
    assert out.splitlines()[-1] == "prices of 2026-11-01: x"
    assert list(tmp_path.iterdir()) == [file]


def test_prices_without_a_dry_run_are_refused(capsys):
    argv = ["--config=shapes:tiny", "--workdir=absent", "--prices=prices.json"]
    assert app.run(train.main, "train", argv) == 1
    message = "train: error: --prices is for --dry_run and --topology; leave it out\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v5e", "--topology=v5e: give a TPU slice as generation:shape"),
        ("v5e:4 x 4", "give a TPU slice as generation:shape"),
        ("v5e-16", "give a TPU slice as generation:shape"),
    ],
)
def test_a_slice_without_shape_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        topology.devices(name)


def test_a_slice_without_the_tpu_compiler_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs libtpu.*pip install"):
        topology.devices("v5e:4x4")
