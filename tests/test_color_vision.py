import numpy as np
import pytest

from pix2seq_d import color_vision

GREYS = np.array([[0] * 3, [60] * 3, [119] * 3, [255] * 3])


def test_greys_look_the_same_with_every_vision():
    seen = color_vision.seen(GREYS)
    np.testing.assert_allclose(seen, np.broadcast_to(seen[:1], seen.shape), atol=1e-3)
    # A grey has no hue, black and white end the scale.
    np.testing.assert_allclose(seen[..., 1:], 0, atol=1e-3)
    np.testing.assert_allclose(seen[0, [0, -1], 0], [0, 1], atol=1e-6)


def test_oklab_of_the_primaries():
    """Values of the author's table (bottosson.github.io/posts/oklab)."""
    seen = color_vision.seen(np.diag([255] * 3))[0]
    expected = [[0.628, 0.225, 0.126], [0.866, -0.234, 0.179], [0.452, -0.032, -0.312]]
    np.testing.assert_allclose(seen, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("vision", "axis"), [("protanopia", 1), ("deuteranopia", 1), ("tritanopia", 2)]
)
def test_blindness_takes_one_axis_of_colour(vision, axis):
    """Red to green (1), or blue to yellow (2): what is left of it is little."""
    rng = np.random.default_rng(0)
    seen = color_vision.seen(rng.integers(0, 256, (500, 3)))
    spread = seen[..., axis].std(1)
    assert spread[color_vision.VISIONS.index(vision)] < 0.5 * spread[0]


def test_luminance_is_that_of_wcag():
    found = color_vision.luminance(np.array([[255, 255, 255], [119, 119, 119]]))
    # The best known grey of 4.48 : 1 on white.
    assert found[0] == pytest.approx(1)
    assert 1.05 / (found[1] + 0.05) == pytest.approx(4.48, abs=0.005)


def test_with_lightness_keeps_the_hue_and_stays_in_srgb():
    for rgb in ((200, 40, 60), (0, 112, 0), (33, 27, 167), (128, 128, 128)):
        before = color_vision.seen(np.array(rgb))[0]
        for lightness in (0.3, 0.6, 0.9):
            made = color_vision.with_lightness(np.array(rgb), lightness)
            after = color_vision.seen(made)[0]
            assert after[0] == pytest.approx(lightness, abs=0.006)  # 8 bits
            chroma = np.linalg.norm((before[1:], after[1:]), axis=1)
            assert chroma[1] <= chroma[0] + 0.005
            cross = np.cross((*before[1:], 0), (*after[1:], 0))[2]
            assert abs(cross) <= 0.02 * max(chroma[0], 0.1)
