import itertools

import numpy as np

from pix2seq_d import color_vision
from pix2seq_d.evaluation.error_map import CORRECT, OUTCOMES
from pix2seq_d.visualize.error_map import error_legend, error_panel
from pix2seq_d.visualize.legend import draw_legend

WRONG = [code for code, name in enumerate(OUTCOMES) if name != CORRECT]


def squares() -> np.ndarray:
    """All outcomes from left to right, 48 pixels each."""
    return np.repeat(np.arange(len(OUTCOMES), dtype=np.uint8), 48)[None].repeat(48, 0)


def drawn() -> list[np.ndarray]:
    image = np.full((48, 48 * len(OUTCOMES), 3), 100, np.uint8)
    panel = error_panel(image, squares(), size=image.shape[:2])
    assert panel.dtype == np.uint8 and panel.shape == image.shape
    return np.split(panel, len(OUTCOMES), axis=1)


def test_right_pixels_are_the_faded_photo_in_grey():
    found = drawn()[OUTCOMES.index(CORRECT)]
    assert (found == 177).all()  # half of 100 and half white


def test_kinds_differ_in_colour_or_lines_for_every_reader():
    """In mean colour by five times what can be noticed, or in where the lines are."""
    pictures = drawn()
    means = np.array([p.mean((0, 1)) for p in pictures])
    lines = [(p != p[2, 4]).any(-1) for p in pictures]
    for a, b in itertools.combinations(WRONG, 2):
        apart = color_vision.distance(means[a], means[b]).min() >= 0.1
        other_lines = (lines[a] != lines[b]).mean() > 0.1
        assert apart or other_lines, (OUTCOMES[a], OUTCOMES[b])


def test_photo_shines_through_and_the_map_may_be_smaller():
    image = np.zeros((48, 48 * len(OUTCOMES), 3), np.uint8)
    image[:24] = 255
    size = image.shape[:2]
    panel = error_panel(image, squares(), size=size).astype(int)
    assert (panel[4:20].mean((0, 2)) > panel[28:44].mean((0, 2))).all()
    small = error_panel(image, squares()[::4, ::4], size=size)
    np.testing.assert_array_equal(small, panel)


def test_the_legend_names_what_occurs_as_it_is_drawn():
    entries = error_legend([squares()[:, :96], squares()[:, 144:192]])
    assert [e.name for e in entries] == ["ignored", "wrong class"]
    assert error_legend([squares()[:, 48:96]]) == []
    for entry, code in zip(error_legend([squares()]), WRONG, strict=True):
        swatch = draw_legend([entry], font_size=16, height=40)
        base = error_panel(
            np.full((8, 8, 3), 255, np.uint8), np.full((8, 8), code), size=(8, 8)
        )[2, 4]
        pure = {tuple(p) for p in swatch[8:26, 18:38].reshape(-1, 3).tolist()}
        # The panel has white of the photo in it, a quarter or less.
        assert min(np.abs(np.array(p) - base).max() for p in pure) <= 64
