"""Panoptic maps: channels, PNG coding, nearest resizing."""

import numpy as np

from pix2seq_d.instance_ids import to_channels
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import (
    PanopticMap,
    Segment,
    from_channels,
    ids_to_rgb,
    resize_nearest,
    rgb_to_ids,
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
    labels = to_channels([MAP], SPACE, max_instances=101).labels[0]
    back = from_channels(labels, SPACE)
    assert back.ids.dtype == np.int32
    again = to_channels([back], SPACE, max_instances=101).labels[0]
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
    labels = to_channels([empty], SPACE, max_instances=5).labels[0]
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
