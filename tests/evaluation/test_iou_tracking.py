"""The tracking baseline: whose id a thing gets, and what happens when ids run out."""

import numpy as np
import pytest

from pix2seq_d.evaluation.iou_tracking import Linked, link

IS_THING = np.array([False, False, True, True])  # void, stuff, two things


def frame(*pixels):
    """[1, w, 2] int32 of (semantic, instance) pairs."""
    return np.array([pixels], np.int32)


def ids(linked):
    return linked.labels[0, :, 1].tolist()


def run(*frames, max_instances=8, **options):
    """The ids of every frame, and the last state."""
    state, found = Linked.start(max_instances), []
    for current in frames:
        state = link(state, current, is_thing=IS_THING, **options)
        found.append(ids(state))
    return found, state


def test_things_keep_their_ids_however_the_image_model_numbers_them():
    a = frame((2, 5), (2, 5), (2, 5), (2, 9), (2, 9), (1, 1))
    b = frame((2, 9), (2, 9), (2, 9), (2, 3), (2, 3), (1, 7))
    found, state = run(a, b, b)
    assert found == [[1, 1, 1, 2, 2, 0]] * 3
    np.testing.assert_array_equal(state.labels[..., 0], b[..., 0])
    assert (state.reused, state.dropped, state.frame) == (0, 0, 3)


def test_only_things_of_one_class_match():
    found, _ = run(frame((2, 1), (2, 1)), frame((3, 1), (3, 1)))
    assert found == [[1, 1], [2, 2]]


def test_one_number_in_two_classes_is_two_things():
    found, _ = run(frame((2, 1), (2, 1), (3, 1), (0, 1), (2, 0)))
    assert found == [[1, 1, 2, 0, 0]]


def test_a_match_has_an_iou_above_the_threshold():
    a, b = frame((2, 1), (2, 1), (1, 0)), frame((2, 1), (1, 0), (1, 0))
    assert run(a, b, threshold=0.5)[0][1] == [2, 0, 0]
    assert run(a, b, threshold=0.49)[0][1] == [1, 0, 0]


def test_matches_are_the_best_all_together():
    # The first thing overlaps both, and better the second; so does the second only.
    a = frame(*[(2, 1)] * 7, *[(2, 2)] * 3)
    b = frame(*[(2, 1)] * 3, *[(2, 2)] * 7)
    assert run(a, b, threshold=0.0)[0][1] == [1] * 3 + [2] * 7


def test_overlaps_below_the_threshold_do_not_displace_a_match():
    # 1-1 has IoU 5/13; 1-2 and 2-1 have 4/11, which is less, and more together.
    a = frame(*[(2, 1)] * 9, *[(2, 2)] * 4, *[(1, 0)] * 2, *[(2, 2)] * 2)
    b = frame(*[(2, 1)] * 5, *[(2, 2)] * 4, *[(2, 1)] * 4, *[(2, 2)] * 2, *[(1, 0)] * 2)
    expected = [1] * 5 + [3] * 4 + [1] * 4 + [3] * 2 + [0] * 2
    assert run(a, b, threshold=0.37)[0][1] == expected
    crossed = [2 if i == 1 else 1 if i == 3 else 0 for i in expected]
    assert run(a, b, threshold=0.35)[0][1] == crossed


def test_a_thing_that_is_away_for_one_frame_is_another():
    a, none = frame((2, 1), (2, 1)), frame((1, 0), (1, 0))
    assert run(a, none, a)[0] == [[1, 1], [0, 0], [2, 2]]


def test_new_ids_count_on_before_any_is_reused():
    found, state = run(*[frame((2 + k % 2, 1)) for k in range(3)], max_instances=4)
    assert found == [[1], [2], [3]]
    assert state.reused == 0


def test_without_fresh_ids_the_one_unseen_for_longest_is_reused_and_counted():
    frames = [frame((2 + k % 2, 1), (2 + k % 2, 2)) for k in range(3)]
    found, state = run(*frames, max_instances=6)
    assert found == [[1, 2], [3, 4], [5, 1]]
    assert (state.reused, state.dropped) == (1, 0)


def test_an_id_of_this_frame_is_never_given_again_and_the_smallest_things_go_without():
    stays = [(2, 1)] * 2
    a = frame(*stays, *[(1, 0)] * 5)
    b = frame(*stays, (3, 4), (3, 5), (3, 5), (3, 6), (3, 7))
    found, state = run(a, b, b, max_instances=4)
    assert found[1] == [1, 1, 3, 2, 2, 0, 0]
    # Those without are not things of the past: they try again.
    assert found[2] == found[1]
    assert (state.reused, state.dropped) == (0, 4)


def test_the_state_before_is_left_as_it_was():
    first = link(Linked.start(8), frame((2, 1)), is_thing=IS_THING)
    labels, last = first.labels.copy(), first.last_frame.copy()
    for _ in range(2):
        second = link(first, frame((3, 1)), is_thing=IS_THING)
        assert ids(second) == [2]
    np.testing.assert_array_equal(first.labels, labels)
    np.testing.assert_array_equal(first.last_frame, last)


def test_random_frames_have_one_id_for_each_thing():
    rng = np.random.default_rng(0)
    state = Linked.start(12)
    for _ in range(30):
        current = rng.integers(0, (4, 5), (6, 7, 2))
        state = link(state, current, is_thing=IS_THING, threshold=0.1)
        pairs = {
            (*map(int, x), int(i))
            for x, i in zip(
                current.reshape(-1, 2), state.labels[..., 1].ravel(), strict=True
            )
            if IS_THING[x[0]] and x[1] > 0
        }
        things = {(c, n) for c, n, _ in pairs}
        borne = [i for *_, i in pairs if i]
        assert len(pairs) == len(things)
        assert len(borne) == len(set(borne)) == min(len(things), 11)
        is_thing = IS_THING[current[..., 0]] & (current[..., 1] > 0)
        assert not state.labels[..., 1][~is_thing].any()
    assert state.reused > 0


def test_bad_arguments_are_refused():
    state = link(Linked.start(4), frame((2, 1)), is_thing=IS_THING)
    with pytest.raises(ValueError, match=r"frame 1 is \[1, 2, 2\], the one before"):
        link(state, frame((2, 1), (2, 1)), is_thing=IS_THING)
    with pytest.raises(ValueError, match=r"threshold is 1\.0; give a number in"):
        link(state, frame((2, 1)), is_thing=IS_THING, threshold=1.0)
