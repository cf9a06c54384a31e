"""A little video of doors for the tests of results, and writing it."""

import numpy as np

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.video_results import VideoResults

SPACE = LabelSpace(
    (
        Category(7, "sky", False, (0, 0, 255)),
        Category(3, "door", True, (255, 0, 0)),
    )
)
SKY, DOOR = 7, 3


def frame(*numbers, size=(6, 10)):
    """Sky, a door 2 pixels wide for each track number, and a void corner."""
    ids = np.full(size, 1, np.int32)
    segments = [Segment(1, SKY)]
    for k, number in enumerate(numbers):
        ids[1:4, 2 * k : 2 * k + 2] = 1000 + number
        segments.append(Segment(1000 + number, DOOR, instance=number))
    ids[-1, -1] = 0
    return PanopticMap(ids, tuple(segments))


CLIP = [frame(1), frame(1, 2), frame(2), frame(2, 3), frame(1)]


def write(directory, maps, video="clip", **options):
    with VideoResults(directory, video, SPACE, **options) as results:
        for panoptic in maps[results.next_frame :]:
            results.write(panoptic, time_s=results.next_frame / 24)
    return results


def same(one, other):
    np.testing.assert_array_equal(one.ids, other.ids)
    assert [(s.id, s.category_id) for s in one.segments] == [
        (s.id, s.category_id) for s in other.segments
    ]
