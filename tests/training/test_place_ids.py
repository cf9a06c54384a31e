"""Ids by place: nearest free place of a Gray-coded grid, largest objects first."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import Config, ConfigError, DataConfig, DiffusionConfig
from pix2seq_d.instance_ids import ORDERS, IdRule
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import step as steps
from pix2seq_d.training.place_ids import place, place_batch, places

MODEL = with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,))


@pytest.mark.parametrize("n, shape", [(2, (1, 2)), (8, (2, 4)), (16, (4, 4))])
def test_places_are_a_grid_in_which_neighbours_differ_in_one_bit(n, shape):
    found = places(n)
    rows, cols = shape
    cell = np.floor(found * [rows, cols]).astype(int)
    np.testing.assert_allclose(found, (cell + 0.5) / [rows, cols])
    at = {(int(y), int(x)): i for i, (y, x) in enumerate(cell)}
    assert len(at) == n  # a place each
    for (y, x), i in at.items():
        for neighbour in [(y + 1, x), (y, x + 1)]:
            if neighbour in at:
                assert (i ^ at[neighbour]).bit_count() == 1


def test_the_grid_covers_numbers_that_are_no_power_of_two():
    np.testing.assert_array_equal(places(101), places(128)[:101])
    assert places(101).min() > 0 and places(101).max() < 1


def mask(objects, size=(8, 16)):
    """(row, column, height, width, class, id) of each, on class 1 with id 0."""
    labels = np.zeros((*size, 2), np.int32)
    labels[..., 0] = 1
    for y, x, h, w, *pair in objects:
        labels[y : y + h, x : x + w] = pair
    return labels


def placed(objects, n=8, **options):
    return np.asarray(place(mask(objects, **options), max_instances=n))


def test_an_object_takes_the_id_of_its_place_whatever_it_was():
    # Of 2 rows and 4 columns: the third column of the second row is (1 << 2) | 0b11.
    for id_ in (1, 3, 7):
        found = placed([(5, 9, 2, 2, 2, id_)])
        assert set(found[5:7, 9:11, 1].ravel().tolist()) == {0b111}
        np.testing.assert_array_equal(
            found[..., 0], mask([(5, 9, 2, 2, 2, id_)])[..., 0]
        )
        assert (found[..., 1] > 0).sum() == 4


def test_the_largest_chooses_first_and_the_other_the_nearest_that_is_free():
    # Both are in the first row's third column, 0b011; the small one is left of it.
    small, large = (1, 8, 1, 1, 2, 4), (2, 8, 2, 3, 2, 5)
    found = placed([small, large])
    assert found[2, 8, 1] == 0b011
    assert found[1, 8, 1] == 0b001  # the second column, to which it is nearest


def test_no_object_takes_0_which_is_what_has_no_id():
    assert placed([(0, 0, 1, 1, 2, 5)])[0, 0, 1] == 0b001
    assert not placed([])[..., 1].any()


def test_all_ids_in_use_stay_apart():
    rng = np.random.default_rng(0)
    labels = np.stack([np.ones((9, 9), int), rng.integers(0, 13, (9, 9))], -1)
    found = np.asarray(place(labels.astype(np.int32), max_instances=13))
    pairs = {
        tuple(p) for p in np.stack([labels[..., 1], found[..., 1]], -1).reshape(-1, 2)
    }
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 13
    assert (0, 0) in pairs and max(b for _, b in pairs) == 12


def test_a_batch_is_its_examples_one_by_one_under_jit():
    batch = np.stack([mask([(y, 3, 3, 3, 2, 1), (0, 9, 2, 2, 3, 2)]) for y in range(5)])
    found = jax.jit(place_batch, static_argnames="max_instances")(
        batch, max_instances=8
    )
    for row, labels in zip(np.asarray(found), batch, strict=True):
        np.testing.assert_array_equal(row, place(labels, max_instances=8))


def program(order, model=MODEL):
    config = Config(model=model, data=DataConfig(ids=IdRule(order=order)))
    return programs.make(config, meshes.make_mesh(jax.devices()[:1]))


def test_the_loss_by_place_is_that_of_such_labels():
    model, batch, key = Pix2SeqD(MODEL), random_batch(2), jax.random.key(0)
    variables = random_variables(model)

    def run(labels, by_place):
        return steps.batch_loss(
            variables["params"],
            variables["batch_stats"],
            {"image": batch["image"], "labels": labels},
            key,
            model=model,
            diffusion=DiffusionConfig(noise_draws=2),
            ids_by_place=by_place,
        )[0]

    loss = quick_jit(run, static_argnums=1)
    placed = place_batch(batch["labels"], max_instances=MODEL.max_instances)
    expected = float(loss(placed, False))
    assert float(loss(batch["labels"], True)) == pytest.approx(expected, rel=1e-6)
    assert abs(float(loss(batch["labels"], False)) - expected) > 1e-4 * expected


def test_the_config_says_so():
    for order in ORDERS:
        step = program(order).step.__wrapped__
        assert step.keywords["ids_by_place"] == (order == "place")


def test_clips_and_own_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"data\.ids\.order='place': an object of a"):
        program("place", dataclasses.replace(MODEL, num_cond_frames=2))
    with pytest.raises(ValueError, match="own numbers would be lost; set own=False"):
        IdRule(order="place", own=True)
