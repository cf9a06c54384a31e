"""The command `metrics`: its numbers, tables and rows on files of every layout."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import metric_files as files
import numpy as np
import pytest
from metric_files import Files, as_json, percent
from volumes import CODING, arguments

from pix2seq_d.cli import app, metrics
from pix2seq_d.data import label_spaces
from pix2seq_d.evaluation import davis, pq, stq, vpq
from pix2seq_d.evaluation.bootstrap import pq_intervals
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.diagnosis import Diagnosis
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.pq import PanopticQuality
from pix2seq_d.evaluation.readers import coco_pairs
from pix2seq_d.evaluation.semantic import MeanIoU
from pix2seq_d.evaluation.tasks.panoptic import PanopticTask
from pix2seq_d.panoptic import PanopticMap

COUNTS = ("frames", "objects", "proposals")
STQ = ("STQ", "AQ", "SQ")
GROUPS = ("All", "Things", "Stuff")
ROOT = Path(__file__).resolve().parents[2]


def assert_rises(rows, column):
    """Worst first, and the rows do differ."""
    values = [float(row[column]) for row in rows]
    assert values == sorted(values)
    assert len(set(values)) > 1


# Each kind on files of every layout.


def test_pq_is_that_of_the_library(tmp_path):
    dataset, pairs = files.coco(tmp_path)
    made = dataset.score()
    paths = {"kind": "pq", "gt": str(dataset.gt), "pred": str(dataset.pred)}
    expected = as_json(pq.evaluate(dataset.gt, dataset.pred))
    names = dict(zip(("7", "3", "9"), ("sky", "door", "tree"), strict=True))
    for category, entry in expected["per_class"].items():
        entry["name"] = names[category]
    counts = {"num_images": 3, "missing_predictions": 0}
    assert made.result == paths | expected | counts
    quality = PanopticQuality(files.CATEGORIES)
    for pair in pairs:
        quality.update(*pair)
    assert made.result["All"] == quality.result()["All"]


def test_the_table_of_pq_is_percent(tmp_path):
    made = files.coco(tmp_path)[0].score()
    (table,) = made.tables
    rows = {f"**{g}** ({made.result[g]['n']})": made.result[g] for g in GROUPS}
    rows |= {row["name"]: row for row in made.result["per_class"].values()}
    assert table.keys() == rows.keys()
    for title, row in rows.items():
        shown = {key.upper(): percent(row[key]) for key in ("pq", "sq", "rq")}
        shown |= {key.upper(): str(row.get(key, "")) for key in ("tp", "fp", "fn")}
        assert table[title] == shown
    assert "metrics:   /" in made.printed and "per image: /" in made.printed


def test_a_class_in_neither_map_has_no_number(tmp_path):
    dataset, _ = files.coco(tmp_path)
    more = {"id": 1, "name": "moon", "isthing": 0}
    files.edit(dataset.gt, lambda content: content["categories"].append(more))
    made = dataset.score()
    cells = {"PQ": "-", "SQ": "-", "RQ": "-", "TP": "0", "FP": "0", "FN": "0"}
    assert made.tables[0]["moon"] == cells
    assert "**Stuff** (1)" in made.tables[0]


def test_rows_of_images_tell_their_errors(tmp_path):
    dataset, pairs = files.coco(tmp_path, count=5)
    rows = dataset.score().rows
    assert_rises(rows, "pq")
    errors = ("wrong_class", "split", "merged", "low_overlap", "missed", "spurious")
    columns = ("file_name", "image_id", "pq", "tp", "fp", "fn", *errors)
    assert tuple(rows[0]) == columns
    assert sorted(row["file_name"] for row in rows) == [f"00{k}.png" for k in range(5)]
    for row in rows:
        pair = pairs[int(row["image_id"])]
        counts = PanopticQuality(files.CATEGORIES).update(*pair)
        assert float(row["pq"]) == counts.mean_pq()
        for name in ("tp", "fp", "fn"):
            assert int(row[name]) == getattr(counts, name).sum()
        wrong = sum(int(row[name]) for name in errors)
        assert wrong == int(row["fp"]) + int(row["fn"]) > 0


@pytest.mark.parametrize("layout", [files.step, files.arrays, files.vipseg])
def test_stq_is_that_of_the_arrays_in_the_files(tmp_path, layout):
    sequences = files.volumes()
    made = layout(tmp_path, sequences, kind="stq").score()
    expected = as_json(stq.evaluate(sequences, **arguments(CODING)))
    for entry in expected["per_sequence"].values():
        del entry["confusion"]
    for key, value in expected.items():
        assert made.result[key] == value, key
    whole, classes = made.tables
    rows = expected["per_sequence"] | {"**all sequences**": expected}
    assert whole.keys() == rows.keys()
    for name, row in rows.items():
        shown = {key: percent(row[key]) for key in STQ}
        counts = ("frames", "gt_tubes", "pred_tubes")
        titles = ("frames", "tubes", "predicted")
        shown |= {t: str(row[key]) for t, key in zip(titles, counts, strict=True)}
        assert whole[name] == shown
    iou = [{"IoU": percent(value)} for value in expected["iou_per_class"].values()]
    assert list(classes.values()) == iou
    assert list(classes)[-1] == "ignore (counted)"
    assert tuple(made.rows[0]) == ("sequence", *STQ, *counts)
    assert_rises(made.rows, "STQ")
    for row in made.rows:
        assert float(row["AQ"]) == expected["per_sequence"][row["sequence"]]["AQ"]


@pytest.mark.parametrize("layout", [files.step, files.arrays, files.vipseg])
def test_vpq_is_that_of_the_arrays_in_the_files(tmp_path, layout):
    sequences = files.volumes()
    made = layout(tmp_path, sequences, kind="vpq").score()
    expected = as_json(vpq.evaluate(sequences, **arguments(CODING)))
    for entry in expected["per_sequence"].values():
        for size in entry["vpq_k"].values():
            del size["per_class"]
    for key, value in expected.items():
        assert made.result[key] == value, key
    (table,) = made.tables
    rows = zip(GROUPS, ("vpq", "vpq_things", "vpq_stuff"), (5, 3, 2), strict=True)
    for group, key, n in rows:
        shown = {"VPQ": percent(expected[key])}
        for k, size in expected["vpq_k"].items():
            shown[f"k = {k}"] = percent(size[group]["pq"])
        assert table[f"**{group}** ({n})"] == shown
    name = "kind 3" if layout is files.vipseg else "class 3"
    pqs = [size["per_class"]["3"]["pq"] for size in expected["vpq_k"].values()]
    assert list(table[name].values()) == [*map(percent, [sum(pqs) / 4, *pqs])]
    assert tuple(made.rows[0]) == ("sequence", "vpq", "vpq_things", "vpq_stuff")
    assert_rises(made.rows, "vpq")


def test_a_window_size_without_a_window_is_a_dash(tmp_path):
    sequences = [(name, gt[:1], pred[:1]) for name, gt, pred in files.volumes()]
    dataset = files.arrays(tmp_path, sequences, kind="vpq")
    made = dataset.score("--window_sizes=2,1")
    pq = percent(made.result["vpq_k"]["1"]["All"]["pq"])
    assert made.tables[0]["**All** (5)"] == {"VPQ": "-", "k = 2": "-", "k = 1": pq}
    assert [row["vpq"] for row in made.rows] == [""] * len(sequences)


def test_jf_is_that_of_the_library(tmp_path):
    dataset, videos = files.davis(tmp_path)
    made = dataset.score()
    total = davis.JAndF()
    for name, sides in videos.items():
        total.update(name, *sides)
    expected = as_json(total.result())
    assert expected == as_json(davis.evaluate(dataset.gt, dataset.pred))
    for key, value in expected.items():
        assert made.result[key] == value, key
    (table,) = made.tables
    assert table.keys() == {"**all objects**", "v0", "v1"}
    assert table["v1"]["F-Recall"] == percent(
        expected["per_sequence"]["v1"]["F-Recall"]
    )
    for key, value in table["**all objects**"].items():
        assert value == percent(expected[key])
    columns = [c + m for c in "JF" for m in ("-Mean", "-Recall", "-Decay")]
    columns = ["sequence", "object", "proposal", "J&F-Mean", *columns]
    assert list(made.rows[0]) == columns
    assert len(made.rows) == sum(len(v) for v in expected["per_object"].values())
    assert_rises(made.rows, "J&F-Mean")
    assert "per object: " in made.printed


def test_miou_of_folders_is_that_of_the_arrays(tmp_path):
    dataset, maps = files.semantic(tmp_path)
    made = dataset.score()
    quality = MeanIoU(5, ignore_label=255)
    own = {f"city/{k}": quality.update(*pair) for k, pair in enumerate(maps)}
    expected = as_json(quality.result()) | {"num_images": 3}
    assert {key: made.result[key] for key in expected} == expected
    means, classes = made.tables
    assert means["**all**"]["mIoU"] == percent(expected["mIoU"])
    assert means["**all**"]["pixel accuracy"] == percent(expected["pixel_accuracy"])
    iou = [{"IoU": percent(value)} for value in expected["iou_per_class"].values()]
    assert list(classes.values()) == iou
    assert list(made.rows[0]) == ["image", "mIoU", "pixel_accuracy"]
    assert_rises(made.rows, "mIoU")
    for row in made.rows:
        assert float(row["mIoU"]) == own[row["image"]]["mIoU"]


def test_miou_of_coco_files_takes_segments_as_their_category(tmp_path):
    dataset, pairs = files.coco(tmp_path, kind="miou")
    quality = MeanIoU(3, ignore_label=3)
    for pair in pairs:
        columns = Categories.of(files.CATEGORIES).column_of
        maps = []
        for panoptic in pair:
            kinds = {s.id: columns[s.category_id] for s in panoptic.segments}
            maps.append(np.vectorize((kinds | {0: 3}).get)(panoptic.ids))
        quality.update(*maps)
    made = dataset.score()
    assert made.result["mIoU"] == quality.result()["mIoU"]
    assert list(made.tables[1]) == ["sky", "door", "tree"]
    assert {row["image"] for row in made.rows} == {"000.png", "001.png", "002.png"}


# The official numbers.

VOLUME_FLAGS = ("--num_classes=7", "--things=4,5,6", "--ignore_label=255")
ARRAYS = (".", ".", *VOLUME_FLAGS, "--label_divisor=1000")


def close(made, expected):
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-9)


@pytest.fixture
def official(shared):
    """A set of the reference -> its files and expected.json."""

    def read(kind, folder, gt, pred, *flags):
        root = shared / "reference/metrics" / folder
        expected = json.loads((root / "expected.json").read_text())
        return Files(kind, root / gt, root / pred, flags), expected

    return read


@pytest.mark.parametrize("name", ["facade", "coco"])
def test_official_pq(official, name):
    paths = "panoptic_gt.json", "panoptic_pred.json"
    dataset, expected = official("pq", f"pq/{name}", *paths)
    made = dataset.score()
    for group in GROUPS:
        assert made.result[group] == pytest.approx(expected[group], abs=1e-9)
    assert made.result["per_class"].keys() == expected["per_category"].keys()
    for category, row in expected["per_category"].items():
        ours = made.result["per_class"][category]
        assert ours["name"] == row["name"]
        close(*([r[k] for k in ours if k in row and k != "name"] for r in (ours, row)))
    # As panopticapi prints them.
    for line in expected["printed"]:
        title, _, cells = line.partition("|")
        *cells, n = cells.split()
        shown = made.tables[0][f"**{title.strip()}** ({n})"]
        assert [shown[key] for key in ("PQ", "SQ", "RQ")] == cells


def test_official_stq(official):
    dataset, expected = official("stq", "stq/main", *ARRAYS)
    made = dataset.score().result
    rows = [(made, expected)]
    for name, row in expected["per_sequence"].items():
        rows.append((made["per_sequence"][name], row))
    for ours, row in rows:
        close([ours[k] for k in STQ], [row[k] for k in ("STQ", "AQ", "IoU")])
        assert ours["iou_per_class"] == pytest.approx(row["iou_per_class"], abs=1e-9)
        assert ours["ignore_counted_as_class"] == row["ignore_counted_as_class"]
    assert made["confusion"] == expected["confusion_matrix"]


@pytest.mark.parametrize(
    ("code", "flags"),
    [("vps_official", []), ("deeplab2", ["--crowd=segment"])],
)
def test_official_vpq(official, code, flags):
    dataset, expected = official("vpq", "vpq/main", *ARRAYS)
    made = dataset.score(*flags).result
    rows = [(made, expected[code]["all_sequences"])]
    for name, row in expected[code]["per_sequence"].items():
        rows.append((made["per_sequence"][name], row))
    for ours, row in rows:
        means = [row["mean_pq_over_k"][group] for group in GROUPS]
        close([ours[k] for k in ("vpq", "vpq_things", "vpq_stuff")], means)
        for k, size in row["k"].items():
            for group in GROUPS:
                assert ours["vpq_k"][k][group] == pytest.approx(size[group], abs=1e-9)
    for k, size in rows[0][1]["k"].items():
        for category, numbers in size["per_class"].items():
            found = made["vpq_k"][k]["per_class"][category]
            close([found[n] for n in numbers], [v or 0 for v in numbers.values()])


def test_official_jf(official):
    paths = "Annotations_unsupervised/480p", "results"
    dataset, expected = official("davis", "davis/main", *paths)
    names = dataset.pred.parent / "ImageSets/2017/val.txt"
    made = dataset.score(f"--sequences={names}")
    measures = expected["global"].keys()
    close(*([r[k] for k in measures] for r in (made.result, expected["global"])))
    for name, sequence in expected["sequences"].items():
        means = sequence["mean"] | {k: sequence[k] for k in COUNTS}
        assert made.result["per_sequence"][name] == pytest.approx(means, abs=1e-9)
        objects = made.result["per_object"][name]
        assert objects.keys() == sequence["per_object"].keys()
        for number, row in sequence["per_object"].items():
            assert objects[number]["proposal"] == row["proposal"]
            for key in (*measures, "J_per_frame", "F_per_frame"):
                close(objects[number][key], row[key])
    assert [row["object"] for row in made.rows] == ["3", "1", "2"]


# Flags, a test each.


def test_diagnose_says_what_errors_cost(tmp_path):
    dataset, _ = files.coco(tmp_path)
    made = dataset.score("--diagnose")
    pairs = coco_pairs.CocoPairs.open(dataset.gt, dataset.pred)
    total = Diagnosis.zeros(3)
    for row in range(3):
        total += coco_pairs.score(pairs, row).diagnosis
    expected = as_json(total.result(pairs.categories))
    assert made.result["diagnosis"] == expected
    _, errors, classes = made.tables
    assert list(errors) == [kind.replace("_", " ") for kind in expected]
    split = expected["split"]
    assert errors["split"] == {
        "errors": str(split["fn"] + split["fp"]),
        **{f"PQ {g.lower()} without": percent(split[g]["pq"]) for g in GROUPS},
        "gain": "+" + percent(split["All"]["lost"]),
    }
    lost = {kind: entry["per_class"]["9"]["lost"] for kind, entry in expected.items()}
    assert classes["tree"] == {"PQ": percent(made.result["per_class"]["9"]["pq"])} | {
        kind.replace("_", " "): "+" + percent(value) for kind, value in lost.items()
    }


def test_bootstrap_puts_intervals_around_pq(tmp_path):
    dataset, pairs = files.coco(tmp_path)
    made = dataset.score("--bootstrap=40", "--seed=5")
    quality = PanopticQuality(files.CATEGORIES)
    counts = [quality.update(*pair) for pair in pairs]
    expected = pq_intervals(counts, quality.categories, num_resamples=40, seed=5)
    assert made.result["intervals"] == as_json(expected)
    shown = " to ".join(map(percent, expected["All"]["pq"]))
    assert made.tables[0]["**All** (3)"]["95% interval"] == shown
    shown = " to ".join(map(percent, expected["per_class"][9]["pq"]))
    assert made.tables[0]["tree"]["95% interval"] == shown
    other = dataset.score("--bootstrap=40", "--seed=6").result
    assert other["intervals"]["All"] != expected["All"]


def test_without_these_flags_there_is_neither(tmp_path):
    made = files.coco(tmp_path)[0].score()
    assert not {"diagnosis", "intervals"} & made.result.keys()
    assert len(made.tables) == 1


@pytest.mark.parametrize("kind", ["pq", "miou"])
def test_pngs_may_lie_elsewhere(tmp_path, kind):
    dataset, _ = files.coco(tmp_path, kind=kind)
    expected = dataset.score().result
    (tmp_path / "gt").rename(tmp_path / "a")
    (tmp_path / "pred").rename(tmp_path / "b")
    flags = f"--gt_pngs={tmp_path / 'a'}", f"--pred_pngs={tmp_path / 'b'}"
    assert dataset.score(*flags).result == expected


def test_pngs_of_videos_may_lie_elsewhere(tmp_path):
    dataset = files.vipseg(tmp_path, files.volumes())
    expected = dataset.score().result
    (tmp_path / "gt").rename(tmp_path / "a")
    (tmp_path / "pred").rename(tmp_path / "b")
    flags = f"--gt_pngs={tmp_path / 'a'}", f"--pred_pngs={tmp_path / 'b'}"
    assert dataset.score(*flags).result == expected


def test_classes_of_a_dataset_have_its_names_and_things(tmp_path):
    coding = LabelCoding(19, (11, 13), 255, 10)
    dataset = files.step(
        tmp_path,
        files.volumes(coding=coding),
        coding=coding,
        flags=("--classes=kitti_step",),
    )
    made = dataset.score()
    by_hand = ("--num_classes=19", "--things=11,13", "--ignore_label=255")
    assert made.result == dataclasses.replace(dataset, flags=by_hand).score().result
    assert made.result == dataclasses.replace(dataset, flags=()).score().result
    assert made.result["gt_tubes"] > 0
    names = label_spaces.read("kitti_step").names()[1:]
    assert names[11:14] == ("person", "rider", "car")
    assert list(made.tables[1]) == [*names, "ignore (counted)"]
    vpq_table = dataclasses.replace(dataset, kind="vpq").score().tables[0]
    assert list(vpq_table)[3:] == list(names)
    assert "**Things** (2)" in vpq_table


def test_classes_of_cityscapes_are_its_train_ids(tmp_path):
    dataset, _ = files.semantic(tmp_path)
    expected = dataset.score().result
    made = dataclasses.replace(dataset, flags=("--classes=cityscapes",)).score()
    assert made.result["mIoU"] == expected["mIoU"]
    assert list(made.tables[1])[:2] == ["road", "sidewalk"]
    assert len(made.tables[1]) == 19


def test_void_class_counts_or_is_left_out(tmp_path):
    sequences = files.volumes()
    dataset = files.step(tmp_path, sequences)
    made = dataset.score("--void_class=left_out")
    left_out = stq.evaluate(sequences, **arguments(CODING), void_class="left_out")
    assert made.result["STQ"] == left_out["STQ"] > dataset.score().result["STQ"]
    assert "ignore (counted)" not in made.tables[1]


def test_window_sizes_are_the_columns(tmp_path):
    sequences = files.volumes()
    made = files.step(tmp_path, sequences, kind="vpq").score("--window_sizes=2, 5")
    expected = vpq.evaluate(sequences, **arguments(CODING), window_sizes=(2, 5))
    assert made.result["vpq"] == expected["vpq"]
    assert list(made.tables[0]["class 0"]) == ["VPQ", "k = 2", "k = 5"]


def test_crowd_may_be_a_segment(tmp_path):
    sequences = files.volumes()
    dataset = files.step(tmp_path, sequences, kind="vpq")
    expected = vpq.evaluate(sequences, **arguments(CODING), crowd="segment")
    assert dataset.score("--crowd=segment").result["vpq"] == expected["vpq"]
    assert dataset.score().result["vpq"] != expected["vpq"]


def test_sequences_names_those_that_are_scored(tmp_path):
    dataset, _ = files.davis(tmp_path)
    whole = dataset.score().result
    (tmp_path / "val.txt").write_text("v1\n")
    made = dataset.score(f"--sequences={tmp_path / 'val.txt'}")
    assert made.result["per_object"] == {"v1": whole["per_object"]["v1"]}
    assert {row["sequence"] for row in made.rows} == {"v1"}


def test_rows_without_a_score_come_last(tmp_path):
    sequences = files.volumes()
    sequences[0][1][:] = 2550  # all of its truth is ignored
    rows = files.arrays(tmp_path, sequences).score().rows
    assert [row["sequence"] for row in rows][2] == "s0"
    assert rows[2]["STQ"] == "" != rows[1]["STQ"]


def test_missing_predictions_of_images_are_void_if_allowed(tmp_path):
    dataset, pairs = files.coco(tmp_path)
    (tmp_path / "pred/001.png").unlink()
    files.edit(dataset.pred, lambda content: content["annotations"].pop(0))
    made = dataset.score("--allow_missing")
    quality = PanopticQuality(files.CATEGORIES)
    quality.update(*pairs[2])
    for truth, _ in pairs[:2]:
        quality.update(truth, PanopticMap(np.zeros_like(truth.ids), ()))
    assert made.result["All"] == quality.result()["All"]
    assert made.result["missing_predictions"] == 2
    assert made.printed.startswith("2 images lack a prediction, scored as void\n\n|")
    assert [row["pq"] for row in made.rows[:2]] == ["0.0", "0.0"]


@pytest.mark.parametrize("layout", [files.step, files.vipseg])
def test_missing_frames_are_void_if_allowed(tmp_path, layout):
    sequences = files.volumes()
    dataset = layout(tmp_path, sequences, kind="stq")
    (path,) = (tmp_path / "pred/s1").glob("*0003.png")
    path.unlink()
    sequences[1][2][3] = 2550
    made = dataset.score("--allow_missing")
    expected = stq.evaluate(sequences, **arguments(CODING))
    assert made.result["STQ"] == expected["STQ"]
    assert made.result["missing_predictions"] == 1
    line = "1 frame lacks a prediction, scored as ignore"
    more = ", one more class with IoU 0 by --void_class=counted"
    assert made.printed.startswith(f"{line}{more}\n\n|")
    made = dataset.score("--allow_missing", "--void_class=left_out")
    assert made.printed.startswith(f"{line}\n\n|")


def test_missing_sequences_are_void_if_allowed(tmp_path):
    sequences = files.volumes()
    dataset = files.arrays(tmp_path, sequences, kind="vpq")
    (tmp_path / "pred/s1.npz").unlink()
    sequences[1][2][:] = 2550
    made = dataset.score("--allow_missing")
    expected = vpq.evaluate(sequences, **arguments(CODING))
    assert made.result["vpq"] == expected["vpq"]
    assert made.result["missing_predictions"] == 5
    assert made.printed.startswith("5 frames lack a prediction, scored as void\n\n|")


def test_missing_proposals_are_background_if_allowed(tmp_path):
    dataset, videos = files.davis(tmp_path)
    (tmp_path / "pred/v1/00002.png").unlink()
    videos["v1"][1][2] = 0
    total = davis.JAndF()
    for name, sides in videos.items():
        total.update(name, *sides)
    made = dataset.score("--allow_missing")
    assert made.result["per_object"] == as_json(total.result()["per_object"])
    assert made.result["missing_predictions"] == 1
    line = "1 frame lacks a prediction, scored as background"
    assert made.printed.startswith(f"{line}\n\n|")


def test_missing_label_maps_are_ignore_if_allowed(tmp_path):
    dataset, maps = files.semantic(tmp_path)
    (tmp_path / "pred/city/1.png").unlink()
    quality = MeanIoU(5, ignore_label=255)
    for k, (truth, found) in enumerate(maps):
        quality.update(truth, np.full_like(truth, 255) if k == 1 else found)
    made = dataset.score("--allow_missing")
    assert made.result["mIoU"] == quality.result()["mIoU"]
    assert made.result["missing_predictions"] == 1
    assert made.printed.startswith("1 image lacks a prediction, scored as ignore\n\n|")


@pytest.mark.parametrize("make", [files.davis, files.semantic])
def test_nothing_is_said_where_nothing_is_missing(tmp_path, make):
    made = make(tmp_path)[0].score()
    assert made.result["missing_predictions"] == 0
    assert made.printed.startswith("|")


def test_the_terminal_shows_the_worst_twenty_sequences(tmp_path):
    sequences = files.volumes(23)
    made = files.arrays(tmp_path, sequences).score()
    whole = list(made.tables[0])
    worst = [row["sequence"] for row in made.rows]
    assert whole[1:] == [*worst[:20], "... and 3 more, see --per_image"]
    assert len(made.result["per_sequence"]) == len(worst) == 23


def test_lists_of_numbers_take_a_line(tmp_path):
    dataset = files.step(tmp_path, files.volumes())
    output = tmp_path / "m.json"
    assert app.run(metrics.main, "metrics", dataset.argv(f"--output={output}")) == 0
    text = output.read_text()
    last = json.loads(text)["confusion"][-1]
    assert f"    {json.dumps(last)}" in text.splitlines()
    # Brackets of a text are left alone.
    content = {"gt": "a [ 1,\n 2 ]", "rows": [[1, 2.5], [None, True]], "none": []}
    assert json.loads(metrics._json(content)) == content


def test_files_are_written_though_nobody_reads_the_tables(tmp_path, monkeypatch):
    dataset, _ = files.coco(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    paths = tmp_path / "m.json", tmp_path / "m.csv"
    argv = dataset.argv(f"--output={paths[0]}", f"--per_image={paths[1]}")
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert app.run(metrics.main, "metrics", argv) == 141
    assert all(path.read_text() for path in paths)


def test_tables_are_printed_though_a_file_cannot_be_written(tmp_path, capsys):
    dataset, _ = files.coco(tmp_path)
    argv = dataset.argv("--output=/dev/full")
    assert app.run(metrics.main, "metrics", argv) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("|") and "metrics:" not in printed.out
    assert printed.err.splitlines()[-1].startswith("metrics: error: ")


def test_a_bar_in_a_name_is_escaped(tmp_path):
    dataset, _ = files.coco(tmp_path)
    files.edit(dataset.gt, lambda c: c["categories"][0].update(name="a|b"))
    files.edit(dataset.pred, lambda c: c.pop("categories"))
    assert r"a\|b" in dataset.score().tables[0]


def test_files_are_written_only_where_they_are_asked_for(tmp_path, capsys):
    dataset, _ = files.coco(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert app.run(metrics.main, "metrics", dataset.argv()) == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "metrics:" not in capsys.readouterr().out


def test_help_lists_the_flags_of_each_kind(capsys):
    assert app.run(metrics.main, "metrics", ["--help"]) == 0
    out = capsys.readouterr().out
    assert "Of vpq:\n  --window_sizes: Numbers of frames. (default 1,2,3,4)\n" in out
    assert all(len(line) <= 88 for line in out.splitlines())


# Processes.


@pytest.mark.parametrize("kind", ["pq", "stq"])
def test_two_processes_write_the_same_bytes_as_one(tmp_path, kind, monkeypatch):
    if kind == "pq":
        monkeypatch.setattr(PanopticTask, "per_process", 10)
        dataset, _ = files.coco(tmp_path, count=40)
    else:
        dataset = files.step(tmp_path, files.volumes())
    made = []
    for workers in (1, 2):
        paths = [tmp_path / f"{workers}.json", tmp_path / f"{workers}.csv"]
        flags = [f"--output={paths[0]}", f"--per_image={paths[1]}"]
        argv = dataset.argv(*flags, f"--num_workers={workers}")
        assert app.run(metrics.main, "metrics", argv) == 0
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_an_error_in_a_process_is_one_line_and_does_not_hang(tmp_path):
    dataset = files.vipseg(tmp_path, files.volumes())
    path = tmp_path / "pred/s1/00000002.png"
    path.write_bytes(path.read_bytes()[:60])
    output = tmp_path / "m.json"
    argv = dataset.argv(f"--output={output}", "--num_workers=2")
    done = subprocess.run(
        [sys.executable, "-m", "launch.metrics", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"metrics: error: {path}: cannot be decoded")
    assert (done.returncode, done.stdout, output.exists()) == (1, "", False)
