"""Public track numbers: one for each object, never used twice."""

import numpy as np
import pytest

from pix2seq_d.inference.tracks import Tracks, advance


def run(frames, *, retire_after=1, max_instances=8):
    tracks, numbers = Tracks.start(max_instances), []
    for ids in frames:
        tracks = advance(np.array(ids), tracks, retire_after=retire_after)
        numbers.append(tracks.number[ids].tolist())
    return numbers, tracks


def test_objects_are_numbered_from_1_in_the_order_of_their_ids():
    numbers, tracks = run([[0, 5, 3], [5, 0, 7]])
    assert numbers == [[0, 2, 1], [2, 0, 3]]
    assert (tracks.frame, tracks.count, tracks.reused) == (2, 3, 0)


def test_a_short_absence_keeps_the_number_and_a_long_one_does_not():
    frames = [[4], [0], [4], [0], [0], [4]]
    assert run(frames, retire_after=1)[0] == [[1], [0], [1], [0], [0], [2]]
    assert run(frames, retire_after=2)[0] == [[1], [0], [1], [0], [0], [1]]
    assert run(frames, retire_after=0)[0] == [[1], [0], [2], [0], [0], [3]]


def test_reuse_is_counted():
    _, tracks = run([[4, 2], [2, 2], [2, 2], [4, 2]])
    assert tracks.reused == 1
    assert tracks.count == 3


def test_numbers_grow_without_bound_and_the_state_does_not():
    frames = [[1 + k % 3] if k % 4 == 0 else [0] for k in range(4000)]
    numbers, tracks = run(frames, max_instances=4)
    assert max(map(max, numbers)) == tracks.count == 1000
    assert tracks.number.shape == tracks.last_frame.shape == (4,)


def test_what_is_not_shown_gets_no_number_until_it_is():
    tracks, numbers = Tracks.start(4), []
    for ids, shown in (([1, 2], [2]), ([1], []), ([1], [1]), ([1, 2], [])):
        ids = np.array(ids)
        shown = np.array(shown, np.int64)
        tracks = advance(ids, tracks, retire_after=1, shown=shown)
        numbers.append(tracks.number[ids].tolist())
    # 2 was away for two frames: it is another object, and not shown yet.
    assert numbers == [[0, 1], [0], [2], [2, 0]]
    # The new object of id 2 has no number yet.
    assert (tracks.count, tracks.reused) == (2, 0)
    tracks = advance(np.array([2]), tracks, retire_after=1)
    assert (tracks.count, tracks.reused) == (3, 1)


def test_ids_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"frame 0: ids must be in 0 \.\.\. 3"):
        advance(np.array([4]), Tracks.start(4), retire_after=1)
    with pytest.raises(ValueError, match="retire_after must be >= 0"):
        advance(np.array([1]), Tracks.start(4), retire_after=-1)
