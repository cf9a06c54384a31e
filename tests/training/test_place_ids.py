"""Ids by place: nearest free place of a Gray-coded grid, largest objects first."""

import dataclasses
import functools
import re

import jax
import numpy as np
import optax
import pytest
from tiny_model import TINY, quick_jit, random_batch, random_variables, with_decoder

from pix2seq_d.config import Config, ConfigError, DataConfig, DiffusionConfig
from pix2seq_d.instance_ids import ORDERS, IdRule
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import program as programs
from pix2seq_d.training import state as states
from pix2seq_d.training import step as steps
from pix2seq_d.training.place_ids import place, places

# Ids are of masks alone.
MODEL = dataclasses.replace(
    with_decoder(TINY, channel_multipliers=(1,), num_res_blocks=(1,)), conditioning=()
)


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


@pytest.mark.parametrize("n", [3, 6, 13, 101, 200])
def test_the_grid_covers_the_image_whatever_the_number(n):
    found = places(n)
    assert len({tuple(place) for place in found.tolist()}) == n
    rows = sorted(set(found[:, 0].tolist()))
    np.testing.assert_allclose(rows, (np.arange(len(rows)) + 0.5) / len(rows))
    for row in rows:
        columns = np.sort(found[found[:, 0] == row, 1])
        np.testing.assert_allclose(
            columns, (np.arange(len(columns)) + 0.5) / len(columns), rtol=1e-6
        )


def mask(objects, size=(8, 16)):
    """(row, column, height, width, class, id) of each, on class 1 with id 0."""
    labels = np.zeros((*size, 2), np.int32)
    labels[..., 0] = 1
    for y, x, h, w, *pair in objects:
        labels[y : y + h, x : x + w] = pair
    return labels


def place_one(labels, n):
    return np.asarray(place(labels[None], max_instances=n))[0]


def placed(objects, n=8, **options):
    return place_one(mask(objects, **options), n)


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
    found = place_one(labels.astype(np.int32), 13)
    pairs = {
        tuple(p) for p in np.stack([labels[..., 1], found[..., 1]], -1).reshape(-1, 2)
    }
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 13
    assert (0, 0) in pairs and max(b for _, b in pairs) == 12


def test_a_batch_is_its_examples_one_by_one_under_jit():
    # Of none to three objects: each mask takes as many turns as the fullest.
    objects = [(5, 3, 3, 3, 2, 1), (0, 9, 2, 2, 3, 2), (4, 12, 2, 2, 3, 7)]
    batch = np.stack([mask(objects[:count]) for count in (1, 3, 0, 2)])
    found = jax.jit(place, static_argnames="max_instances")(batch, max_instances=8)
    for row, labels in zip(np.asarray(found), batch, strict=True):
        np.testing.assert_array_equal(row, place_one(labels, 8))


def test_devices_exchange_one_number_whatever_the_turns():
    rows = meshes.over_batch(meshes.make_mesh(jax.devices()))
    function = functools.partial(place, max_instances=8)
    labels = jax.ShapeDtypeStruct((len(jax.devices()), 8, 16, 2), np.int32)
    placed = jax.jit(function, in_shardings=rows, out_shardings=rows)
    text = placed.lower(labels).compile().as_text()
    exchanged = r" (all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\("
    assert re.findall(exchanged, text) == ["all-reduce"]
    assert re.search(r" = s32\[\]\S* all-reduce", text)


def program(order, model=MODEL):
    config = Config(model=model, data=DataConfig(ids=IdRule(order=order)))
    return programs.make(config, meshes.make_mesh(jax.devices()[:1]))


def test_of_equal_objects_the_lower_id_chooses_first():
    pair = [(1, 4, 2, 2, 2, 5), (1, 6, 2, 2, 3, 3)]  # centres at columns 5 and 7
    found = placed(pair)
    assert found[1, 6, 1] == 0b001  # id 3: the second column, 4 to 8
    assert found[1, 4, 1] == 0b011  # the third: the first column's is id 0


def test_stuff_with_an_id_takes_a_place_and_large_masks_are_counted_right():
    labels = np.zeros((512, 1024, 2), np.int32)
    labels[...] = (1, 4)
    labels[400:, 900:] = (2, 9)
    found = place_one(labels, 256)
    grid, width, height = places(256), 1024, 512
    for id_, inside in ((4, labels[..., 1] == 4), (9, labels[..., 1] == 9)):
        y, x = np.argwhere(inside).mean(0)
        wanted = np.array([(y + 0.5) / height, (x + 0.5) / width])
        nearest = 1 + np.argmin(np.sum((grid[1:] - wanted) ** 2, -1))
        assert set(found[inside][:, 1].tolist()) == {nearest}, id_


@functools.cache
def step_of(by_place, parts):
    return quick_jit(
        functools.partial(
            steps.train_step,
            model=Pix2SeqD(MODEL),
            optimizer=optax.sgd(0.0),
            diffusion=DiffusionConfig(noise_draws=2),
            ema_decay=0.9,
            ids_by_place=by_place,
            parts=parts,
        )
    )


def loss(labels, *, by_place, parts):
    variables = random_variables(Pix2SeqD(MODEL))
    state = states.of(variables, variables, optimizer=optax.sgd(0.0))
    batch = {"image": random_batch(4)["image"], "labels": labels}
    _, scalars = step_of(by_place, parts)(state, batch, jax.random.key(0))
    return float(scalars["loss"])


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_by_place_is_one_of_such_labels(parts):
    labels = random_batch(4)["labels"]
    placed = place(labels, max_instances=MODEL.max_instances)
    expected = loss(placed, by_place=False, parts=parts)
    found = loss(labels, by_place=True, parts=parts)
    assert found == pytest.approx(expected, rel=1e-6)
    drawn = loss(labels, by_place=False, parts=parts)
    assert abs(drawn - expected) > 1e-4 * expected


def test_the_config_says_so():
    for order in ORDERS:
        step = program(order).step.__wrapped__
        assert step.keywords["ids_by_place"] == (order == "place")


def test_clips_and_own_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"data\.ids\.order='place': an object of a"):
        program("place", dataclasses.replace(MODEL, num_cond_frames=2))
    with pytest.raises(ValueError, match="set own=False, or order='random'"):
        IdRule(order="place", own=True)
