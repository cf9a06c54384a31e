"""Benchmarks of one config on a tiny one: they run, count as XLA does, and compare."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from pix2seq_d.cli import app
from pix2seq_d.dry_run import flops

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # where a script there finds `speed`

import encode as encode_command  # noqa: E402
import sample as sample_command  # noqa: E402
import save as save_command  # noqa: E402
from speed import command, cost, op_times, report, workloads  # noqa: E402
from speed.command import Item  # noqa: E402
from speed.timing import Runner, Work  # noqa: E402

# Products are most of the arithmetic, as in the paper's model.
WIDER = [
    "--config.model.encoder.dim=32",
    "--config.model.pyramid.dim=32",
    "--config.model.decoder.dim=32",
    "--config.model.decoder.transformer_dim=32",
]
CLOSE = 0.05


@pytest.fixture(scope="module")
def measured(micro, tmp_path_factory):
    """Name -> cost, as the benchmarks' JSON has it."""
    config = command.config_of("--config=shapes:tiny", *micro, *WIDER)
    kinds = ("encode", "decoder_step", "sample")
    items = [Item(kind, kind, config, 2) for kind in kinds]
    values = app.new_flags()
    command.define(values, [])
    output = tmp_path_factory.mktemp("measured") / "costs.json"
    arguments = ["--repeats=3", f"--output={output}"]
    assert app.parse(values, arguments, "")
    command.run("all", values, items)
    jax.config.update("jax_enable_compilation_cache", True)  # as for all other tests
    return {cost["name"]: cost for cost in json.loads(output.read_text())["costs"]}


def test_flops_are_xlas(measured):
    for name in ("encode", "decoder_step"):  # without loops
        cost = measured[name]
        assert cost["flops"] == pytest.approx(cost["xla_flops"], rel=CLOSE)
        assert cost["model_flops"] == pytest.approx(cost["flops"], rel=CLOSE)
    # XLA counts the loop's body once, and there are two steps.
    sample, step = measured["sample"], measured["decoder_step"]
    looped = sample["xla_flops"] + step["xla_flops"]
    assert sample["flops"] == pytest.approx(looped, rel=CLOSE)
    once = measured["encode"]["bytes"] + 2 * step["bytes"]
    assert sample["bytes"] == pytest.approx(once, rel=0.2)


def test_a_training_step_is_measured_with_its_memory(micro, tmp_path):
    output = tmp_path / "step.json"
    command_line = [sys.executable, str(ROOT / "benchmarks/train_step.py")]
    command_line += ["--config=shapes:tiny", *micro, "--repeats=3"]
    command_line += [f"--output={output}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command_line, env=environment, check=True, capture_output=True, text=True
    )
    assert re.search(r"\| images/s +\| +[\d.,]+ \|", done.stdout)
    found = json.loads(output.read_text())
    assert found["command"].startswith("python ")
    assert found["config"]["model.mask_size"] == [16, 16]
    (cost,) = found["costs"]
    seconds = cost["seconds"]
    assert cost["images"] == 8
    assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
    assert seconds["count"] == 3
    assert cost["queued_s"] > 0
    assert 0 < cost["temporaries"] < cost["planned"]
    # So small a loss is one slice: no loop.
    assert cost["flops"] == pytest.approx(cost["xla_flops"], rel=CLOSE)
    rate = cost["model_flops"] / seconds["median"] / 1e12
    assert cost["mfu"] == pytest.approx(rate / found["peaks"]["product"])


def test_saving_is_measured_save_by_save(micro, tmp_path, capsys):
    output = tmp_path / "save.json"
    argv = ["--config=shapes:tiny", *micro, "--saves=2", f"--output={output}"]
    assert app.run(save_command.main, "save", argv) == 0
    jax.config.update("jax_enable_compilation_cache", True)  # as for all other tests
    found = json.loads(output.read_text())
    assert "on 8 devices" in capsys.readouterr().out
    assert found["arrays"] > 300 and found["bytes"] > 1e5
    assert len(found["saves"]) == 2
    for row in found["saves"]:
        assert 0 < row["held_up_s"] <= row["whole_s"]


def test_a_revision_beside_itself(micro, tmp_path, capsys):
    before = _compared_worktrees()
    output = tmp_path / "compared.json"
    arguments = ["--config=shapes:tiny", *micro, "--compare=HEAD", "--turns=3"]
    arguments += ["--repeats=5", f"--output={output}"]
    assert app.run(encode_command.main, "encode", arguments) == 0
    (compared,) = json.loads(output.read_text())["compared"]
    ratio = compared["ratio"]
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert ratio["count"] == 3
    assert compared["cost_there"]["flops"] > 0 < compared["cost_here"]["flops"]
    assert compared["there"]["count"] == compared["here"]["count"] == 15
    assert f"{ratio['median']:.3f}" in capsys.readouterr().out
    assert _compared_worktrees() <= before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--compare=no-such"], "--compare=no-such: no such revision in"),
        (["--output=/no/such/file.json"], "make the folder /no/such first"),
        (["--steps=5,x"], "--steps=5,x: take whole numbers from 1"),
    ],
)
def test_a_mistake_is_one_line(arguments, says, capsys):
    status = app.run(
        sample_command.main, "sample", ["--config=shapes:tiny", *arguments]
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1
    assert says in line


def test_fields_that_a_revision_lacks(micro):
    config = command.config_of("--config=shapes:tiny", *micro)
    fields = workloads.fields_of(config)
    assert workloads.config_of(fields).model == config.model
    fields["values"]["model.wings"] = 2
    with pytest.raises(ValueError, match=r"it has no config field model\.wings"):
        workloads.config_of(fields)
    fields["defaults"].append("model.wings")
    assert workloads.config_of(fields).diffusion == config.diffusion


def test_where_the_time_of_a_call_goes():
    def function(image, kernel, matrix):
        maps = jax.lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.lax.scan(lambda x, _: (x @ matrix, None), maps, None, length=3)[0]

    arguments = jnp.ones((1, 16, 16, 8)), jnp.ones((3, 3, 8, 8)), jnp.ones((8, 8))
    runner = Runner(Work(jax.jit(function), arguments, images=1))
    found = {one.kind: one for one in op_times.measure(runner)}
    assert found["convolution, forward"].seconds > 0
    assert found["product, forward"].count == 3
    assert re.search(r"\| product, forward +\|", op_times.table(found.values()))


def test_bytes_of_products_by_hand():
    def function(matrix):
        return jax.lax.scan(
            lambda x, _: (jnp.tanh(x @ matrix), None), matrix, None, length=5
        )[0]

    jaxpr = jax.make_jaxpr(function)(jnp.ones((3, 3), jnp.bfloat16))
    assert flops.product_bytes(jaxpr) == 5 * 3 * 9 * 2
    queries = jnp.ones((2, 7, 3), jnp.bfloat16)
    scores = jax.make_jaxpr(lambda q, k: jnp.einsum("bqd,bkd->bqk", q, k))
    assert flops.product_bytes(scores(queries, queries)) == 2 * queries.nbytes


def _compared_worktrees():
    """Folders of the worktrees that comparisons made; others come and go beside us."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "list", "--porcelain"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall("^worktree (.*pix2seq_d_compare_.*)$", listed, re.MULTILINE))


def test_what_xla_does_not_count_is_left_out(monkeypatch):
    """As on CUDA, where a program is not counted before it is compiled."""
    for stage in (jax.stages.Lowered, jax.stages.Compiled):
        monkeypatch.setattr(stage, "cost_analysis", lambda self: None)
    work = Work(jax.jit(lambda x: 2 * x), (jnp.ones(4),), images=1)
    peaks = cost.Peaks(product=None, vendor=None)
    found = cost.measure(work, name="twice", repeats=1, model_flops=4, peaks=peaks)
    assert found.xla_flops is None
    assert found.bytes is None
    text = report.costs([found], peaks)
    assert re.search(r"\| GFLOP a call, XLA, loops once +\| +- \|", text)
    assert re.search(r"\| GB moved a call and device +\| +- \|", text)
