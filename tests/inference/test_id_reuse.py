"""Ids that come back, against the rules of spec 6.3 written out one by one."""

import numpy as np
import pytest

from pix2seq_d.inference.id_reuse import IdHistory, repair


def slow(frames, max_instances):
    """The rules as sentences; 0 stays 0."""
    id_map, used, recent = {}, [0], [{0}, {0}]
    for frame in frames:
        raw = sorted(set(frame.ravel().tolist()))
        for i in raw:
            if i not in id_map:
                id_map[i] = i
                used.append(i)
            elif i in recent[0] or i in recent[1] or i == 0:
                pass
            else:
                free = [
                    n for n in range(max_instances) if n not in used and n not in raw
                ]
                id_map[i] = free[0] if free else 0
                used.append(id_map[i])
        recent = [recent[1], set(raw)]
        yield np.vectorize(id_map.get, otypes=[int])(frame)


def repaired(frames, max_instances):
    history = IdHistory.start(max_instances)
    for frame in frames:
        ids, history = repair(np.array(frame), history)
        yield ids


def numbers(frames, max_instances=8):
    return [ids.tolist() for ids in repaired(frames, max_instances)]


@pytest.mark.parametrize("max_instances", [4, 9, 30, 256])
@pytest.mark.parametrize("density", [0.1, 0.4, 0.8])
def test_the_rules_of_the_spec(max_instances, density):
    rng = np.random.default_rng(max_instances)
    ids = rng.integers(0, max_instances, (60, 6, 7))
    frames = np.where(rng.random((60, 6, 7)) < density, ids, 0)
    frames[5:10] += (frames[5:10] == 0) * (max_instances - 1)  # no background at all
    for made, expected in zip(
        repaired(frames, max_instances), slow(frames, max_instances), strict=True
    ):
        np.testing.assert_array_equal(made, expected)


def test_an_id_that_was_away_for_two_frames_is_another_object():
    away_for_one = [[1, 2], [0, 2], [1, 0], [1, 2]]
    assert numbers(away_for_one) == away_for_one
    assert numbers([[1, 2], [0, 2], [0, 2], [1, 2]])[-1] == [3, 2]


def test_how_long_an_id_may_be_away_is_what_the_model_sees():
    away_for_two = [[1, 2], [0, 2], [0, 2], [1, 2]]
    for memory, last in ((1, 3), (2, 3), (3, 1)):
        history = IdHistory.start(8)
        for frame in away_for_two:
            ids, history = repair(np.array(frame), history, memory=memory)
        assert ids.tolist() == [last, 2]


def test_a_substitute_is_kept_and_replaced_in_turn():
    gap = [[0, 0]] * 3
    frames = [[1, 0], *gap, [1, 0], [1, 5], *gap, [1, 0]]
    made = numbers(frames)
    assert made[4] == [2, 0]
    assert made[5] == [2, 5]
    assert made[-1] == [3, 0]


def test_substitutes_are_neither_used_nor_ids_of_the_frame():
    gap = [[0, 0, 0]] * 3
    # 3 was used, 2 is in the frame for the first time.
    assert numbers([[1, 3, 0], *gap, [1, 2, 0]])[-1] == [4, 2, 0]
    # Two come back: the lower id takes the lower number.
    assert numbers([[6, 1, 0], *gap, [6, 1, 0]])[-1] == [3, 2, 0]


def test_without_a_free_number_an_object_is_lost():
    gap = [[0, 0]] * 3
    made = numbers([[1, 2], *gap, [1, 2], [1, 2], *gap, [1, 0]], max_instances=4)
    assert made[4] == [3, 0]
    # It stays lost while it is seen.
    assert made[5] == [3, 0]
    assert made[-1] == [0, 0]


def test_background_stays_background():
    assert numbers([[0, 1]] + [[1, 1]] * 5 + [[0, 1]])[-1] == [0, 1]


def test_known_limit_an_id_drawn_late_collides_with_a_substitute():
    gap = [[0, 0]] * 3
    # 1 comes back as 2; then the model draws a 2 of its own.
    made = numbers([[1, 0], *gap, [1, 0], [1, 2]])
    assert made[-2:] == [[2, 0], [2, 2]]


def test_a_history_is_not_changed():
    start = IdHistory.start(8)
    _, one = repair(np.array([1, 2]), start)
    assert start.frame == 0
    assert not (start.last_frame >= 0).any()
    a, b = (repair(np.array([3, 2]), one)[0] for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_any_integer_type_and_shape():
    history = IdHistory.start(200)
    frame = np.array([[[7, 0], [150, 7]]], np.uint8)
    ids, history = repair(frame, history)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, frame)
    ids, history = repair(np.zeros((0, 4), int), history)
    assert ids.shape == (0, 4)
    assert history.frame == 2


@pytest.mark.parametrize("bad", [8, -1])
def test_ids_out_of_range(bad):
    _, history = repair(np.array([1]), IdHistory.start(8))
    message = rf"^frame 1: the id {bad} is not in 0 \.\.\. 7; start with a larger max"
    with pytest.raises(ValueError, match=message):
        repair(np.array([0, bad]), history)
