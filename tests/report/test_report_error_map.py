"""What each pixel and each segment of two maps is said to be."""

import numpy as np
import pytest
from panoptic_maps import CATEGORIES, DOOR, SKY, TREE, random_pair, strip

from pix2seq_d.evaluation import error_map as error_map_of_pixels
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.diagnosis import diagnose
from pix2seq_d.evaluation.error_kinds import KINDS
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.report.error_map import Verdict, error_map
from pix2seq_d.report.outcomes import OUTCOMES

SPACE = Categories.of(CATEGORIES)


def test_every_kind_of_error_has_its_own_colour_and_pattern():
    shown = OUTCOMES[3:]
    assert tuple(outcome.name for outcome in shown) == KINDS
    for values in ([o.color for o in shown], [o.pattern for o in shown]):
        assert len(set(values)) == len(KINDS)


def outcomes(truth, found):
    """Runs of outcomes along a strip, and the verdicts."""
    made = error_map(truth, found, SPACE)
    names = [OUTCOMES[code].name for code in made.outcome[0]]
    runs = [[names[0], 0]]
    for name in names:
        if name != runs[-1][0]:
            runs.append([name, 0])
        runs[-1][1] += 1
    return [tuple(run) for run in runs], made.truth, made.found


def test_a_match_and_its_outline():
    truth = strip((5, 1, DOOR), (5, 2, SKY))
    found = strip((4, 9, DOOR), (6, 8, SKY))
    runs, of_truth, of_found = outcomes(truth, found)
    assert runs == [("correct", 4), ("inexact", 1), ("correct", 5)]
    assert of_truth == of_found
    assert of_truth == (Verdict("correct", 4 / 5), Verdict("correct", 5 / 6))


def test_classes_and_what_one_map_lacks():
    truth = strip((5, 1, DOOR), (4, 2, SKY), (3, 3, TREE), (2, 0, None))
    found = strip((5, 1, TREE), (4, 0, None), (3, 3, TREE), (1, 4, DOOR), (1, 0, None))
    runs, of_truth, of_found = outcomes(truth, found)
    # The door on void is no error, and void does not count at all.
    assert runs == [
        ("wrong_class", 5),
        ("missed", 4),
        ("correct", 3),
        ("ignored", 2),
    ]
    assert [v.outcome for v in of_truth] == ["wrong_class", "missed", "correct"]
    assert [v.outcome for v in of_found] == ["wrong_class", "correct", "ignored"]


def test_parts_and_a_crowd():
    truth = strip((9, 1, DOOR), (6, 2, TREE), (3, 3, SKY), crowd=(2,))
    parts = (4, 1, DOOR), (4, 2, DOOR), (1, 0, None)
    found = strip(*parts, (3, 3, TREE), (4, 4, DOOR), (2, 0, None))
    runs, of_truth, of_found = outcomes(truth, found)
    assert runs == [
        ("split", 9),
        ("ignored", 3),
        ("spurious", 3),  # a door, on a crowd of trees
        ("missed", 3),  # stands before spurious in KINDS
    ]
    assert [v.outcome for v in of_truth] == ["split", "ignored", "missed"]
    assert [v.outcome for v in of_found] == ["split", "split", "ignored", "spurious"]


def test_rows_name_the_segments():
    truth = strip((2, 500, DOOR), (1, 0, None), (2, 3, SKY))
    made = error_map(truth, strip((5, 70000, SKY)), SPACE)
    np.testing.assert_array_equal(made.truth_rows[0], [1, 1, 0, 2, 2])
    np.testing.assert_array_equal(made.found_rows[0], [1] * 5)


@pytest.mark.parametrize("seed", range(20))
def test_verdicts_are_those_that_pq_counts(seed):
    truth, found = random_pair(seed)
    made = error_map(truth, found, SPACE)
    overlap = compare(truth, found, SPACE)
    errors = diagnose(overlap, overlap.match())
    for verdicts, counted in ((made.truth, errors.fn), (made.found, errors.fp)):
        for row, kind in enumerate(KINDS):
            said = sum(v.outcome == kind for v in verdicts)
            assert said == counted[row].sum()
        matched = [v.iou for v in verdicts if v.outcome == "correct"]
        assert sum(matched) == pytest.approx(errors.counts.iou_sum.sum())
    is_error = np.isin(made.outcome, range(3, len(OUTCOMES)))
    assert not is_error[truth.ids == 0].any()
    # Each missed segment is seen as an error wherever it is.
    missed = [k + 1 for k, v in enumerate(made.truth) if v.outcome in KINDS]
    assert is_error[np.isin(made.truth_rows, missed)].all()


def test_the_page_knows_every_outcome_by_its_code():
    assert tuple(outcome.name for outcome in OUTCOMES) == error_map_of_pixels.OUTCOMES
