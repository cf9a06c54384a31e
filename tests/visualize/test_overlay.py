import dataclasses

import numpy as np
import pytest

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.overlay import overlay
from pix2seq_d.visualize.panels import widest_spot

SPACE = LabelSpace(
    (
        Category(1, "sky", False, (40, 90, 220)),
        Category(2, "car", True, (220, 40, 40)),
    )
)
IMAGE = np.full((64, 64, 3), 128, np.uint8)


def scene() -> PanopticMap:
    """Sky with a car in the middle and void in the upper left corner."""
    ids = np.full((64, 64), 5, np.int32)
    ids[20:44, 16:48] = 9
    ids[:8, :8] = 0
    return PanopticMap(ids, (Segment(5, 1), Segment(9, 2)))


def test_small_photo_is_enlarged_and_has_a_legend_at_its_right():
    drawn = overlay(IMAGE, scene(), SPACE)
    assert drawn.dtype == np.uint8 and drawn.shape[0] == 512
    assert drawn.shape[1] > 600
    legend = drawn[:, 512:]
    for color in (SPACE.categories[0].color, SPACE.categories[1].color):
        assert (legend == color).all(-1).sum() > 50


def test_wide_photo_keeps_its_size_and_has_its_legend_below():
    ids = np.full((300, 600), 5, np.int32)
    panoptic = PanopticMap(ids, (Segment(5, 1),))
    drawn = overlay(np.zeros((300, 600, 3), np.uint8), panoptic, SPACE)
    assert drawn.shape[1] == 600 and 300 < drawn.shape[0] < 400


def test_colours_are_a_mix_of_grey_photo_and_class():
    drawn = overlay(IMAGE, scene(), SPACE).astype(int)
    sky, car = drawn[500, 500], drawn[170, 150]
    np.testing.assert_allclose(sky, 0.35 * 128 + 0.65 * np.array([40, 90, 220]), atol=2)
    np.testing.assert_allclose(car, 0.35 * 128 + 0.65 * np.array([220, 40, 40]), atol=2)


def test_outline_is_two_pixels_at_the_border_and_nowhere_else():
    drawn = overlay(IMAGE, scene(), SPACE).astype(int)
    # The car's left border is at x = 16 * 8; row 180 has no text there.
    bright = drawn[180, 100:160].min(-1) > 220
    assert np.flatnonzero(bright).tolist() == [27, 28]


def test_outline_is_black_on_bright_segments_and_grows_with_the_photo():
    bright = dataclasses.replace(SPACE.categories[1], color=(240, 230, 120))
    space = LabelSpace((SPACE.categories[0], bright))
    for factor, width in ((8, 1), (48, 3)):  # long sides of 512 and 3072
        image, ids = (
            np.repeat(np.repeat(a[22:24], factor, 0), factor, 1)
            for a in (IMAGE, scene().ids)
        )
        drawn = overlay(image, PanopticMap(ids, scene().segments), space).astype(int)
        border, row = 16 * factor, drawn[1]
        outside, inside = row[border - width : border], row[border : border + width]
        assert (outside > 220).all() and (inside < 35).all()
        beside = row[[border - width - 1, border + width]]
        assert (beside.min(-1) < 220).all() and (beside.max(-1) > 35).all()


@pytest.mark.parametrize(("side", "is_named"), [(0, True), (1, True), (2, False)])
def test_a_name_hides_specks_but_no_segment(side, is_named):
    """Squares so small that the search for the best place, in thirds, misses them."""
    ids = np.full((60, 1536), 9, np.int32)
    others = []
    for y in range(2, 60, 6):
        for x in range(2, 1536, 12):
            others.append(Segment(20 + len(others), 1))
            ids[y : y + side, x : x + side] = others[-1].id
    panoptic = PanopticMap(ids, (Segment(9, 2), *others))
    renamed = dataclasses.replace(SPACE.categories[1], name="cat")
    drawn = [
        overlay(np.zeros((60, 1536, 3), np.uint8), panoptic, space)[:60]
        for space in (SPACE, LabelSpace((SPACE.categories[0], renamed)))
    ]
    assert (drawn[0] != drawn[1]).any() == is_named


@pytest.mark.parametrize("shape", [(64, 64), (480, 640), (300, 900), (900, 300)])
def test_a_legend_of_forty_classes_does_not_outgrow_the_photo(shape):
    space = LabelSpace(
        tuple(Category(k, f"class number {k}", True, (5 * k, 90, 0)) for k in range(41))
    )
    ids = np.zeros(shape, np.int32)
    columns = np.arange(shape[1]) * 40 // shape[1] + 1
    ids[:] = columns
    panoptic = PanopticMap(ids, tuple(Segment(k, k) for k in range(1, 41)))
    drawn = overlay(np.zeros((*shape, 3), np.uint8), panoptic, space)
    height, width = (max(1, 512 // max(shape)) * n for n in shape)
    legend = drawn[height:] if width > 1.5 * height else drawn[:, width:]
    assert legend.shape[0] <= height and legend.shape[1] <= width
    for k in range(1, 41):
        assert (legend == (5 * k, 90, 0)).all(-1).sum() > 50
    assert (legend[:, -4:] == 255).all()  # nothing runs over the edge


def test_void_is_dark_and_hatched():
    drawn = overlay(IMAGE, scene(), SPACE).astype(int)[:60, :60]
    assert drawn.max() < 140
    assert len(np.unique(drawn[..., 0])) == 2


def test_names_are_inside_segments_and_in_the_legend():
    before = overlay(IMAGE, scene(), SPACE)
    renamed = dataclasses.replace(SPACE.categories[1], name="cat")
    after = overlay(IMAGE, scene(), LabelSpace((SPACE.categories[0], renamed)))
    y, x = np.nonzero((before[:, :512] != after[:, :512]).any(-1))
    assert len(y) > 10
    assert y.min() > 20 * 8 and y.max() < 44 * 8
    assert x.min() > 16 * 8 and x.max() < 48 * 8
    width = min(before.shape[1], after.shape[1])
    assert (before[:, 512:width] != after[:, 512:width]).any()


def test_small_segments_carry_no_name():
    ids = np.full((64, 64), 5, np.int32)
    ids[30:32, 30:32] = 9
    panoptic = PanopticMap(ids, (Segment(5, 1), Segment(9, 2)))
    before = overlay(IMAGE, panoptic, SPACE)
    renamed = dataclasses.replace(SPACE.categories[1], name="cat")
    after = overlay(IMAGE, panoptic, LabelSpace((SPACE.categories[0], renamed)))
    np.testing.assert_array_equal(before[:, :512], after[:, :512])


def test_noise_has_no_outlines_but_a_clean_map_has():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 40, (64, 64)).astype(np.int32)
    noise = PanopticMap(ids, tuple(Segment(k, 2) for k in range(1, 40)))
    black = np.zeros_like(IMAGE)
    white = (overlay(black, noise, SPACE)[:, :512].min(-1) > 220).mean()
    clean = (overlay(black, scene(), SPACE)[:, :512].min(-1) > 220).mean()
    assert white == 0 and clean > 0.005


def test_map_at_mask_size_fits_its_photo():
    half = PanopticMap(scene().ids[::2, ::2], scene().segments)
    same = overlay(IMAGE, half, SPACE) == overlay(IMAGE, scene(), SPACE)
    assert same.mean() > 0.99


def test_all_void_and_one_pixel_maps_are_drawn():
    empty = PanopticMap(np.zeros((64, 64), np.int32), ())
    assert overlay(IMAGE, empty, SPACE).shape[0] == 512
    pixel = PanopticMap(np.full((1, 1), 5, np.int32), (Segment(5, 1),))
    assert overlay(IMAGE[:1, :1], pixel, SPACE).shape[0] == 512


@pytest.mark.parametrize("shape", [(1, 600), (5, 5000), (600, 1), (5000, 5)])
def test_flat_maps_are_drawn(shape):
    line = PanopticMap(np.full(shape, 5, np.int32), (Segment(5, 1),))
    image = np.full((*shape, 3), 128, np.uint8)
    assert overlay(image, line, SPACE).size


def test_widest_spot_is_the_middle_of_a_tall_window():
    mask = np.zeros((60, 40), bool)
    mask[10:50, 8:24] = True
    y, x, room = widest_spot(mask, aspect=3.0)
    assert abs(y - 30) <= 1 and abs(x - 16) <= 1 and abs(room - 8) <= 1


def test_widest_spot_prefers_width_and_avoids_holes():
    mask = np.zeros((80, 80), bool)
    mask[:, :20] = True  # a tall bar, 20 wide
    mask[60:70, :] = True  # a low bar, 80 wide: for text the better place
    y, x, room = widest_spot(mask, aspect=6.0)
    assert 60 < y < 70 and room > 15
    ring = np.ones((40, 40), bool)
    ring[12:28, 12:28] = False
    y, x, _ = widest_spot(ring, aspect=1.0)
    assert ring[int(y), int(x)]


@pytest.mark.parametrize(
    ("image", "shape", "message"),
    [
        (IMAGE.astype(np.float32), (64, 64), "image is float32"),
        (IMAGE[..., 0], (64, 64), r"give uint8 \[H, W, 3\]"),
        (IMAGE, (64, 48), "64x64 but panoptic.ids is 64x48"),
        (IMAGE, (64, 64, 3), "panoptic.ids is int32"),
    ],
)
def test_bad_input_is_named(image, shape, message):
    with pytest.raises(ValueError, match=message):
        overlay(image, PanopticMap(np.zeros(shape, np.int32), ()), SPACE)
