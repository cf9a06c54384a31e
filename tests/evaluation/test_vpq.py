"""VPQ against two official codes, its definition by masks, and its properties."""

import json
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
    slow_pq_counts,
)

from pix2seq_d.evaluation import vpq

CODINGS = pytest.mark.parametrize("coding", [CODING, INNER], ids=["above", "inner"])
GROUPS = (("All", "vpq"), ("Things", "vpq_things"), ("Stuff", "vpq_stuff"))


def evaluate(sequences, coding=CODING, **options):
    return vpq.evaluate(sequences, **arguments(coding), **options)


def quality_of(sequences, **options):
    quality = vpq.VideoPanopticQuality(CODING, **options)
    for sequence in sequences:
        quality.update(*sequence)
    return quality


def volumes(count=4, coding=CODING):
    return [(f"s{k}", *random_volume(k, coding)) for k in range(count)]


@pytest.mark.parametrize(
    ("code", "crowd"), [("deeplab2", "segment"), ("vps_official", "crowd")]
)
def test_golden_values_of_both_codes(shared, code, crowd):
    folder = shared / "reference/metrics/vpq/main"
    coding, sequences, expected = read_fixture(folder)
    result = evaluate(sequences, coding, crowd=crowd)
    pairs = [(result, expected[code]["all_sequences"])]
    pairs += [
        (result["per_sequence"][name], row)
        for name, row in expected[code]["per_sequence"].items()
    ]
    assert len(result["per_sequence"]) == len(pairs) - 1
    for name, gt, _ in sequences:
        assert result["per_sequence"][name]["frames"] == len(gt)
    for found, row in pairs:
        for group, key in GROUPS:
            mean = row["mean_pq_over_k"][group]
            assert found[key] == pytest.approx(mean, abs=1e-9), key
        assert found["vpq_k"].keys() == {int(k) for k in row["k"]}
        for k, official in row["k"].items():
            ours = found["vpq_k"][int(k)]
            assert ours["windows"] == official["windows"]
            for group, _ in GROUPS:
                assert ours[group] == pytest.approx(official[group], abs=1e-9)
            assert len(ours["per_class"]) == len(official["per_class"])
            for category, values in official["per_class"].items():
                other = ours["per_class"][int(category)]
                for name, value in values.items():
                    # The class has no count where it is None.
                    number = 0.0 if value is None else value
                    assert other[name] == pytest.approx(number, abs=1e-9)
                assert other["n"] == (values["pq"] is not None)


@CODINGS
@pytest.mark.parametrize("crowd", ["crowd", "segment"])
def test_equals_its_definition_by_masks(coding, crowd):
    sequences = volumes(3, coding)
    result = evaluate(sequences, coding, crowd=crowd, window_sizes=(1, 3))
    for k in (1, 3):
        total = {c: [0, 0, 0, 0] for c in range(coding.num_classes)}
        for _, gt, pred in sequences:
            for t in range(len(gt) - k + 1):
                window = slow_pq_counts(
                    gt[t : t + k], pred[t : t + k], coding, crowd_rule=crowd
                )
                for category, row in window.items():
                    total[category] = [
                        a + b for a, b in zip(total[category], row, strict=True)
                    ]
        rows = result["vpq_k"][k]["per_class"]
        assert list(rows) == [c for c in total if c != coding.ignore_label]
        for category, row in rows.items():
            iou_sum, tp, fp, fn = total[category]
            assert (row["tp"], row["fp"], row["fn"]) == (tp, fp, fn)
            assert row["iou_sum"] == pytest.approx(float(iou_sum), abs=1e-12)
        assert sum(row["tp"] for row in rows.values()) > 5
    pqs = [result["vpq_k"][k]["All"]["pq"] for k in (1, 3)]
    assert result["vpq"] == pytest.approx(sum(pqs) / 2, abs=1e-15)
    assert 0.1 < result["vpq"] < 0.9


def test_a_window_is_one_volume():
    # An object that changes its number: right in each frame, half wrong in pairs.
    gt = np.array([[[21, 21]], [[21, 21]]])
    pred = np.array([[[21, 21]], [[22, 22]]])
    result = evaluate([("a", gt, pred)], window_sizes=(1, 2))
    assert result["vpq_k"][1]["All"]["pq"] == 1
    row = result["vpq_k"][2]["per_class"][2]
    assert (row["tp"], row["fp"], row["fn"]) == (0, 2, 1)
    assert result["vpq"] == 0.5


def test_crowd_is_excused_or_a_segment():
    gt = np.array([[[20, 20, 0, 0]]])
    pred = np.array([[[21, 21, 0, 0]]])
    expected = {"crowd": (0, 0, 0), "segment": (1, 0, 0)}
    for crowd, counts in expected.items():
        result = evaluate([("a", gt, pred)], crowd=crowd, window_sizes=(1,))
        row = result["vpq_k"][1]["per_class"][2]
        assert (row["tp"], row["fp"], row["fn"]) == counts


@CODINGS
def test_equal_maps_give_one_and_disjoint_maps_zero(coding):
    gt, _ = random_volume(0, coding)
    result = evaluate([("a", gt, gt)], coding, crowd="segment")
    assert [result[key] for _, key in GROUPS] == [1, 1, 1]
    gt[gt // coding.label_divisor == coding.ignore_label] = 0
    other = np.where(gt // coding.label_divisor == 0, 10, 0)
    assert evaluate([("a", gt, other)], coding)["vpq"] == 0


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


def test_state_survives_json_and_pickle():
    quality = quality_of(volumes(), crowd="segment", window_sizes=(1, 4))
    text = json.dumps(quality.to_json())
    copy = vpq.VideoPanopticQuality.from_json(json.loads(text))
    assert copy.result() == pickle.loads(pickle.dumps(quality)).result()
    copy.update("more", *random_volume(9))
    assert copy.result()["vpq"] != quality.result()["vpq"]


def test_short_sequences_have_no_window_and_say_so():
    gt, pred = random_volume(2)
    short = ("short", gt[:2], pred[:2])
    result = evaluate([("a", gt, pred), short])
    for k, names in ((1, []), (2, []), (3, ["short"]), (4, ["short"])):
        assert result["vpq_k"][k]["sequences_too_short"] == names
    assert result["vpq_k"][3]["windows"] == 3
    assert result["vpq_k"][4]["All"] == evaluate([("a", gt, pred)])["vpq_k"][4]["All"]
    row = result["per_sequence"]["short"]
    assert (row["frames"], row["vpq"], row["vpq_things"]) == (2, None, None)
    assert row["vpq_k"][2]["windows"] == 1
    assert 0 < evaluate([short], window_sizes=(1, 2))["vpq"] < 1


def test_a_size_without_a_window_leaves_only_the_mean_undefined():
    short = [(name, gt[:2], pred[:2]) for name, gt, pred in volumes(2)]
    result = evaluate(short)
    defined = evaluate(short, window_sizes=(1, 2))
    assert [result[key] for _, key in GROUPS] == [None] * 3
    for k in (1, 2):
        assert result["vpq_k"][k] == defined["vpq_k"][k]
        assert 0 < result["vpq_k"][k]["All"]["pq"] < 1
    for k in (3, 4):
        row = result["vpq_k"][k]
        assert (row["windows"], row["sequences_too_short"]) == (0, ["s0", "s1"])
        assert [row[group]["n"] for group, _ in GROUPS] == [0, 0, 0]
        assert not any(entry["n"] for entry in row["per_class"].values())


def test_no_window_of_any_size_is_refused():
    message = r"longest sequence has 5 frames, .* of 6; give smaller window_sizes"
    with pytest.raises(ValueError, match=message):
        evaluate(volumes(2), window_sizes=(9, 6))


def test_groups_without_a_class_have_no_mean():
    stuff = np.zeros((1, 2, 2), int)
    result = evaluate([("a", stuff, stuff)], window_sizes=(1,))
    assert (result["vpq"], result["vpq_things"], result["vpq_stuff"]) == (1, None, 1)


GOOD = np.zeros((2, 3, 4), np.int32)


def test_bad_input_is_refused_and_adds_nothing():
    quality = quality_of([("b", GOOD, GOOD)], window_sizes=(1,))
    wrong = GOOD.copy()
    wrong[1, 0, 0] = 95
    for name, pred, message in (
        ("a", wrong, "sequence a, frame 1: the prediction holds classes 9, not 0..4"),
        ("a", GOOD[:, :2], "sequence a, frame 0: the prediction has 4x2 pixels"),
        ("a", GOOD * 0.5, "sequence a, frame 0: the prediction is float64"),
        ("b", GOOD, "sequence b: was added before; add it once, with all its frames"),
    ):
        with pytest.raises(ValueError, match=message):
            quality.update(name, GOOD, pred)
    assert list(quality.result()["per_sequence"]) == ["b"]
    with pytest.raises(ValueError, match="both accumulators have sequence b; a seq"):
        quality.merge(quality_of([("b", GOOD, GOOD)], window_sizes=(1,)))
    with pytest.raises(ValueError, match="different label codings, window_sizes or"):
        quality.merge(quality_of([], window_sizes=(1, 2)))


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="no sequences were added; add at least one"):
        evaluate([])
    with pytest.raises(ValueError, match="sequence a: has no frames; leave it out"):
        vpq.VideoPanopticQuality(CODING).update_frames("a", [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_sizes": ()}, r"window_sizes is \(\); give different numbers"),
        ({"window_sizes": (1, 0)}, r"window_sizes is \(1, 0\); give different"),
        ({"window_sizes": (2, 2)}, r"window_sizes is \(2, 2\); give different"),
        ({"crowd": "void"}, r"crowd is 'void'; choose one of \('crowd', 'segment'\)"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate([], **options)
