"""Id switches: counted by hand, and against matches found by boolean masks."""

import json
import pickle

import numpy as np
import pytest
from volumes import CODING, INNER, random_volume, rename

from pix2seq_d.evaluation.id_switches import IdSwitches

CODINGS = pytest.mark.parametrize("coding", [CODING, INNER], ids=["above", "inner"])


def count(gt, pred, coding=CODING):
    """(switches, matches) of one sequence."""
    counter = IdSwitches(coding)
    counter.update("a", np.array(gt), np.array(pred))
    result = counter.result()
    return result["switches"], result["matches"]


def rows(*frames):
    """[T, 1, W] of frames that are rows."""
    return np.array(frames)[:, None]


def renumbered(seed, coding=CODING):
    """Truth, and a prediction whose ids change from frame 6 on."""
    gt, pred = random_volume(seed, coding, shape=(12, 16, 16))
    is_early = np.arange(12)[:, None, None] < 6
    return gt, np.where(is_early, pred, rename(pred, coding, 1))


def counted(names):
    counter = IdSwitches(CODING)
    for name in names:
        counter.update(f"s{name}", *renumbered(name))
    return counter


def slow(gt, pred, coding):
    """Switches and matches by the definition, one mask at a time."""
    last, switches, matches = {}, 0, 0
    for truth, found in zip(gt, pred, strict=True):
        void = truth // coding.label_divisor == coding.ignore_label
        for g in np.unique(truth).tolist():
            kind, instance = divmod(g, coding.label_divisor)
            if kind not in coding.things or instance == 0:
                continue
            for p in np.unique(found).tolist():
                if p // coding.label_divisor != kind:
                    continue
                mask = (found == p) & ~void
                union = ((truth == g) | mask).sum()
                if ((truth == g) & mask).sum() > union / 2:
                    matches += 1
                    switches += g in last and last[g] != p
                    last[g] = p
    return switches, matches


@CODINGS
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_definition_by_masks(coding, seed):
    gt, pred = renumbered(seed, coding)
    expected = slow(gt, pred, coding)
    assert count(gt, pred, coding) == expected
    assert 0 < expected[0] < expected[1]


def test_a_constant_number_is_no_switch_whatever_it_is():
    gt = rows([21, 21, 22, 22], [22, 22, 21, 21])
    pred = rows([27, 27, 21, 21], [21, 21, 27, 27])
    assert count(gt, pred) == (0, 4)


def test_two_things_that_swap_their_numbers_are_two_switches():
    gt = rows([21, 21, 22, 22], [21, 21, 22, 22], [21, 21, 22, 22])
    pred = rows([21, 21, 22, 22], [22, 22, 21, 21], [22, 22, 21, 21])
    assert count(gt, pred) == (2, 6)


def test_there_and_back_is_two_switches():
    gt = rows([21], [21], [21])
    assert count(gt, rows([21], [25], [21])) == (2, 3)


def test_frames_without_match_do_not_make_it_forget():
    gt = rows([21, 0], [0, 0], [21, 0], [21, 0])
    missed = rows([21, 0], [0, 0], [0, 0], [22, 0])
    assert count(gt, missed) == (1, 2)
    assert count(gt, np.where(missed == 22, 21, missed)) == (0, 2)


def test_half_an_overlap_is_no_match():
    gt = rows([21, 21, 0], [21, 21, 0], [21, 21, 21])
    pred = rows([21, 21, 0], [22, 0, 0], [22, 22, 0])
    assert count(gt, pred) == (1, 2)


def test_another_class_is_no_match():
    assert count(rows([21], [21]), rows([21], [31])) == (0, 1)


def test_stuff_and_crowds_are_not_tracked():
    gt = rows([1, 20], [1, 20])
    assert count(gt, rows([1, 21], [1, 22])) == (0, 0)


def test_void_pixels_of_the_truth_do_not_spoil_a_match():
    gt = rows([21, 2550, 2550, 2550])
    assert count(gt, rows([22, 22, 22, 22])) == (0, 1)
    assert count(np.where(gt == 2550, 0, gt), rows([22, 22, 22, 22])) == (0, 0)


def test_a_predicted_thing_with_number_0_is_a_segment():
    assert count(rows([21], [21]), rows([20], [21])) == (1, 2)


def test_rates_are_those_of_the_frames_and_not_means_over_sequences():
    counter = IdSwitches(CODING)
    counter.update("long", rows(*[[21]] * 9), rows(*[[21]] * 9))
    counter.update("short", rows([21]), rows([21]))
    counter.update("short", rows([21]), rows([22]))
    result = counter.result()
    assert (result["switches"], result["frames"], result["matches"]) == (1, 11, 11)
    assert result["switches_per_100_frames"] == pytest.approx(100 / 11)
    assert result["per_sequence"] == {
        "long": {
            "switches": 0,
            "matches": 9,
            "frames": 9,
            "switches_per_100_frames": 0.0,
        },
        "short": {
            "switches": 1,
            "matches": 2,
            "frames": 2,
            "switches_per_100_frames": 50.0,
        },
    }


def test_frames_may_come_in_parts_but_in_order():
    gt, pred = renumbered(0)
    parts = IdSwitches(CODING)
    for part in (slice(0, 5), slice(5, 6), slice(6, 12)):
        parts.update("a", gt[part], pred[part])
        # What it remembers survives, too.
        parts = IdSwitches.from_json(json.loads(json.dumps(parts.to_json())))
    whole = parts.result()
    assert (whole["switches"], whole["matches"]) == count(gt, pred)
    assert whole["switches"] > 0


def test_merge_order_and_pickle_give_the_same_result():
    whole = counted(range(6))
    parts = [counted(range(k, 6, 3)) for k in (2, 0, 1)]
    parts[0].merge(parts[1])
    parts[2].merge(pickle.loads(pickle.dumps(parts[0])))
    assert parts[2].result() == whole.result()
    assert whole.result()["switches"] > 0


def test_merge_of_parts_of_one_sequence_or_other_labels_is_refused():
    counter = counted([0, 1])
    with pytest.raises(ValueError, match="both accumulators have sequence s1; add all"):
        counter.merge(counted([1]))
    with pytest.raises(ValueError, match="different label codings"):
        counter.merge(IdSwitches(INNER))
    assert sorted(counter.result()["per_sequence"]) == ["s0", "s1"]


def test_an_empty_set_is_refused():
    counter = IdSwitches(CODING)
    with pytest.raises(ValueError, match="no frames were added; add at least one"):
        counter.result()
    with pytest.raises(ValueError, match="sequence a: has no frames; leave it out"):
        counter.update_frames("a", [])


def test_bad_labels_are_refused_and_add_nothing():
    counter = counted([0])
    before = counter.to_json()
    bad = np.full((2, 3, 4), 95)
    bad[0] = 21
    with pytest.raises(ValueError, match="sequence s0, frame 13: the prediction holds"):
        counter.update("s0", np.full_like(bad, 21), bad)
    assert counter.to_json() == before
