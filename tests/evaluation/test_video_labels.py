"""The labels of videos: classes, tracks and void of a truth, and what is refused."""

import numpy as np
import pytest

from pix2seq_d.evaluation.video_labels import (
    DIVISOR,
    code,
    label_coding,
    truth_channels,
    truth_objects,
)
from pix2seq_d.instance_ids import DAVIS, KITTI_STEP
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

SPACE = LabelSpace(
    (
        Category(id=8, name="sky", is_thing=False, color=(0, 0, 1)),
        Category(id=3, name="person", is_thing=True, color=(0, 0, 2)),
        Category(id=4, name="car", is_thing=True, color=(0, 0, 3)),
    )
)


def test_tracks_are_the_numbers_of_the_data_or_the_ids_of_the_map():
    ids = np.array([[0, 5, 7, 9, 11, DIVISOR - 1]], np.int32)
    segments = (
        Segment(5, 8, instance=6),  # of stuff, which has no tracks
        Segment(7, 3, instance=70_000),
        Segment(9, 3, is_crowd=True, instance=3),
        Segment(11, 4, instance=0),
        Segment(DIVISOR - 1, 4),
    )
    panoptic = PanopticMap(ids, segments)
    made = truth_channels(panoptic, SPACE, rule=KITTI_STEP)
    assert made.tolist() == [
        [[0, 0], [1, 0], [2, 70_000], [2, 0], [3, 0], [3, DIVISOR - 1]]
    ]
    made = truth_channels(panoptic, SPACE, rule=DAVIS)
    assert made.tolist() == [
        [[0, 0], [0, 0], [1, 70_000], [0, 0], [1, 0], [1, DIVISOR - 1]]
    ]
    objects = truth_objects(code(made, label_coding(SPACE, DAVIS)), panoptic)
    assert objects.tolist() == [[0, 0, 70_000, 255, 0, DIVISOR - 1]]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (Segment(1, 3, instance=DIVISOR), f"track {DIVISOR} of the truth is not in 0"),
        (Segment(1, 99), "id 1 of the map has no segment of a known category"),
        (Segment(2, 3), "id 1 of the map has no segment of a known category"),
    ],
)
def test_a_truth_that_has_no_label_is_refused(segment, message):
    panoptic = PanopticMap(np.ones((2, 2), np.int32), (segment,))
    with pytest.raises(ValueError, match=message):
        truth_channels(panoptic, SPACE, rule=KITTI_STEP)


def test_void_lies_above_the_classes_however_many_there_are():
    many = LabelSpace(
        tuple(Category(k, f"c{k}", k % 2 == 0, (0, 0, 0)) for k in range(300))
    )
    assert label_coding(SPACE, KITTI_STEP).ignore_label == 255
    coding = label_coding(many, KITTI_STEP)
    assert (coding.num_classes, coding.ignore_label) == (300, 300)
    channels = np.array([[[0, 9], [1, 9], [256, 9], [257, 9], [300, 9]]], np.int32)
    labels = code(channels, coding)
    assert (labels // DIVISOR).tolist() == [[300, 0, 255, 256, 299]]
    assert (labels % DIVISOR).tolist() == [[0, 9, 0, 9, 0]]
