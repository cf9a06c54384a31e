"""What is written of the scores of videos: every number at its place, in words."""

import dataclasses
import json

import numpy as np
import pytest
from davis_video import video
from volumes import CODING, arguments, random_volume, rename

from pix2seq_d.evaluation import davis, stq, video_table, vpq
from pix2seq_d.evaluation.id_switches import IdSwitches
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.training.evaluate import eval_line, eval_scalars

CLASSES = ("sky", "ground", "person", "car", "dog")


def both(sequences):
    return {
        kind: stq.evaluate(sequences, **arguments(CODING), void_class=kind)
        for kind in ("counted", "left_out")
    }


def make(sequences, **options):
    """The report of sequences, whose oracle is the truth with 1 of 16 columns void."""
    truths = []
    for name, gt, _ in sequences:
        oracle = gt.copy()
        oracle[:, :, :1] = CODING.void_label
        truths.append((name, gt, oracle))
    switches = IdSwitches(CODING)
    for sequence in sequences:
        switches.update(*sequence)
    frames = sum(len(gt) for _, gt, _ in sequences)
    fields = {
        "stq": both(sequences),
        "vpq": vpq.evaluate(sequences, **arguments(CODING)),
        "id_switches": switches.result(),
        "oracle_stq": both(truths),
        "oracle_vpq": vpq.evaluate(truths, **arguments(CODING)),
        "j_and_f": None,
        "without_objects": (),
        "void_class": "counted",
        "classes": CLASSES,
        "mean_steps": 8.75,
        "num_videos": len(sequences),
        "num_frames": frames,
        "max_frames": None,
        "repaired": True,
    }
    return VideoReport(**(fields | options))


def test_videos_shorter_than_a_window_have_no_vpq_in_a_training():
    report = make([volume(0, frames=3)])
    assert report.vpq["vpq"] is None
    assert "eval/vpq" not in eval_scalars(report)
    assert "VPQ -  id" in eval_line(report, 1, 2)
    longer = make([volume(0)])
    assert eval_scalars(longer)["eval/vpq"] == longer.vpq["vpq"]


def volume(seed, frames=5):
    gt, pred = random_volume(seed, shape=(frames, 12, 16))
    return f"v{seed:02d}", gt, np.concatenate([pred[:2], rename(pred[2:], CODING, 1)])


@pytest.fixture(scope="module")
def report():
    return make([volume(k) for k in range(3)])


def tables(report):
    """The three tables as lists of rows of cells."""
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        for lines in (
            part.splitlines() for part in video_table.markdown(report).split("\n\n")
        )
    ]


def scores(report):
    """Title -> (value, oracle) of the first table."""
    return {row[0]: tuple(row[1:]) for row in tables(report)[0][2:]}


def test_the_scores_stand_beside_the_oracles(report):
    found = scores(report)
    main, oracle = report.stq["counted"], report.oracle_stq["counted"]
    assert found["**STQ**, predicted void is one more class"] == (
        percent(main["STQ"]),
        percent(oracle["STQ"]),
    )
    assert found["STQ, predicted void is no class"] == (
        percent(report.stq["left_out"]["STQ"]),
        percent(report.oracle_stq["left_out"]["STQ"]),
    )
    assert found["AQ, association"] == (percent(main["AQ"]), percent(oracle["AQ"]))
    for title, key in (
        ("**VPQ** all", "vpq"),
        ("VPQ things", "vpq_things"),
        ("VPQ stuff", "vpq_stuff"),
    ):
        expected = (percent(report.vpq[key]), percent(report.oracle_vpq[key]))
        assert found[title] == expected
    for k, title in ((1, "1 frame"), (2, "2 frames"), (4, "4 frames")):
        pair = (r["vpq_k"][k]["All"]["pq"] for r in (report.vpq, report.oracle_vpq))
        assert found[f"VPQ, windows of {title}"] == tuple(map(percent, pair))
    switches = report.id_switches["switches"]
    assert switches > 0
    assert found["id switches"] == (str(switches), "")
    assert found["id switches per 100 frames"] == (f"{100 * switches / 15:.2f}", "")
    assert found["objects found in a frame"][0] == str(report.id_switches["matches"])
    assert found["steps of the sampler, for a frame"] == ("8.75", "")
    assert (found["videos"], found["frames"]) == (("3", ""), ("15", ""))
    assert found["ids that come back are renumbered"] == ("yes", "")
    assert not any("J" in title for title in found)


def test_the_main_stq_is_the_one_that_was_asked_for(report):
    other = dataclasses.replace(report, void_class="left_out", repaired=False)
    values = [report.stq[kind]["STQ"] for kind in ("left_out", "counted")]
    assert values[0] > values[1]
    first = tables(other)[0][2]
    assert first[:2] == ["**STQ**, predicted void is no class", percent(values[0])]
    assert video_table.to_json(other)["STQ"] == values[0]
    assert video_table.to_json(report)["STQ"] == values[1]
    assert scores(other)["ids that come back are renumbered"] == ("no", "")


def test_scores_of_the_first_frames_and_j_and_f_are_named_so(report):
    total = davis.JAndF()
    total.update("a", *video(0))
    result = total.result()
    other = dataclasses.replace(
        report, max_frames=100, j_and_f=result, without_objects=("b", "c")
    )
    found = scores(other)
    assert found["frames"] == ("15 (first 100 of each video)", "")
    assert found["**J&F**"] == (percent(result["J&F-Mean"]), "")
    assert found["J, regions"] == (percent(result["J-Mean"]), "")
    assert found["F, boundaries"] == (percent(result["F-Mean"]), "")
    assert found["videos without object at first, not in J&F"] == ("2", "")


def test_every_class_has_its_scores_and_a_dash_where_it_does_not_occur(report):
    head, _, *rows = tables(report)[1]
    assert head == ["", "IoU", "oracle IoU", *(f"PQ, k = {k}" for k in (1, 2, 3, 4))]
    iou = report.stq["counted"]["iou_per_class"]
    oracle = report.oracle_stq["counted"]["iou_per_class"]
    assert [row[0] for row in rows] == list(CLASSES)
    for k, row in enumerate(rows):
        assert row[1:3] == [percent(iou[k]), percent(oracle[k])]
        pq = report.vpq["vpq_k"][4]["per_class"][k]["pq"]
        assert row[-1] == percent(pq)
    name, gt, _ = volume(0)
    gt = np.where(gt // 10 == 4, 0, gt)
    alone = make([(name, gt, gt)])
    assert tables(alone)[1][-1] == ["dog", *["-"] * 6]


def test_the_worst_videos_come_first_and_the_rest_is_counted():
    names = [f"v{k:02d}" for k in range(25)]
    report = make([volume(k) for k in range(25)])
    head, _, *rows = tables(report)[2]
    result = report.stq["counted"]["per_sequence"]
    order = sorted(names, key=lambda name: result[name]["STQ"])
    assert [row[0] for row in rows] == [*order[:20], "... and 5 better ones"]
    assert head[-4:] == ["VPQ", "switches", "tracks", "frames"]
    worst = result[order[0]]
    assert rows[0][1:4] == [percent(worst[key]) for key in ("STQ", "AQ", "SQ")]
    assert rows[0][4:] == [
        percent(report.vpq["per_sequence"][order[0]]["vpq"]),
        str(report.id_switches["per_sequence"][order[0]]["switches"]),
        str(worst["gt_tubes"]),
        "5",
    ]


def test_videos_too_short_for_a_window_show_a_dash():
    report = make([volume(0, frames=3)])
    assert report.vpq["vpq"] is None
    found = scores(report)
    assert found["**VPQ** all"] == ("-", "-")
    assert found["VPQ, windows of 4 frames"] == ("-", "-")
    assert found["VPQ, windows of 3 frames"] != ("-", "-")


def test_json_has_every_score_and_no_large_table_of_a_video(report):
    total = davis.JAndF()
    total.update("a", *video(0))
    report = dataclasses.replace(report, j_and_f=total.result(), max_frames=100)
    made = video_table.to_json(report)
    assert json.loads(json.dumps(made)) == made
    main = report.stq["counted"]
    assert [made[key] for key in ("STQ", "AQ", "SQ")] == [
        main[key] for key in ("STQ", "AQ", "SQ")
    ]
    assert made["stq"]["left_out"]["STQ"] == report.stq["left_out"]["STQ"]
    assert made["stq"]["counted"]["iou_per_class"]["2"] == main["iou_per_class"][2]
    assert made["classes"]["2"] == "person"
    assert made["stq"]["counted"]["confusion"] == main["confusion"]
    assert made["stq"]["counted"]["per_sequence"]["v01"] == {
        key: value
        for key, value in main["per_sequence"]["v01"].items()
        if key not in ("confusion", "iou_per_class")
    }
    assert made["vpq"]["vpq"] == report.vpq["vpq"]
    assert made["vpq"]["vpq_k"]["4"]["All"] == report.vpq["vpq_k"][4]["All"]
    own = report.vpq["per_sequence"]["v01"]
    assert made["vpq"]["per_sequence"]["v01"] == {
        key: own[key] for key in ("frames", "vpq", "vpq_things", "vpq_stuff")
    }
    assert made["oracle"]["vpq"]["vpq"] == report.oracle_vpq["vpq"]
    assert (
        made["oracle"]["stq"]["counted"]["STQ"] == (report.oracle_stq["counted"]["STQ"])
    )
    assert made["id_switches"] == report.id_switches
    assert made["j_and_f"]["J&F-Mean"] == report.j_and_f["J&F-Mean"]
    assert (
        made["j_and_f"]["per_object"]["a"]["1"]
        == (report.j_and_f["per_object"]["a"][1])
    )
    counts = ("num_videos", "num_frames", "max_frames", "mean_steps")
    assert [made[key] for key in counts] == [3, 15, 100, 8.75]
    assert (made["ids_renumbered"], made["void_class"]) == (True, "counted")
