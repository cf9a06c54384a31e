"""The draws of one example: keyed by (seed, epoch, index), spread as the spec says."""

from types import SimpleNamespace

import numpy as np
import pytest

from pix2seq_d.data import augment
from pix2seq_d.data.augment import Augmentation

FULL = Augmentation((0.5, 2.0), color_jitter=0.5, flip=0.5, frame_dropout=0.3)


def draw(index=0, *, seed=0, epoch=0, augmentation=FULL, **options):
    options = {
        "original": (48, 64),
        "image_size": (32, 32),
        "mask_size": (16, 16),
        "id_range": 8,
        "max_instances": 11,
        "num_past": 2,
        **options,
    }
    rng = augment.stream(seed, epoch, index)
    found = augment.draw(rng, augmentation=augmentation, **options)
    return SimpleNamespace(**found.image._asdict(), **found.labels._asdict())


def assert_same(a, b, *, but=()):
    for name, value in vars(a).items():
        if name not in but:
            np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def test_streams_are_keyed_and_never_meet():
    firsts = {
        augment.stream(seed, epoch, index).random()
        for seed in (0, 1, 2**40)
        for epoch in range(3)
        for index in (0, 1, 2, 2**33)
    }
    assert len(firsts) == 36
    assert_same(draw(5, seed=3, epoch=2), draw(5, seed=3, epoch=2))
    # Numbers of the stream itself do not run into the next example's.
    long = augment.stream(0, 0, 0).random(10_000)
    assert not np.isin(augment.stream(0, 0, 1).random(100), long).any()


def test_a_recorded_draw():
    """Guards the promise that a resumed run of another day sees the same data."""
    found = draw(7, seed=1, epoch=3)
    assert found.size.tolist() == [34, 46]
    assert found.offset.tolist() == [1, 13]
    assert found.order.tolist() == [3, 1, 2, 0]
    assert found.new_id.tolist() == [0, 7, 2, 6, 8, 4, 5, 3, 1, 9, 10]


def test_one_option_does_not_change_what_another_draws():
    for index in range(20):
        full = draw(index)
        plain = draw(index, augmentation=Augmentation((0.5, 2.0), flip=1.0))
        changed = ("flip", "cols", "jitter", "grey", "factors", "keep")
        assert_same(full, plain, but=changed)
        assert plain.flip and not plain.jitter and not plain.grey


def test_scales_cover_their_range_and_fit_exactly():
    widths = [draw(k).size[1] for k in range(200)]
    assert 16 <= min(widths) < 19 and 61 < max(widths) <= 64
    for width in range(33, 120):
        size = augment.scaled_size((4, width), (32, 32), 1.0)
        assert size[1] == 32 and size[0] >= 1
    np.testing.assert_array_equal(
        augment.scaled_size((20, 13), (32, 32), 1.0), (32, 20)
    )


def test_crop_moves_both_axes_by_one_random_number():
    offsets = set()
    for k in range(60):
        found = draw(k, original=(40, 60), augmentation=Augmentation((2.0, 2.0)))
        assert found.size.tolist() == [42, 64]
        y, x = found.offset.tolist()
        assert 0 <= y <= 9 and 0 <= x < 32
        assert (y * 32) // 10 <= x < ((y + 1) * 32) / 10
        offsets.add((y, x))
    assert len(offsets) > 20
    small = draw(0, original=(8, 60), augmentation=Augmentation((1.5, 1.5)))
    assert small.offset[0] == 0  # 6 rows fit


def test_colours_span_their_ranges():
    found = [draw(k) for k in range(400)]
    factors = np.stack([d.factors for d in found])
    for column, (low, high) in enumerate([(0.6, 1.4)] * 3 + [(-0.1, 0.1)]):
        values, edge = factors[:, column], 0.02 * (high - low)
        assert low <= values.min() < low + edge
        assert high - edge < values.max() <= high
    assert 290 < sum(int(d.jitter) for d in found) < 350  # p 0.8
    assert 55 < sum(int(d.grey) for d in found) < 110  # p 0.2
    assert 160 < sum(int(d.flip) for d in found) < 240
    kept = np.stack([d.keep for d in found]).mean(0)
    assert (np.abs(kept - 0.7) < 0.07).all()
    assert len({tuple(d.order) for d in found}) == 24
    strong = [draw(k, augmentation=Augmentation(color_jitter=1.0)) for k in range(50)]
    assert min(float(d.factors[0]) for d in strong) >= 0.2 - 1e-6


@pytest.mark.parametrize("id_range", [0, 4, 10])
def test_ids_are_permuted_over_their_range_only(id_range):
    tables = np.stack([draw(k, id_range=id_range).new_id for k in range(300)])
    assert (tables[:, 0] == 0).all()
    assert (np.sort(tables, -1) == np.arange(11)).all()
    np.testing.assert_array_equal(
        tables[:, id_range + 1 :], np.tile(np.arange(id_range + 1, 11), (300, 1))
    )
    for k in range(1, id_range + 1):
        assert set(tables[:, k].tolist()) == set(range(1, id_range + 1))
