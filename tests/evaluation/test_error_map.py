"""What every pixel of two maps is said to be: strips by hand, and random pairs."""

import numpy as np
import pytest
from panoptic_maps import CATEGORIES, DOOR, SKY, TREE, random_pair, strip

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.error_kinds import KINDS, find_errors
from pix2seq_d.evaluation.error_map import OUTCOMES, error_map
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap

SPACE = LabelSpace.from_json(CATEGORIES)


def outcomes(truth, found):
    """The outcomes along a strip, as (name, pixels) of each run."""
    names = [OUTCOMES[code] for code in error_map(truth, found, SPACE)[0]]
    starts = [k for k, name in enumerate(names) if k == 0 or name != names[k - 1]]
    ends = [*starts[1:], len(names)]
    return [(names[a], b - a) for a, b in zip(starts, ends, strict=True)]


def test_a_match_is_correct_where_both_maps_have_it():
    truth = strip((5, 1, DOOR), (5, 2, SKY))
    found = strip((4, 9, DOOR), (6, 8, SKY))
    assert outcomes(truth, found) == [("correct", 4), ("inexact", 1), ("correct", 5)]


def test_what_one_map_lacks_and_what_has_another_class():
    truth = strip((5, 1, DOOR), (4, 2, SKY), (3, 3, TREE), (4, 4, SKY))
    found = strip((5, 1, TREE), (4, 0, None), (3, 3, TREE), (4, 4, DOOR))
    # The last four pixels miss a sky and have a door that is not there: the door's
    # outline fits, so both are of the wrong class.
    assert outcomes(truth, found) == [
        ("wrong_class", 5),
        ("missed", 4),
        ("correct", 3),
        ("wrong_class", 4),
    ]


def test_parts_contents_and_bad_outlines():
    truth = strip((9, 1, DOOR), (3, 2, TREE), (3, 3, TREE), (5, 4, DOOR), (5, 5, SKY))
    parts = (4, 1, DOOR), (4, 2, DOOR), (1, 0, None)
    found = strip(*parts, (6, 3, TREE), (2, 4, DOOR), (8, 5, SKY))
    assert outcomes(truth, found) == [
        ("split", 9),
        ("merged", 6),
        ("low_overlap", 5),  # the sky over it matches, and has too much
        ("correct", 5),
    ]


def test_void_and_crowd_do_not_count_but_errors_on_crowd_show():
    truth = strip((6, 1, TREE), (6, 2, SKY), (4, 0, None), crowd=(1,))
    found = strip((3, 1, TREE), (3, 3, DOOR), (6, 2, SKY), (4, 4, DOOR))
    assert outcomes(truth, found) == [
        ("ignored", 3),
        ("spurious", 3),
        ("correct", 6),
        ("ignored", 4),
    ]


def test_the_first_kind_wins_where_both_segments_are_wrong():
    truth = strip((8, 1, DOOR), (8, 2, SKY))
    found = strip((3, 1, TREE), (5, 0, None), (8, 2, SKY))
    assert outcomes(truth, found) == [("missed", 8), ("correct", 8)]


@pytest.mark.parametrize("seed", range(20))
def test_every_error_is_seen_where_it_is_and_nowhere_else(seed):
    truth, found = random_pair(seed)
    drawn = error_map(truth, found, SPACE)
    assert drawn.dtype == np.uint8
    overlap = compare(truth, found, Categories.of(CATEGORIES))
    errors = find_errors(overlap, overlap.match())
    # By the definition, pixel by pixel.
    wrong = {}
    for maps, kinds, unmatched in (
        (truth, errors.truth_kind, errors.matching.missed),
        (found, errors.found_kind, errors.matching.spurious),
    ):
        for k, segment in enumerate(maps.segments):
            if unmatched[k]:
                wrong[id(maps), segment.id] = KINDS[kinds[k]]
    pairs = {
        (truth.segments[g].id, found.segments[p].id)
        for g, p in zip(errors.matching.truth, errors.matching.found, strict=True)
    }
    crowd = {s.id for s in truth.segments if s.is_crowd}
    for y, x in np.ndindex(drawn.shape):
        ids = int(truth.ids[y, x]), int(found.ids[y, x])
        kinds = [
            wrong[id(m), i]
            for m, i in zip((truth, found), ids, strict=True)
            if (id(m), i) in wrong
        ]
        if ids[0] == 0:
            expected = "ignored"
        elif ids in pairs:
            expected = "correct"
        elif kinds:
            expected = min(kinds, key=KINDS.index)
        else:
            expected = "ignored" if ids[0] in crowd else "inexact"
        assert OUTCOMES[drawn[y, x]] == expected


def test_maps_of_two_sizes_are_refused():
    truth = strip((5, 1, DOOR))
    with pytest.raises(ValueError, match="predict at the truth's size"):
        error_map(truth, PanopticMap(truth.ids[:, :4], truth.segments), SPACE)
