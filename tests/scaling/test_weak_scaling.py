"""Weak scaling and the input's limit, against numbers worked out by hand."""

from pathlib import Path

import pytest

from pix2seq_d.scaling import interconnect, model
from pix2seq_d.scaling.model import Step

V5E = interconnect.find("TPU v5e")
STEP = Step(seconds=0.012, images=2, gradient_bytes=400_000_000, waits=100)


def test_gradients_hide_behind_the_backward_pass_and_no_longer():
    found = model.scaled(STEP, V5E, 256)
    sums, waits = 2 * 255 / 256 * 0.4 / 200, 100 * 32e-6
    assert found.sums == pytest.approx(sums)  # 4 ms
    assert found.waits == pytest.approx(waits)
    assert found.apart == pytest.approx(0.012 + sums + waits)
    assert found.beside == pytest.approx(0.012 + waits)  # 4 ms < two thirds of 12 ms
    larger = Step(0.012, 2, 2_000_000_000, 0)
    found = model.scaled(larger, V5E, 256)
    assert found.beside == pytest.approx(0.012 + found.sums - 0.008)


def test_efficiency_is_of_one_device_which_has_all_of_it():
    assert model.efficiency(STEP, model.scaled(STEP, V5E, 1)) == (1, 1)
    apart, beside = model.efficiency(STEP, model.scaled(STEP, V5E, 256))
    assert 0 < apart < beside < 1


def test_cores_are_of_the_measured_pipeline():
    assert model.cores(830, side=256, resize="host") == pytest.approx(10)
    assert model.cores(1160, side=1024, resize="device") == pytest.approx(10)


def test_the_pipelines_speeds_are_those_of_its_results():
    page = Path(__file__).parents[2] / "docs/results/input_pipeline.md"
    rows = {
        "host": "**pipeline, `data.resize=host`**",
        "device": "**host's part of the pipeline, `data.resize=device`**",
    }
    for resize, name in rows.items():
        (row,) = [r for r in page.read_text().splitlines() if name in r]
        for side, cell in zip((256, 1024), row.split("|")[2:4], strict=True):
            said = float(cell.partition("(")[2].partition(" ")[0])
            assert model.PIPELINE[side, resize] == said
