"""Instance ids: numbers by area or the dataset's own, and each dataset's rule."""

import numpy as np
import pytest

from pix2seq_d.instance_ids import (
    CITYSCAPES,
    DAVIS,
    KITTI_STEP,
    IdRule,
    number,
)
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

SPACE = LabelSpace(
    (
        Category(id=7, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=3, name="door", is_thing=True, color=(255, 0, 0)),
    )
)
# Areas: 90 sky 5, 41 door 2, 8 door 3, 12 door 1, 4 void.
IDS = np.array([[90, 90, 90, 90, 90], [41, 41, 8, 8, 8], [12, 0, 0, 0, 0]], np.int32)
SEGMENTS = (Segment(90, 7), Segment(41, 3), Segment(8, 3), Segment(12, 3))
MAP = PanopticMap(IDS, SEGMENTS)
CROWD = PanopticMap(
    IDS, (Segment(90, 7), Segment(41, 3), Segment(8, 3, True), Segment(12, 3))
)


def one(frame, **options):
    """{segment id: (semantic, instance)} of one image, and the rest."""
    options = {"max_instances": 101, **options}
    found = number([frame], SPACE, **options)
    labels = found.labels(frame.ids)
    assert labels.dtype == np.int32 and labels.shape == (*frame.ids.shape, 2)
    pairs = {
        int(i): {tuple(p) for p in labels[frame.ids == i].tolist()}
        for i in np.unique(frame.ids)
    }
    assert all(len(p) == 1 for p in pairs.values())
    return {i: p.pop() for i, p in pairs.items()}, found


def test_instances_are_numbered_by_falling_area():
    labels, found = one(MAP)
    assert labels == {90: (1, 1), 8: (2, 2), 41: (2, 3), 12: (2, 4), 0: (0, 0)}
    assert (found.id_range, found.num_dropped) == (100, 0)


def test_overflow_drops_the_smallest_segments_and_counts_them():
    labels, found = one(MAP, max_instances=3)
    assert labels == {90: (1, 1), 8: (2, 2), 41: (0, 0), 12: (0, 0), 0: (0, 0)}
    assert (found.id_range, found.num_dropped) == (2, 2)


def test_stuff_without_ids_takes_none():
    labels, _ = one(MAP, rule=IdRule(stuff=False), max_instances=4)
    assert labels == {90: (1, 0), 8: (2, 1), 41: (2, 2), 12: (2, 3), 0: (0, 0)}


@pytest.mark.parametrize(
    ("crowd", "expected"), [("void", (0, 0)), ("segment", (2, 2)), ("class", (2, 0))]
)
def test_crowd_is_void_a_segment_or_its_class(crowd, expected):
    labels, _ = one(CROWD, rule=IdRule(crowd=crowd))
    assert labels[8] == expected
    others = sorted(v for k, v in labels.items() if k not in (0, 8))
    start = 3 if crowd == "segment" else 2
    assert others == [(1, 1), (2, start), (2, start + 1)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("random", 100), ("shuffle", 4), ("distinct", 5), ("none", 0), ("place", 0)],
)
def test_the_range_that_ids_are_drawn_from(order, expected):
    assert one(MAP, rule=IdRule(order=order))[1].id_range == expected


def test_distinct_ids_are_no_more_than_the_model_has():
    assert one(MAP, rule=IdRule(order="distinct"), max_instances=4)[1].id_range == 3


def test_cityscapes():
    """Every label has an id, groups too; void counts for the range (spec 1.2)."""
    labels, found = one(CROWD, rule=CITYSCAPES)
    assert labels == {90: (1, 1), 8: (2, 2), 41: (2, 3), 12: (2, 4), 0: (0, 0)}
    assert found.id_range == 5


def test_kitti_step():
    """Own track numbers, shared between classes; stuff and groups have id 0."""
    frame = PanopticMap(
        IDS,
        (
            Segment(90, 7, instance=0),
            Segment(41, 3, instance=17),
            Segment(8, 3, True, instance=0),
            Segment(12, 3, instance=2),
        ),
    )
    labels, found = one(frame, rule=KITTI_STEP, max_instances=256)
    assert labels == {90: (1, 0), 41: (2, 17), 8: (2, 0), 12: (2, 2), 0: (0, 0)}
    assert found.id_range == 17


def test_own_number_0_is_none():
    frame = PanopticMap(IDS, (Segment(90, 7, instance=0), *SEGMENTS[1:]))
    labels, _ = one(frame, rule=IdRule(own=True))
    assert labels == one(MAP)[0]


def test_davis():
    """Things without classes."""
    frame = PanopticMap(
        np.array([[0, 5, 2]], np.int32),
        (Segment(5, 3, instance=5), Segment(2, 3, instance=2)),
    )
    labels, found = one(frame, rule=DAVIS, max_instances=16)
    assert labels == {0: (0, 0), 5: (0, 5), 2: (0, 2)}
    assert found.id_range == 5


def test_own_numbers_that_do_not_fit_take_the_smallest_free():
    numbers = {90: 300, 41: 1, 8: 4, 12: 301}
    frame = PanopticMap(
        IDS, tuple(Segment(i, 3, instance=n) for i, n in numbers.items())
    )
    labels, found = one(frame, rule=KITTI_STEP, max_instances=5)
    assert {i: n for i, (_, n) in labels.items()} == {90: 2, 41: 1, 8: 4, 12: 3, 0: 0}
    labels, found = one(frame, rule=KITTI_STEP, max_instances=4)
    # 8 is the larger of the two that are left with one number, 41 keeps its own.
    assert {i: n for i, (_, n) in labels.items()} == {90: 2, 41: 1, 8: 3, 12: 0, 0: 0}
    assert found.num_dropped == 1 and labels[12] == (0, 0)


def test_a_clip_shares_its_numbers_and_drops_by_the_area_of_all_frames():
    first = PanopticMap(np.array([[5, 5, 0, 0]], np.int32), (Segment(5, 3),))
    second = PanopticMap(
        np.array([[9, 9, 9, 5]], np.int32), (Segment(5, 3), Segment(9, 3))
    )
    third = PanopticMap(
        np.array([[2, 9, 0, 0]], np.int32), (Segment(2, 7), Segment(9, 3))
    )
    found = number([first, second, third], SPACE, max_instances=3)
    labels = found.labels(np.stack([first.ids, second.ids, third.ids]))
    assert labels[:, 0, :, 1].tolist() == [[2, 2, 0, 0], [1, 1, 1, 2], [0, 1, 0, 0]]
    assert found.num_dropped == 1 and not labels[2, 0, 0].any()


def test_undescribed_ids_and_categories_are_named():
    with pytest.raises(ValueError, match="id 12 of the map"):
        one(PanopticMap(IDS, SEGMENTS[:3]))
    with pytest.raises(ValueError, match="segment 12 has unknown category id 99"):
        one(PanopticMap(IDS, (*SEGMENTS[:3], Segment(12, 99))))


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match=r"crowd='ignore': choose one of \('void'"):
        IdRule(crowd="ignore")
    with pytest.raises(ValueError, match="order='area': choose one of"):
        IdRule(order="area")
