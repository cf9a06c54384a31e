import itertools

import numpy as np
import pytest

from pix2seq_d import color_vision
from pix2seq_d.data import label_spaces
from pix2seq_d.data.shapes import LABEL_SPACE as SHAPES
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.palette import distinct_colors
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.colors import (
    NUM_SHADES,
    contrasting,
    match_segments,
    segment_colors,
    shade,
    shades_of,
)

SPACE = LabelSpace(
    (
        Category(7, "sky", False, (60, 120, 200)),
        Category(3, "car", True, (200, 40, 60)),
        Category(9, "boat", True, (40, 160, 90)),
    )
)


def cars_in_a_row(n: int) -> PanopticMap:
    ids = np.repeat(np.arange(1, n + 1, dtype=np.int32), 10)[None].repeat(10, 0)
    return PanopticMap(ids, tuple(Segment(k, 3) for k in range(1, n + 1)))


@pytest.mark.parametrize(
    "color", [*distinct_colors(12), (0, 0, 0), (255, 255, 255), (128, 128, 128)]
)
def test_shades_of_any_colour_differ(color):
    made = np.array(shades_of(color))
    distance = color_vision.distance(made[:, None], made).min(0)
    assert shade(color, 0) == color
    # 0.02 can just be noticed; steps are 0.04, less than that with some blindness.
    assert distance[~np.eye(NUM_SHADES, dtype=bool)].min() >= 0.024
    in_a_row = distance[range(2), range(1, 3)]
    assert in_a_row.min() >= 0.048
    assert shade(color, NUM_SHADES + 2) == shade(color, 2)


@pytest.mark.parametrize(
    ("palette", "least"),
    [
        # Share of shades nearest to their own class: normal, protanopia,
        # deuteranopia, tritanopia. The official colours overlap by themselves.
        ([c.color for c in SHAPES.categories], (0.95, 0.77, 0.77, 0.77)),
        (distinct_colors(10), (0.94, 0.85, 0.85, 0.85)),
        (distinct_colors(5), (1, 1, 0.96, 1)),
    ],
)
def test_shades_stay_with_their_class(palette, least):
    made = np.array([shades_of(color) for color in palette])  # [K, NUM_SHADES, 3]
    distance = color_vision.distance(made[:, :, None], np.array(palette))
    own = distance.argmin(-1) == np.arange(len(palette))[:, None]
    assert (own.mean((1, 2)) >= least).all(), own.mean((1, 2))


@pytest.mark.parametrize("name", label_spaces.NAMES)
def test_text_and_lines_have_contrast_on_any_class(name):
    """WCAG 2.1 asks 3 of lines and large text."""
    for category in label_spaces.read(name).categories:
        for color in shades_of(category.color):
            pair = np.array([color, contrasting(color)])
            dark, bright = sorted(color_vision.luminance(pair))
            assert (bright + 0.05) / (dark + 0.05) >= 3


def test_stuff_and_first_thing_have_the_class_colour_and_void_is_black():
    ids = np.array([[0, 1, 1], [0, 2, 2]], np.int32)
    panoptic = PanopticMap(ids, (Segment(1, 7), Segment(2, 3)))
    colors = segment_colors(panoptic, SPACE)
    assert colors == {0: (0, 0, 0), 1: (60, 120, 200), 2: (200, 40, 60)}


def test_touching_instances_differ_even_past_the_number_of_shades():
    colors = segment_colors(cars_in_a_row(30), SPACE)
    row = [colors[k] for k in range(1, 31)]
    assert all(a != b for a, b in itertools.pairwise(row))
    assert all(a != b for a, b in zip(row, row[2:], strict=False))
    assert len(set(row)) == NUM_SHADES


def test_colours_do_not_depend_on_the_numbering_of_ids():
    panoptic = cars_in_a_row(9)
    renumber = np.array([0, 50, 3, 17, 4, 99, 1, 2, 60, 8])
    other = PanopticMap(
        renumber[panoptic.ids], tuple(Segment(int(k), 3) for k in renumber[1:])
    )
    first, second = segment_colors(panoptic, SPACE), segment_colors(other, SPACE)
    assert [first[k] for k in range(1, 10)] == [second[k] for k in renumber[1:]]


def test_match_needs_the_class_and_more_than_half_iou():
    truth = cars_in_a_row(4)
    # Segment 5 is car 1 exactly; 6 is car 2 as a boat; 7 covers two thirds of
    # car 3's union; 8 has IoU exactly 1/2 with car 4.
    ids = np.zeros((10, 40), np.int32)
    ids[:, :10], ids[:, 10:20], ids[:, 20:27], ids[:, 35:] = 5, 6, 7, 8
    segments = (Segment(5, 3), Segment(6, 9), Segment(7, 3), Segment(8, 3))
    assert match_segments(PanopticMap(ids, segments), truth, SPACE) == {5: 1, 7: 3}


def test_matched_prediction_takes_the_shade_of_the_truth():
    truth = cars_in_a_row(6)
    segments = tuple(Segment(k, 3) for k in range(1, 5))
    # Cars 3 ... 6 only: on their own they would get other shades.
    kept = PanopticMap(np.maximum(truth.ids - 2, 0), segments)
    of_truth = segment_colors(truth, SPACE)
    matched = segment_colors(kept, SPACE, reference=truth)
    assert [matched[k] for k in range(1, 5)] == [of_truth[k] for k in range(3, 7)]
    alone = segment_colors(kept, SPACE)
    assert alone != matched


def test_unmatched_prediction_avoids_the_shades_beside_it():
    truth = cars_in_a_row(3)
    ids = truth.ids.copy()
    ids[:, 20:26], ids[:, 26:] = 3, 4  # car 3 split: 3 matches, 4 does not
    prediction = PanopticMap(ids, tuple(Segment(k, 3) for k in range(1, 5)))
    colors = segment_colors(prediction, SPACE, reference=truth)
    assert len({colors[k] for k in range(1, 5)}) == 4


def test_reference_of_another_size_matches():
    truth = cars_in_a_row(4)
    small = PanopticMap(truth.ids[::2, ::2], truth.segments)
    assert match_segments(small, truth, SPACE) == {1: 1, 2: 2, 3: 3, 4: 4}


def test_bad_maps_are_named():
    ids = np.array([[1, 2]], np.int32)
    with pytest.raises(ValueError, match="id 2 of the map is not among its segments"):
        segment_colors(PanopticMap(ids, (Segment(1, 7),)), SPACE)
    with pytest.raises(ValueError, match="segment 2 has category id 8"):
        segment_colors(PanopticMap(ids, (Segment(1, 7), Segment(2, 8))), SPACE)
