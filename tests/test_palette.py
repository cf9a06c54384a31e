"""Colours apart for everyone, by simulated colour blindness."""

import itertools

import numpy as np
import pytest

from pix2seq_d import palette
from pix2seq_d.data.shapes import Shapes


def least(colors):
    colors = np.array(colors)
    pairs = np.array(list(itertools.combinations(range(len(colors)), 2)))
    return palette.distance(colors[pairs[:, 0]], colors[pairs[:, 1]]).min()


def test_lightness_runs_from_black_to_white():
    lab = palette.oklab(np.array([(0, 0, 0), (255, 255, 255), (119, 119, 119)]))
    np.testing.assert_allclose(lab[:2, 0], [0, 1], atol=1e-6)
    assert 0.5 < lab[2, 0] < 0.6
    np.testing.assert_allclose(lab[:, 1:], 0, atol=1e-6)  # grey has no colour


@pytest.mark.parametrize(
    ("vision", "pair"),
    [
        ("protanopia", ((186, 30, 30), (80, 82, 0))),
        ("deuteranopia", ((170, 60, 60), (97, 97, 60))),
        ("tritanopia", ((0, 120, 120), (0, 115, 160))),
    ],
)
def test_what_the_colour_blind_confuse_is_near_for_them_alone(vision, pair):
    one, other = map(np.array, pair)
    normal = np.linalg.norm(palette.oklab(one) - palette.oklab(other))
    blind = np.linalg.norm(
        palette.oklab(one, vision=vision) - palette.oklab(other, vision=vision)
    )
    assert blind < 0.6 * normal
    assert palette.distance(one, other) <= blind + 1e-12


# A fifth of the way from black to white, and so on: measured, less a little.
@pytest.mark.parametrize(
    ("n", "bound"), [(5, 0.2), (10, 0.12), (20, 0.065), (40, 0.045)]
)
def test_colours_are_far_apart_for_all_readers(n, bound):
    assert least(palette.distinct_colors(n)) > bound


def test_one_class_more_changes_no_colour():
    assert palette.distinct_colors(30)[:12] == palette.distinct_colors(12)
    assert len(set(palette.distinct_colors(133))) == 133


def test_the_drawn_scenes_have_such_colours():
    assert least(Shapes.label_space.colors[1:]) > 0.07
