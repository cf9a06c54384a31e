"""Maps with tracks, and the timeline of some, for the tests of what is drawn."""

import numpy as np

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.timeline import Timeline, advance

SPACE = LabelSpace(
    (
        Category(1, "sky", False, (40, 90, 220)),
        Category(2, "car", True, (220, 40, 40)),
        Category(5, "boat", True, (40, 160, 90)),
    )
)
CAR, BOAT = 2, 3  # semantic ids


def frame(*tracks, sky=True, crowd=False, size=(64, 96)):
    """A map with a column for each (category, number), over sky."""
    ids = np.full(size, 1 if sky else 0, np.int32)
    segments = [Segment(1, 1)] if sky else []
    for k, (category, number) in enumerate(tracks):
        segment_id = 100 * category + (number or 0) + 1000
        ids[24:44, 4 + 22 * k : 20 + 22 * k] = segment_id
        segments.append(Segment(segment_id, category, crowd, number))
    return PanopticMap(ids, tuple(segments))


def line_of(*frames, num_rows=3, window=5):
    timeline = Timeline.start(num_rows=num_rows, window=window)
    for tracks in frames:
        timeline = advance(frame(*tracks), SPACE, timeline)
    return timeline


def changed(a, b):
    """Rows and columns of the pixels in which two pictures differ."""
    return np.nonzero((a != b).any(-1))
