"""Colours of classes: how far apart they are for every reader."""

import numpy as np
import pytest

from pix2seq_d import color_vision
from pix2seq_d.data.shapes import LABEL_SPACE
from pix2seq_d.palette import distinct_colors


def least_distances(colors):
    """The least distance of two of the colours, for each of VISIONS."""
    colors = np.array(colors)
    distance = color_vision.distance(colors[:, None], colors)
    return distance[:, ~np.eye(len(colors), dtype=bool)].min(1)


@pytest.mark.parametrize(
    ("n", "least"), [(5, 0.22), (10, 0.12), (20, 0.07), (133, 0.02)]
)
def test_distinct_colors_are_apart_with_any_vision(n, least):
    colors = distinct_colors(n)
    assert len(set(colors)) == n
    assert least_distances(colors).min() >= least


def test_the_classes_of_shapes_are_apart_with_any_vision():
    found = least_distances([c.color for c in LABEL_SPACE.categories])
    assert found.min() >= 0.11, dict(zip(color_vision.VISIONS, found, strict=True))


def test_a_palette_that_is_not_safe_is_told():
    """Pure red and green of one luminance: far apart, but not for everyone."""
    normal, protanopia, deuteranopia, tritanopia = least_distances(
        [(200, 0, 0), (95, 95, 0)]
    )
    assert min(normal, tritanopia) > 2 * min(protanopia, deuteranopia)


def test_more_colors_do_not_change_the_first():
    assert distinct_colors(5) == distinct_colors(9)[:5]
    assert distinct_colors(0) == []
