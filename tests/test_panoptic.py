"""Panoptic maps: channels, PNG coding, nearest resizing."""

import numpy as np
import pytest

from pix2seq_d.instance_ids import number
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import (
    PanopticMap,
    Segment,
    areas,
    from_channels,
    ids_to_rgb,
    resize_nearest,
    rgb_to_ids,
    runs,
)

SPACE = LabelSpace(
    (
        Category(id=7, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=3, name="door", is_thing=True, color=(255, 0, 0)),
    )
)
# Areas: 90 sky 5, 41 door 2, 8 door 3, 12 door 1, 4 void.
MAP = PanopticMap(
    np.array([[90, 90, 90, 90, 90], [41, 41, 8, 8, 8], [12, 0, 0, 0, 0]], np.int32),
    (Segment(90, 7), Segment(41, 3), Segment(8, 3), Segment(12, 3)),
)


def test_channels_round_trip_up_to_ids():
    labels = number([MAP], SPACE, max_instances=101).labels(MAP.ids)
    back = from_channels(labels, SPACE)
    assert back.ids.dtype == np.int32
    again = number([back], SPACE, max_instances=101).labels(back.ids)
    np.testing.assert_array_equal(again, labels)
    category = {s.id: s.category_id for s in MAP.segments} | {0: 0}
    category_back = {s.id: s.category_id for s in back.segments} | {0: 0}
    pairs = set(zip(MAP.ids.ravel().tolist(), back.ids.ravel().tolist(), strict=True))
    assert len(pairs) == 5  # one to one, void included
    assert all(category[a] == category_back[b] for a, b in pairs)


def test_from_channels_voids_half_labels_and_splits_ids_by_class():
    semantic = np.array([[0, 1, 1, 2]])
    instance = np.array([[4, 0, 4, 4]])
    found = from_channels(np.stack([semantic, instance], -1), SPACE)
    np.testing.assert_array_equal(found.ids, [[0, 0, 1, 2]])
    assert found.segments == (Segment(1, 7), Segment(2, 3))


def test_empty_map():
    empty = PanopticMap(np.zeros((2, 3), np.int32), ())
    labels = number([empty], SPACE, max_instances=5).labels(empty.ids)
    assert labels.shape == (2, 3, 2)
    assert not labels.any()
    assert from_channels(labels, SPACE).segments == ()


def test_rgb_round_trip_at_the_byte_borders():
    ids = np.array([[0, 1, 255, 256], [65535, 65536, 70000, 2**24 - 1]], np.int32)
    rgb = ids_to_rgb(ids)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb[1, 2], [112, 17, 1])  # 70000
    assert rgb_to_ids(rgb).dtype == np.int32
    np.testing.assert_array_equal(rgb_to_ids(rgb), ids)


@pytest.mark.parametrize("ids", [[], [[3]], [[5, 5], [5, 5]], [[7, 0, 0], [0, 7, 2]]])
def test_runs_and_areas_hold_every_pixel(ids):
    ids = np.array(ids, np.int32)
    values, lengths = runs(ids)
    np.testing.assert_array_equal(np.repeat(values, lengths), ids.ravel())
    assert (values[1:] != values[:-1]).all()
    present, counts = areas(ids)
    expected = np.unique(ids, return_counts=True)
    np.testing.assert_array_equal(present, expected[0])
    np.testing.assert_array_equal(counts, expected[1])


def test_resize_nearest_uses_half_pixel_centres():
    row = np.arange(6)[None]
    np.testing.assert_array_equal(resize_nearest(row, (1, 3)), [[1, 3, 5]])
    np.testing.assert_array_equal(resize_nearest(row, (1, 4)), [[0, 2, 3, 5]])
    np.testing.assert_array_equal(
        resize_nearest(row, (2, 12)), [np.repeat(np.arange(6), 2)] * 2
    )


def test_resize_nearest_keeps_trailing_axes_and_inverts_upscaling():
    x = np.random.default_rng(0).integers(0, 99, (5, 7, 2))
    large = resize_nearest(x, (15, 21))
    assert large.shape == (15, 21, 2)
    np.testing.assert_array_equal(resize_nearest(large, (5, 7)), x)
