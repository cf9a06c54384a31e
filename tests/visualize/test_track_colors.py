import itertools

import numpy as np
import pytest
from track_maps import CAR, SPACE, frame

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.palette import distinct_colors
from pix2seq_d.visualize.colors import NUM_SHADES
from pix2seq_d.visualize.track_colors import track_color, track_colors


def test_a_tracks_colour_does_not_depend_on_the_frame():
    alone = track_colors(frame((2, 4)), SPACE)
    crowded = track_colors(frame((2, 1), (2, 2), (5, 3), (2, 4)), SPACE)
    assert alone[1204] == crowded[1204] == track_color(SPACE, CAR, 4)
    assert len(set(crowded.values())) == 5
    assert crowded[1] == (40, 90, 220)


@pytest.mark.parametrize("color", [*distinct_colors(8), (238, 238, 238)])
def test_numbers_in_a_row_have_colours_apart(color):
    space = LabelSpace((Category(1, "car", True, color),))
    colors = np.array([track_color(space, 1, n) for n in range(1, 30)])
    for a, b in itertools.pairwise(colors.astype(int)):
        assert np.abs(a - b).sum() >= 25
    np.testing.assert_array_equal(colors[0], color)
    assert len(np.unique(colors, axis=0)) == NUM_SHADES


def test_void_is_black_and_a_thing_without_number_has_the_class_colour():
    colors = track_colors(frame((2, None), sky=False), SPACE)
    assert colors == {0: (0, 0, 0), 1200: (220, 40, 40)}
