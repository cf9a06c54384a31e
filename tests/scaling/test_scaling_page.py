"""docs/scaling.md: its tables against its results, and against a pocket calculator."""

from pathlib import Path

import pytest

from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.scaling import modelled, page, store, tables
from pix2seq_d.scaling.store import Results

DOCS = Path(__file__).parents[2] / "docs"
LOW_RES = {
    "batch": 512,
    "num_steps": 180_000,
    "image_size": [256, 256],
    "parameters": 100_000_000,
    "batch_norms": 50,
    "image_flops": 500_000_000_000,
}
GRADIENTS = {"purpose": "gradients", "op": "all-reduce", "dtype": "f32", "group": 256}
MOMENTS = {**GRADIENTS, "purpose": "batch-norm moments"}
COMPILED = {
    **LOW_RES,
    "date": "2026-11-29",
    "commit": "0123456789abcdef-dirty",
    "fits": True,
    "cycles": 15_000_000,  # 10 ms at 1.5 GHz
    "bytes": 8_456_000_000,
    "traffic": [
        {**GRADIENTS, "count": 300, "operations": 3.0, "bytes": 400_000_000},
        {**MOMENTS, "count": 200, "operations": 100.0, "bytes": 400_000},
    ],
}
POD = "train coco_panoptic:low_res v5e:16x16"
SMALLER = "train coco_panoptic:low_res v5e:8x8"


def cells(table, name):
    rows = [line for line in table.splitlines() if name in line]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def results(**cases):
    return Results({"coco_panoptic:low_res": LOW_RES}, cases)


def test_the_tables_of_the_page_are_those_of_the_results():
    text = (DOCS / "scaling.md").read_text()
    found = store.read(DOCS / "results/scaling.json")
    assert page.inserted(text, tables.blocks(found)) == text


def test_a_compiled_step():
    (row,) = cells(tables.training(results(**{POD: COMPILED})), "v5e:16x16")
    # 10 ms, and 100 waits of 32 hops of 1 us; 512 images in 13.2 ms on 256 chips of
    # 197 TFLOP/s; 180,000 steps.
    assert row == [
        *("coco_panoptic:low_res", "v5e:16x16", "as it is", "512", "8.5 of 16.9"),
        *("400", "15.0", "13.2", "38,788", "38%", "0.66", "168.96"),
        "2026-11-29, 0123456",
    ]


def test_a_step_without_cycles_has_memory_and_no_time():
    found = results(**{POD: {**COMPILED, "cycles": None}})
    (row,) = cells(tables.training(found), "v5e:16x16")
    assert row[4:6] == ["8.5 of 16.9", "400"]
    assert set(row[6:-1]) == {"-"}
    assert not cells(modelled.pipeline(found), "v5e:16x16")
    assert list(modelled.curves(found)) == ["H100"]


def test_a_step_that_does_not_fit_says_by_how_much():
    large = {**COMPILED, "fits": False, "cycles": None, "needed": 20e9, "limit": 16.9e9}
    (row,) = cells(tables.training(results(**{SMALLER: large})), "v5e:8x8")
    assert row[3:5] == ["512", "20.0 of 16.9: 3.1 too much"]
    assert (set(row[5:-1]), row[-1]) == ({"-"}, "2026-11-29, 0123456")


def test_masks_a_second_for_every_number_of_steps():
    record = {
        "date": "2026-11-29",
        "fits": True,
        "bytes": 1_000_000_000,
        "images": 1,
        "is_video": False,
        "once_cycles": 3_000_000,  # 2 ms
        "step_cycles": 6_000_000,  # 4 ms
    }
    case = "sample coco_panoptic:low_res v5e:8x8"
    (row,) = cells(tables.sampling(results(**{case: record})), "low_res")
    assert row[2:-1] == ["1", "1.0 of 16.9", "2.0", "4.0", "45.5", "23.8", "12.2"]
    assert row[-1] == "2026-11-29"
    large = {**COMPILED, "fits": False, "needed": 20e9, "limit": 16.9e9}
    (row,) = cells(tables.sampling(results(**{case: large})), "low_res")
    assert row[2:4] == ["", "20.0 of 16.9: 3.1 too much"]
    assert (set(row[4:-1]), row[-1]) == ({"-"}, "2026-11-29, 0123456")
    eight = {case: {**record, "images": 8}}
    assert cells(tables.sampling(results(**eight)), "low_res")[0][-2] == "97.6"
    video = {case: {**record, "is_video": True}}  # its first step is among the 2 ms
    assert cells(tables.sampling(results(**video)), "low_res")[0][-4] == "55.6"


def test_gpus():
    rows = cells(modelled.gpus(results(**{POD: COMPILED})), "low_res")
    assert [row[1] for row in rows] == ["8", "16", "32", "64"]
    # 64 images of 0.5 TFLOP at 40 % of 989 TFLOP/s: 80.9 ms; 400 MB at 450 GB/s.
    assert rows[0][2:6] == ["64", "0.50", "80.9", "1.56"]
    # and 100 waits of 20 us
    assert rows[0][6:8] == ["6,177", "6,063"]


def test_a_recipe_that_was_not_compiled_waits_for_batch_norms_as_low_res_does():
    def images_per_second(batch_norms):
        other = {**LOW_RES, "batch_norms": batch_norms}
        recipes = {"coco_panoptic:low_res": LOW_RES, "davis": other}
        return cells(modelled.gpus(Results(recipes, {POD: COMPILED})), "davis")[0][6]

    assert images_per_second(50) == "6,177"
    assert images_per_second(0) == "6,330"  # 512 in 80.9 ms


def test_weak_scaling_has_a_row_for_every_number_of_devices():
    found = results(**{POD.replace("16x16", "8x8"): COMPILED})
    table = modelled.weak(found)
    assert cells(table, "| 1 ")[0] == ["1", "100.0 / 100.0", "100.0 / 100.0"]
    (row,) = cells(table, "| 256 ")
    # 10 ms of 17.2 with 3.98 ms of sums and 3.2 of waits; of 13.2 without.
    assert row[1] == "58.2 / 75.8"
    assert [point[0] for point in modelled.curves(found)["v5e"]][-1] == 512


def test_the_input_pipeline_is_the_limit_where_a_host_has_too_few_cores():
    (pod, gpus) = cells(modelled.pipeline(results(**{POD: COMPILED})), "low_res")
    # 38,788 images/s on 256 chips, 8 a host; 83 and 120 images/s a core.
    assert pod[1:] == ["v5e:16x16", "1,212", "14.6", "10.1", "112", "none"]
    assert gpus[1:] == ["8 H100", "6,177", "74.4", "51.5", "112", "none"]
    fast = {POD: {**COMPILED, "cycles": 100_000}}
    (pod, _) = cells(modelled.pipeline(results(**fast)), "low_res")
    assert float(pod[3]) < 112 and pod[-1] == "none"


def test_costs_are_of_the_users_prices():
    prices = Prices("2026-11-01", "USD", "an offer", {"v5e": 2.0, "h200": 5.0})
    text = tables.costs(results(**{POD: COMPILED}), prices)
    assert cells(text, "v5e:16x16")[0][-2:] == ["169", "338"]
    # 180,000 steps of 82.9 ms on 8 GPUs
    assert cells(text, "8 H200")[0][-2:] == ["33", "166"]
    assert not cells(text, "H100")
    assert "estimates, nothing was run; prices of 2026-11-01: an offer" in text


def test_a_page_without_a_place_is_refused():
    with pytest.raises(ValueError, match="has 0 places <!-- gpus -->, not one"):
        page.inserted("# A page\n", {"gpus": "x"})
