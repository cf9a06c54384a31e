import numpy as np
import pytest

from pix2seq_d.data import order


def test_every_epoch_holds_every_index_once_in_another_order():
    epoch, index = order.locate(np.arange(30), num_examples=10, seed=4)
    np.testing.assert_array_equal(epoch, np.repeat([0, 1, 2], 10))
    for start in (0, 10, 20):
        np.testing.assert_array_equal(np.sort(index[start : start + 10]), range(10))
    assert (index[:10] != index[10:20]).any()
    assert (index[:10] != range(10)).any()


def test_a_position_does_not_depend_on_what_was_asked_before():
    _, whole = order.locate(np.arange(50), num_examples=7, seed=1)
    order.permutation.cache_clear()
    for position in (49, 0, 23, 24, 6, 7):
        _, one = order.locate(np.array([position]), num_examples=7, seed=1)
        assert one == whole[position]
    assert order.permutation.cache_info().currsize <= 2


def test_seeds_give_different_orders():
    _, a = order.locate(np.arange(20), num_examples=20, seed=0)
    _, b = order.locate(np.arange(20), num_examples=20, seed=1)
    assert (a != b).any()


def test_shares_concatenate_to_the_global_batch():
    whole = order.batch_positions(5, batch_size=6)
    np.testing.assert_array_equal(whole, range(30, 36))
    shares = [
        order.batch_positions(5, batch_size=6, process_index=p, process_count=3)
        for p in range(3)
    ]
    assert [len(s) for s in shares] == [2, 2, 2]
    np.testing.assert_array_equal(np.concatenate(shares), whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(step=0, batch_size=6, process_count=4), "batch_size 6 does not divide"),
        (dict(step=0, batch_size=0), "batch_size 0 does not divide"),
        (dict(step=0, batch_size=4, process_index=2, process_count=2), "process_index"),
        (dict(step=-1, batch_size=4), "first step"),
    ],
)
def test_bad_splits_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        order.batch_positions(**arguments)


def test_empty_source_and_negative_seed_are_named():
    with pytest.raises(ValueError, match="source is empty"):
        order.locate(np.arange(2), num_examples=0, seed=0)
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        order.locate(np.arange(2), num_examples=3, seed=-1)
