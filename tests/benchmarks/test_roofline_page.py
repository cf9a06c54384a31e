"""The tables of docs/performance.md: from their results, and by hand."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from pix2seq_d.cli import app
from pix2seq_d.scaling import page

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import cpu_ratios
import roofline as roofline_command
from speed import cost, roofline
from speed.timing import Work

COST = {
    "images": 2,
    "seconds": {"median": 0.2, "low": 0.1, "high": 0.3, "count": 5},
    "vendor_mfu": 0.25,
}


def cells(table, name):
    row = next(line for line in table.splitlines() if f"| {name} " in line)
    return [cell.strip() for cell in row.split("|")[2:-1]]


@pytest.fixture
def results():
    least = {
        row.key: {"images": 2, "flops": 1e14, "bytes": 1e9} for row in roofline.ROWS
    }
    least["encode 256/128"]["bytes"] = 1e12
    return {"least": least, "measured": {}}


def test_the_page_is_what_its_results_say():
    results = roofline_command.read(roofline_command.RESULTS)
    text = roofline_command.PAGE.read_text()
    assert page.inserted(text, roofline_command.blocks(results)) == text


def test_the_longer_of_arithmetic_and_memory_bounds(results):
    table = roofline.gpu_table(results)
    step = cells(table, "decoder step 512/256")
    # 1e14 / 989e12 s, half of it an image.
    assert step == ["2", "50.000", "0.50", "50.56", "arithmetic", *["not run"] * 4]
    encode = cells(table, "encode 256/128")
    assert encode[3:5] == ["104.17", "memory"]  # 1e12 / 4.8e12
    assert "data sheet: 989 TFLOP/s, 4.8 TB/s" in table


def test_a_measured_h200_fills_its_columns_and_the_peaks(results):
    results["measured"]["NVIDIA H200"] = {
        "peaks": {"product": 500.0, "bandwidth": 4.0},
        "costs": {
            "decoder step 512/256": COST,
            "decoder step 256/128": COST | {"queued_s": 0.15},
            "encode 512/256": {"error": "out of memory"},
        },
    }
    table = roofline.gpu_table(results)
    # 100 ms an image, where 1e14 / 500e12 s for two are the least.
    step = cells(table, "decoder step 512/256")
    assert step[-4:] == ["100.00", "1.00", "25.0", "not run"]
    assert cells(table, "decoder step 256/128")[-1] == "75.00"
    assert cells(table, "encode 512/256")[-4:] == ["out of memory", "-", "-", "-"]
    assert cells(table, "training step 512/256")[-1] == "not run"
    assert "measured: a bfloat16 product" in table


def test_what_does_not_fit_the_cpu_is_not_run(results, monkeypatch):
    work = Work(jax.jit(lambda x: 2 * x), (jnp.ones(10**6),), images=1)
    peaks = cost.Peaks(product=None, vendor=None)
    arguments = {"name": "double", "repeats": 1, "model_flops": 1, "peaks": peaks}
    left = cost.available()
    assert left is None or left > 10**6
    monkeypatch.setattr(cost, "available", lambda: 4 * 10**6)
    cost.measure(work, **arguments)
    # Its 4 MB of arguments are there.
    monkeypatch.setattr(cost, "available", lambda: 4 * 10**6 - 1)
    with pytest.raises(cost.TooLarge, match=r"needs 0\.0 GB") as error:
        cost.measure(work, **arguments)
    assert error.value.needed == pytest.approx(8e6, rel=1e-3)
    costs = {"training step 1024/512": {"error": "needs 35 GB"}}
    results["measured"]["cpu"] = {"costs": costs}
    table = roofline.cpu_table(results)
    assert cells(table, "training step 1024/512") == ["needs 35 GB", *["-"] * 10]
    assert cells(table, "encode 1024/512") == ["not run"] * 11


def test_the_page_of_the_ratios_has_all_parts(capsys):
    arguments = ["--page", "--parts=first"]
    assert app.run(cpu_ratios.main, "cpu_ratios", arguments) == 1
    assert "leave --parts" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"rows": []}'])
def test_another_file_is_no_result(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"other\.json: no "):
        roofline_command.read(path)
