"""STQ against deeplab2's numbers, its definition by masks, and its properties."""

import json
import math
import pickle

import numpy as np
import pytest
from volumes import (
    CODING,
    INNER,
    arguments,
    random_volume,
    read_fixture,
    rename,
    slow_association,
    slow_iou,
)

from pix2seq_d.evaluation import stq
from pix2seq_d.evaluation.label_coding import LabelCoding

CODINGS = pytest.mark.parametrize("coding", [CODING, INNER], ids=["above", "inner"])


def evaluate(sequences, coding=CODING, **options):
    return stq.evaluate(sequences, **arguments(coding), **options)


def quality_of(sequences, coding=CODING):
    quality = stq.SegmentationTrackingQuality(coding)
    for sequence in sequences:
        quality.update(*sequence)
    return quality


def volumes(count=4, coding=CODING):
    return [(f"s{k}", *random_volume(k, coding)) for k in range(count)]


def test_golden_values_of_deeplab2(shared):
    folder = shared / "reference/metrics/stq/main"
    coding, sequences, expected = read_fixture(folder)
    result = evaluate(sequences, coding)
    pairs = [(result, expected)]
    pairs += [
        (result["per_sequence"][name], row)
        for name, row in expected["per_sequence"].items()
    ]
    assert len(result["per_sequence"]) == len(pairs) - 1
    for key in ("frames", "gt_tubes", "pred_tubes"):
        official = {n: row[key] for n, row in expected["per_sequence"].items()}
        assert {n: row[key] for n, row in result["per_sequence"].items()} == official
        # The whole set's are not in the file: frames and tubes are a sequence's own.
        assert result[key] == sum(official.values()) > 0
    for found, row in pairs:
        for key, official in (("STQ", "STQ"), ("AQ", "AQ"), ("SQ", "IoU")):
            assert found[key] == pytest.approx(row[official], abs=1e-9), key
        assert found["confusion"] == row["confusion_matrix"]
        assert found["ignore_counted_as_class"] == row["ignore_counted_as_class"]
        assert len(found["iou_per_class"]) == len(row["iou_per_class"])
        for name, value in row["iou_per_class"].items():
            other = found["iou_per_class"][int(name)]
            assert other is value or other == pytest.approx(value, abs=1e-9)


@CODINGS
@pytest.mark.parametrize("void_class", ["counted", "left_out"])
def test_equals_its_definition_by_masks(coding, void_class):
    sequences = volumes(3, coding)
    result = evaluate(sequences, coding, void_class=void_class)
    association, tubes = map(
        sum, zip(*(slow_association(*s[1:], coding) for s in sequences), strict=True)
    )
    _, *sides = zip(*sequences, strict=True)
    gt, pred = (np.stack(side).ravel() // coding.label_divisor for side in sides)
    classes = {*range(coding.num_classes), coding.ignore_label}
    if void_class == "left_out":
        classes.remove(coding.ignore_label)
    iou = slow_iou(gt, pred, classes, coding.ignore_label)
    sq = sum(iou.values()) / len(iou)
    assert result["gt_tubes"] == tubes > 5
    assert result["AQ"] == pytest.approx(float(association / tubes), abs=1e-12)
    assert result["SQ"] == pytest.approx(float(sq), abs=1e-12)
    assert result["STQ"] == pytest.approx(
        math.sqrt(association / tubes * sq), abs=1e-12
    )
    assert 0.1 < result["STQ"] < 0.9
    assert result["ignore_counted_as_class"] == (void_class == "counted")
    ignore = coding.ignore_index
    assert result["iou_per_class"][ignore] == (0 if void_class == "counted" else None)


def test_void_predicted_on_labelled_pixels_is_a_class_only_in_the_reference():
    gt = np.array([[[0, 0, 21, 21]]])
    pred = np.array([[[0, 2550, 21, 21]]])
    counted = evaluate([("a", gt, pred)])
    assert counted["SQ"] == (0.5 + 1 + 0) / 3
    assert counted["ignore_counted_as_class"]
    left_out = evaluate([("a", gt, pred)], void_class="left_out")
    assert left_out["SQ"] == (0.5 + 1) / 2
    assert not left_out["ignore_counted_as_class"]
    assert counted["AQ"] == left_out["AQ"] == 1
    assert counted["confusion"] == left_out["confusion"]


def test_crowd_leaves_predicted_tubes_and_ignored_pixels_stay():
    gt = np.array([[[21, 21, 20, 20]]])
    assert evaluate([("a", gt, np.full_like(gt, 21))])["AQ"] == 1
    gt = np.array([[[21, 21, 2550, 2550]]])
    assert evaluate([("a", gt, np.full_like(gt, 21))])["AQ"] == 0.5


def test_a_tube_with_instance_0_is_crowd_in_the_truth_only():
    gt, pred = np.array([[[21, 21]]]), np.array([[[20, 20]]])
    result = evaluate([("a", gt, pred)])
    assert (result["AQ"], result["gt_tubes"], result["pred_tubes"]) == (1, 1, 1)
    result = evaluate([("a", pred, gt)])
    assert (result["AQ"], result["gt_tubes"], result["pred_tubes"]) == (0, 0, 0)


def test_association_does_not_ask_for_the_class_but_a_flip_breaks_the_tube():
    gt = np.array([[[21, 21, 21, 21]]])
    assert evaluate([("a", gt, np.full_like(gt, 31))])["AQ"] == 1
    flipped = evaluate([("a", gt, np.array([[[21, 21, 31, 31]]]))])
    assert flipped["AQ"] == 2 * (2 * 2 / 4) / 4


@CODINGS
def test_equal_maps_give_one_and_disjoint_maps_zero(coding):
    gt, _ = random_volume(0, coding)
    gt[gt // coding.label_divisor == coding.ignore_label] = 0
    result = evaluate([("a", gt, gt)], coding)
    assert result["STQ"] == result["AQ"] == result["SQ"] == 1
    other = np.where(gt // coding.label_divisor == 0, 10, 0)
    result = evaluate([("a", gt, other)], coding)
    assert result["STQ"] == result["AQ"] == result["SQ"] == 0


@CODINGS
def test_names_of_instances_do_not_matter(coding):
    gt, pred = random_volume(1, coding)
    expected = evaluate([("a", gt, pred)], coding)
    renamed = (rename(gt, coding, 2), rename(pred, coding, 3))
    assert evaluate([("a", *renamed)], coding) == expected


def test_merge_order_and_shards_give_the_same_bits():
    sequences = volumes(6)
    whole = quality_of(sequences).result()
    assert quality_of(sequences[::-1]).result() == whole
    parts = [quality_of(sequences[k::3]) for k in (2, 0, 1)]
    parts[0].merge(parts[1])
    parts[2].merge(parts[0])
    assert parts[2].result() == whole
    # Shards that cut the sequences, and frames in another order.
    shards = [stq.SegmentationTrackingQuality(CODING) for _ in range(3)]
    for name, gt, pred in sequences:
        for t in (4, 1, 0, 3, 2):
            shards[t % 3].update(name, gt[t], pred[t])
    shards[0].merge(shards[2])
    shards[0].merge(shards[1])
    assert shards[0].result() == whole


def test_state_survives_json_and_pickle():
    quality = quality_of(volumes())
    text = json.dumps(quality.to_json())
    copy = stq.SegmentationTrackingQuality.from_json(json.loads(text))
    assert copy.result() == pickle.loads(pickle.dumps(quality)).result()
    copy.merge(quality)
    assert copy.result()["frames"] == 2 * quality.result()["frames"]
    assert json.loads(text)["sequences"]["s0"]["frames"] == 5


def test_type_and_size_of_labels_do_not_matter():
    gt, pred = random_volume(3)
    expected = evaluate([("a", gt, pred)])
    for dtype in (np.uint16, np.int64, np.uint64):
        assert evaluate([("a", gt.astype(dtype), pred.astype(np.int32))]) == expected
    wide = LabelCoding(5, (2, 3, 4), 255, 2**44)
    gt, pred = (x // 10 * np.int64(2**44) + x % 10 for x in (gt, pred))
    assert evaluate([("a", gt, pred)], wide) == expected


def test_a_sequence_that_is_all_ignored_has_no_score():
    gt, pred = random_volume(4)
    void = ("void", np.full_like(gt, 2550), np.zeros_like(gt))
    result = evaluate([("a", gt, pred), void])
    assert result["per_sequence"]["void"]["SQ"] is None
    assert result["per_sequence"]["void"]["STQ"] is None
    assert result["per_sequence"]["void"]["AQ"] == 0
    assert result["STQ"] == result["per_sequence"]["a"]["STQ"]
    with pytest.raises(ValueError, match="no pixel of the truth is labelled, all are"):
        evaluate([void])


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="no frames were added; add at least one"):
        evaluate([])
    quality = stq.SegmentationTrackingQuality(CODING)
    with pytest.raises(ValueError, match="sequence a: has no frames; leave it out"):
        quality.update_frames("a", [])


GOOD = np.zeros((2, 3, 4), np.int32)


def with_label(value):
    labels = GOOD.copy()
    labels[1, 0, 0] = value
    return labels


@pytest.mark.parametrize(
    ("gt", "pred", "message"),
    [
        (GOOD, with_label(95), "a, frame 1: the prediction holds classes 9, not 0..4"),
        (with_label(95), GOOD, r"a, frame 1: the truth holds .* or 255 \(ignore\)"),
        (GOOD, with_label(-1), "a, frame 1: the prediction holds classes -1, not 0..4"),
        (GOOD, GOOD[:, :2], "a, frame 0: the prediction has 4x2 pixels, the truth 4x3"),
        (GOOD, GOOD[:1], "a: the prediction has 1 frames, the truth 2; predict every"),
        (GOOD, GOOD[0], "a: the prediction has 1 frames, the truth 2; predict every"),
        (GOOD[:0], GOOD[:0], "a: has no frames; leave it out"),
        (GOOD[:, :0], GOOD[:, :0], "a, frame 0: has no pixels; leave the frame out"),
        (
            GOOD,
            GOOD[None],
            r"a: the prediction has shape \(1, 2, 3, 4\); give \[frames",
        ),
        (GOOD, GOOD * np.nan, "a, frame 0: the prediction is float64, which may hold"),
        (GOOD > 0, GOOD, "a, frame 0: the truth is bool, which may hold"),
    ],
)
def test_bad_labels_are_refused_and_add_nothing(gt, pred, message):
    quality = quality_of([("b", GOOD, GOOD)])
    with pytest.raises(ValueError, match=f"^sequence {message}") as info:
        quality.update("a", gt, pred)
    assert "\n" not in str(info.value)
    assert list(quality.result()["per_sequence"]) == ["b"]


def test_frames_are_numbered_through_the_parts_of_a_sequence():
    quality = quality_of([("a", GOOD, GOOD)])
    with pytest.raises(ValueError, match="sequence a, frame 3: the prediction holds"):
        quality.update("a", GOOD, with_label(95))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; give an integer from 1 on"),
        ({"label_divisor": 0}, "label_divisor is 0; give an integer from 1 on"),
        ({"ignore_label": -1}, "ignore_label is -1; give an integer from 0 on"),
        ({"num_classes": 2.5}, "num_classes is 2.5; give an integer"),
        ({"things": (2, 7)}, r"things has 7, not in 0\.\.4; correct things"),
        ({"ignore_label": 3}, "ignore_label 3 is one of things; remove it there"),
        ({"void_class": "none"}, "void_class is 'none'; choose one of"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        stq.evaluate([("a", GOOD, GOOD)], **(arguments(CODING) | change))


def test_merge_of_other_labels_is_refused():
    quality = stq.SegmentationTrackingQuality(CODING)
    for other in (
        stq.SegmentationTrackingQuality(INNER),
        stq.SegmentationTrackingQuality(CODING, void_class="left_out"),
    ):
        with pytest.raises(ValueError, match="different label codings or void_class"):
            quality.merge(other)
