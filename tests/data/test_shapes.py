import dataclasses
import time

import numpy as np
import pytest

from pix2seq_d.data import scene_render
from pix2seq_d.data.scene import (
    THING_KINDS,
    THING_RADIUS,
    Border,
    Scene,
    Smudge,
    Stuff,
    Thing,
    pixel_centers,
    thing_distance,
    thing_window,
)
from pix2seq_d.data.scene_render import render
from pix2seq_d.data.shapes import LABEL_SPACE, Shapes, scene_segments
from pix2seq_d.instance_ids import number
from pix2seq_d.panoptic import resize_nearest


def hand_made(*things: Thing, smudge: Smudge | None = None) -> Scene:
    return Scene(
        sky=Stuff("sky", (0.3, 0.5, 0.8), (0.7, 0.8, 0.9), texture_seed=1),
        ground=Stuff("grass", (0.4, 0.5, 0.3), (0.2, 0.4, 0.1), texture_seed=2),
        border=Border(height=0.5),
        things=things,
        smudge=smudge,
    )


@pytest.fixture(scope="module")
def examples():
    dataset = Shapes("train", num_examples=200)
    return [dataset[i] for i in range(len(dataset))]


def test_an_example_is_a_pure_function_of_seed_split_index():
    first, again = Shapes(seed=3)[7], Shapes(seed=3)[7]
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.panoptic.ids, again.panoptic.ids)
    assert first.panoptic.segments == again.panoptic.segments
    assert Shapes(seed=3).scene(7) != Shapes(seed=4).scene(7)
    assert Shapes(seed=3).scene(7) != Shapes(seed=3).scene(8)


def test_val_ignores_the_seed_and_shares_no_scene_with_train():
    val, other = Shapes("val", seed=0), Shapes("val", seed=5)
    assert val.scene(11) == other.scene(11)
    val_seeds = {val.scene(i).noise_seed for i in range(100)}
    assert len(val_seeds) == 100
    for seed in range(3):
        train = Shapes("train", seed=seed)
        assert val_seeds.isdisjoint(train.scene(i).noise_seed for i in range(100))


def test_shapes_dtypes_and_names():
    example = Shapes("train", size=(48, 80))[12]
    assert example.image.shape == (48, 80, 3)
    assert example.image.dtype == np.uint8
    assert example.panoptic.ids.shape == (48, 80)
    assert example.panoptic.ids.dtype == np.int32
    assert example.image_id == 12
    assert example.file_name == "shapes_train_000012.png"


def test_labels_and_colours_agree_between_sizes():
    small, large = Shapes(size=(64, 64)), Shapes(size=(128, 128))
    agreement, difference = [], []
    for i in range(20):
        a, b = small[i], large[i]
        agreement.append(resize_nearest(b.panoptic.ids, (64, 64)) == a.panoptic.ids)
        halved = b.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
        difference.append(np.abs(halved - a.image))
    assert np.mean(agreement) > 0.95
    assert np.mean(agreement, (1, 2)).min() > 0.92
    assert np.mean(difference) < 12


def test_ids_and_segments_correspond(examples):
    for example in examples:
        present = set(np.unique(example.panoptic.ids)) - {0}
        assert present == {s.id for s in example.panoptic.segments}
        assert present == set(range(1, len(present) + 1))
        assert not any(s.is_crowd for s in example.panoptic.segments)


def test_all_classes_occur_and_four_bits_hold_the_ids(examples):
    maps = [e.panoptic for e in examples]
    channels = np.concatenate(
        [number([m], LABEL_SPACE, max_instances=16).labels(m.ids)[None] for m in maps]
    )
    assert set(np.unique(channels[..., 0])) == set(range(LABEL_SPACE.num_classes))
    assert LABEL_SPACE.num_classes <= 16
    # None was dropped for want of an instance id.
    void = np.stack([e.panoptic.ids == 0 for e in examples])
    np.testing.assert_array_equal(channels[..., 1] == 0, void)


def test_one_to_six_things_all_visible(examples):
    counts = set()
    for example in examples:
        things = [
            s.id
            for s in example.panoptic.segments
            if LABEL_SPACE.is_thing[LABEL_SPACE.semantic_of[s.category_id]]
        ]
        counts.add(len(things))
        areas = np.bincount(example.panoptic.ids.ravel())[things]
        assert areas.min() >= 0.015 * 64 * 64
    assert counts == {1, 2, 3, 4, 5, 6}


def test_a_small_share_of_images_has_void(examples):
    share = np.mean([(e.panoptic.ids == 0).any() for e in examples])
    assert 0.03 < share < 0.2


def test_things_stand_out_from_what_is_around_them(examples):
    contrasts = []
    for example in examples:
        ids, image = example.panoptic.ids, example.image.astype(float)
        ground = image[(ids == 1) | (ids == 2)]
        for i in range(3, ids.max() + 1):
            contrasts.append(np.abs(image[ids == i].mean(0) - ground.mean(0)).max())
    assert np.mean(np.array(contrasts) > 20) > 0.97


def test_colour_does_not_tell_the_class():
    things = [t for i in range(400) for t in Shapes().scene(i).things]
    means = [
        np.mean([t.color for t in things if t.kind == kind], 0) for kind in THING_KINDS
    ]
    assert np.ptp(means, 0).max() < 0.12


@pytest.mark.parametrize("kind", THING_KINDS)
def test_every_kind_has_area_size_squared_and_fits_its_window(kind):
    thing = Thing(kind, center=(0.5, 0.5), size=0.3, angle=0.7)
    y, x = pixel_centers((400, 400))
    inside = thing_distance(thing, y, x) < 0
    assert inside.mean() == pytest.approx(0.09, rel=0.01)
    rows, cols = thing_window(thing, (400, 400), margin=0.0)
    assert inside[rows, cols].sum() == inside.sum()
    reach = np.hypot(y - 0.5, x - 0.5)[inside].max()
    assert reach == pytest.approx(0.3 * THING_RADIUS[kind], rel=0.02)


def test_later_things_hide_earlier_ones():
    back = Thing("square", center=(0.4, 0.5), size=0.3, color=(1.0, 0.0, 0.0))
    front = Thing("disc", center=(0.5, 0.5), size=0.3, color=(0.0, 0.0, 1.0))
    image, ids = render(hand_made(back, front), size=(64, 64))
    assert ids[32, 30] == 4  # in both
    assert ids[32, 18] == 3  # in the square alone
    assert image[32, 30, 2] > image[32, 30, 0]
    assert image[32, 18, 0] > image[32, 18, 2]
    assert render(hand_made(front, back), size=(64, 64))[1][32, 30] == 4
    swapped, _ = render(hand_made(front, back), size=(64, 64))
    assert swapped[32, 30, 0] > swapped[32, 30, 2]


def test_a_ring_shows_what_is_behind_its_hole():
    ring = Thing("ring", center=(0.5, 0.5), size=0.4)
    _, ids = render(hand_made(ring), size=(64, 64))
    assert ids[30, 32] == 1  # sky above the border
    assert ids[34, 32] == 2  # ground below
    assert ids[32, 32 + round(0.47 * 0.4 * 64)] == 3
    behind = Thing("disc", center=(0.5, 0.5), size=0.1)
    _, ids = render(hand_made(behind, ring), size=(64, 64))
    assert ids[32, 32] == 3


def test_a_smudge_is_void_and_in_front():
    thing = Thing("disc", center=(0.5, 0.5), size=0.2)
    smudge = Smudge(center=(0.5, 0.5), radius=0.2, angle=0.0, color=(0.2, 0.2, 0.2))
    scene = hand_made(thing, smudge=smudge)
    _, ids = render(scene, size=(64, 64))
    assert ids[32, 32] == 0
    assert [s.id for s in scene_segments(scene, ids)] == [1, 2]


@pytest.mark.parametrize("size", [(128, 128), (300, 200)])
def test_a_texture_made_in_blocks_of_rows_is_that_of_one_product(monkeypatch, size):
    scene = Shapes("val", num_examples=2).scene(1)
    image, ids = render(scene, size=size)
    monkeypatch.setattr(scene_render, "_ONE_THREAD", 1 << 40)
    whole, same = render(scene, size=size)
    # Equal with OpenBLAS; another BLAS may round by the number of rows.
    assert np.abs(image.astype(int) - whole).max() <= 1
    np.testing.assert_array_equal(ids, same)


def test_moved_things_may_leave_the_picture():
    thing = Thing("bar", center=(0.5, 0.5), size=0.2)
    for center in ((-0.1, 0.5), (1.02, 1.02), (2.0, -3.0)):
        moved = dataclasses.replace(thing, center=center)
        scene = hand_made(moved)
        _, ids = render(scene, size=(64, 64))
        y, x = pixel_centers((64, 64))
        np.testing.assert_array_equal(ids == 3, thing_distance(moved, y, x) < 0)


def test_unknown_kinds_are_named():
    y, x = pixel_centers((4, 4))
    with pytest.raises(ValueError, match=r"'star'.*disc"):
        thing_distance(Thing("star", (0.5, 0.5), 0.2), y, x)
    scene = hand_made()
    lava = dataclasses.replace(scene.ground, kind="lava")
    with pytest.raises(ValueError, match="lava"):
        render(dataclasses.replace(scene, ground=lava), size=(8, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "'test'.*train.*val"),
        ({"size": (64, 1)}, "size"),
        ({"num_examples": 0}, "num_examples"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Shapes(**arguments)


def test_index_outside_raises():
    dataset = Shapes(num_examples=3)
    assert len(dataset) == 3
    for index in (-1, 3):
        with pytest.raises(IndexError, match="3 examples"):
            dataset[index]
    assert sum(1 for _ in dataset) == 3


def test_fast_enough_to_draw_while_training():
    dataset = Shapes()
    dataset[0]
    start = time.perf_counter()
    for i in range(50):
        dataset[i]
    assert (time.perf_counter() - start) / 50 < 0.02  # 20 times its usual time
