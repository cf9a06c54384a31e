import numpy as np
import pytest
from track_maps import BOAT, CAR, SPACE, changed, frame, line_of

from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.visualize.timeline import (
    Timeline,
    advance,
    draw_timeline,
    linear_ticks,
)
from pix2seq_d.visualize.track_colors import track_color


def rows(timeline):
    """Track -> the columns in which it was seen."""
    return {
        tuple(track): np.flatnonzero(seen).tolist()
        for track, seen in zip(timeline.tracks.tolist(), timeline.seen, strict=True)
        if seen.any()
    }


def test_columns_are_the_frames_in_which_a_track_was_seen():
    timeline = line_of([(2, 1)], [(2, 1), (5, 2)], [(5, 2)], [(2, 1)])
    assert rows(timeline) == {(CAR, 1): [0, 1, 3], (BOAT, 2): [1, 2]}
    assert timeline.first == 0 and timeline.frame == 4


def test_the_window_moves_on_and_the_arrays_stay_as_they_are():
    timeline = line_of(*[[(2, 1)] if k % 2 else [] for k in range(9)])
    assert timeline.first == 4
    assert rows(timeline) == {(CAR, 1): [1, 3]}  # frames 5 and 7 of 4 ... 8
    assert timeline.tracks.shape == (3, 2) and timeline.seen.shape == (3, 5)


def test_a_track_keeps_its_row_while_others_come_and_go():
    timeline = Timeline.start(num_rows=3, window=4)
    for k in range(40):
        timeline = advance(frame((2, 7), (5, 100 + k)), SPACE, timeline)
        row = timeline.tracks.tolist().index([CAR, 7])
        assert row == 0 and timeline.seen[row].sum() == min(k + 1, 4)


def test_the_row_that_is_unseen_for_longest_goes_to_a_new_track():
    timeline = line_of([(2, 1)], [(2, 2)], [(2, 3)], [(2, 4)])
    assert rows(timeline) == {(CAR, 4): [3], (CAR, 2): [1], (CAR, 3): [2]}


def test_tracks_without_a_row_are_counted_and_wait():
    timeline = line_of([(2, 1), (2, 2), (2, 3), (5, 4)])
    assert timeline.num_hidden == 1 and (BOAT, 4) not in rows(timeline)
    timeline = advance(frame((2, 1), (2, 3), (5, 4)), SPACE, timeline)
    assert timeline.num_hidden == 0
    assert rows(timeline)[BOAT, 4] == [0, 1]  # it was seen while it waited


def test_a_track_that_gets_another_row_has_its_past_within_the_window():
    frames = [[(2, 1)], [(2, 2)], [(2, 3)], [(2, 4)], [(2, 1)]]
    assert rows(line_of(*frames))[CAR, 1] == [0, 4]
    timeline = line_of(*frames[:4], [], [(2, 1)])  # the window has five columns
    assert rows(timeline)[CAR, 1] == [4]
    assert sorted(timeline.rowless) == [(CAR, 2)]


def test_a_track_in_the_frame_does_not_lose_its_row():
    present = [(2, 1), (2, 2), (2, 3)]
    timeline = line_of(present, [*present, (5, 4)])
    assert timeline.num_hidden == 1
    assert rows(timeline) == {(CAR, n): [0, 1] for n in (1, 2, 3)}


def test_the_timeline_before_is_not_changed():
    before = line_of([(2, 1)], [], [], [], [], [])
    seen, tracks = before.seen.copy(), before.tracks.copy()
    advance(frame((2, 9)), SPACE, before)
    np.testing.assert_array_equal(before.seen, seen)
    np.testing.assert_array_equal(before.tracks, tracks)


@pytest.mark.parametrize("number", [None, 0])
def test_stuff_crowds_and_things_without_a_number_are_no_tracks(number):
    timeline = Timeline.start()
    timeline = advance(frame((2, number)), SPACE, timeline)
    timeline = advance(frame((2, 4), crowd=True), SPACE, timeline)
    ids = np.ones((4, 6), np.int32)
    stuff = PanopticMap(ids, (Segment(1, 1, instance=3),))
    timeline = advance(stuff, SPACE, timeline)
    assert rows(timeline) == {} and timeline.frame == 3


def test_what_does_not_fit_is_named():
    timeline = Timeline.start()
    with pytest.raises(ValueError, match=r"id 7 of the map has no segment; add it"):
        advance(PanopticMap(np.full((4, 6), 7, np.int32), ()), SPACE, timeline)
    unknown = PanopticMap(np.full((4, 6), 7, np.int32), (Segment(7, 99),))
    with pytest.raises(ValueError, match=r"id 7 of the map has no known category"):
        advance(unknown, SPACE, timeline)
    with pytest.raises(ValueError, match=r"num_rows 0, window 5: must be at least 1"):
        Timeline.start(num_rows=0, window=5)


def strip(*frames, tracks):
    timeline = line_of(*frames, tracks)
    text = f"frame {timeline.frame - 1}"
    return draw_timeline(timeline, SPACE, text, width=96 * 6, font_size=14)


def test_bars_have_gaps_where_a_track_was_absent():
    seen = strip([(2, 1)], [], [(2, 1)], tracks=[(2, 1)])
    color = track_color(SPACE, CAR, 1)
    is_bar = (seen == color).all(-1)
    middle = round(float(np.nonzero(is_bar)[0].mean()))
    starts = np.flatnonzero(np.diff(is_bar[middle].astype(int)) == 1)
    # The swatch, the first frame, the third and the fourth, which the cursor cuts.
    assert len(starts) == 4
    whole = strip([(2, 1)], [(2, 1)], [(2, 1)], tracks=[(2, 1)])
    assert (whole == color).all(-1).sum() > 1.2 * is_bar.sum()


def test_the_cursor_stands_at_the_newest_frame():
    def cursor(num_frames):
        picture = strip(*[[]] * (num_frames - 1), tracks=[])
        # Its arrow, below the heading.
        return float(np.nonzero(picture[23:27].max(-1) < 90)[1].mean())

    places = [cursor(n) for n in (1, 2, 3, 4, 5, 6, 9)]
    steps = np.diff(places)
    assert steps[:4].min() > 30 and np.ptp(steps[:4]) <= 2
    assert abs(steps[4:]).max() == 0  # now the frames move


def test_names_of_absent_tracks_are_grey():
    here = strip([(2, 1)], tracks=[(2, 1)])
    gone = strip([(2, 1)], tracks=[])
    y, x = changed(here, gone)
    name = x < 90
    assert name.sum() > 20 and x[name].min() > 30 and y[name].min() > 30
    pixels = y[name], x[name]
    assert here[pixels].min() < 60 and gone[pixels].min() > 100


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.13, 0.52, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (-3, 9, [-4, -2, 0, 2, 4, 6, 8, 10]),
    ],
)
def test_linear_ticks_are_round_and_enclose(low, high, ticks):
    np.testing.assert_allclose(linear_ticks(low, high), ticks, atol=1e-12)
