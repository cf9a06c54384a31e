"""Things as connected regions, on the host and as exported programs find them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.config import Config, ConfigError
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.evaluation import content_of_mask
from pix2seq_d.export import vote
from pix2seq_d.export.regions import root_of_regions
from pix2seq_d.inference.device_postprocess import times_shown
from pix2seq_d.inference.postprocess import to_panoptic
from pix2seq_d.inference.regions import by_region, number_regions
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import from_channels

# Semantic 1 is stuff, 2 and 3 are things.
SPACE = LabelSpace(
    (
        Category(id=70, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=20, name="car", is_thing=True, color=(90, 90, 90)),
        Category(id=30, name="door", is_thing=True, color=(255, 0, 0)),
    )
)
IS_THING = SPACE.is_thing


def flooded(semantic):
    """Regions by flood fill, one pixel after another."""
    number, count = np.zeros_like(semantic), 0
    for start in np.argwhere(IS_THING[semantic]):
        if number[tuple(start)]:
            continue
        count += 1
        left = [tuple(start)]
        while left:
            y, x = left.pop()
            if number[y, x]:
                continue
            number[y, x] = count
            around = np.argwhere(semantic == semantic[y, x])
            left += [(a, b) for a, b in around if abs(a - y) < 2 and abs(b - x) < 2]
    return number


def same_parts(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_those_of_a_flood_fill(seed):
    semantic = np.random.default_rng(seed).integers(0, 4, (9, 7 + seed))
    found = number_regions(semantic, is_thing=IS_THING)
    expected = flooded(semantic)
    assert expected.max() > 3
    assert same_parts(found, expected)
    assert sorted(set(found.ravel())) == list(range(expected.max() + 1))
    root = jax.jit(root_of_regions)(semantic, IS_THING[semantic])
    assert same_parts(np.asarray(root), expected)


def test_a_long_region_is_one():
    spiral = np.zeros((9, 9), int)
    spiral[0], spiral[:, 8], spiral[8], spiral[2:, 0] = 2, 2, 2, 2
    spiral[2, :7], spiral[2:7, 6], spiral[6, 2:7], spiral[4:7, 2] = 2, 2, 2, 2
    assert number_regions(spiral, is_thing=IS_THING).max() == 1
    root = root_of_regions(jnp.asarray(spiral), jnp.asarray(spiral == 2))
    assert set(np.unique(root)) == {0, 81}


def test_a_stuff_class_is_one_and_void_none_whatever_the_ids():
    labels = np.array([[[2, 5], [2, 1], [1, 5], [0, 4], [2, 5], [3, 0], [1, 1]]])
    made = by_region(labels, is_thing=IS_THING, inside=(1, 7))
    np.testing.assert_array_equal(made[..., 0], labels[..., 0])
    a, b, sky, void, c, door, more_sky = made[0, :, 1].tolist()
    assert void == 0 and a == b and sky == more_sky
    assert len({void, a, sky, c, door}) == 5


def test_what_lies_in_the_padding_connects_nothing():
    semantic = np.array([[2, 1, 2], [2, 2, 2]])
    labels = np.stack([semantic, np.zeros_like(semantic)], -1)
    inside = content_of_mask((2, 3), image_size=(8, 6), unpadded=(4, 6))
    assert inside == (1, 3)
    whole = by_region(labels, is_thing=IS_THING, inside=(2, 3))
    assert whole[0, 0, 1] == whole[0, 2, 1]
    cut = by_region(labels, is_thing=IS_THING, inside=inside)
    assert cut[0, 0, 1] != cut[0, 2, 1]


@pytest.mark.parametrize("rule", [COCO, IdRule(stuff=False)])
@pytest.mark.parametrize("split_ids", [False, True])
@pytest.mark.parametrize(
    ("original", "unpadded"),
    [((40, 30), (32, 24)), ((9, 32), (9, 32)), ((5, 5), (32, 32))],
)
@pytest.mark.parametrize("min_area", [0, 3, 9])
def test_exported_programs_find_the_same_segments(
    rule, split_ids, original, unpadded, min_area
):
    rng = np.random.default_rng(min_area)
    # Blocks of two pixels, so that there are segments to leave and to drop.
    labels = np.stack([rng.integers(0, 4, (8, 8)), rng.integers(0, 6, (8, 8))], -1)
    labels = labels.repeat(2, axis=0).repeat(2, axis=1).astype(np.int32)
    sizes = {"image_size": (32, 32), "unpadded": unpadded, "original": original}
    config = Config().replaced(
        model={
            "num_classes": 4,
            "max_instances": 8,
            "image_size": (32, 32),
            "mask_size": (16, 16),
        },
        data={"ids": rule},
        evaluation={
            "min_area": min_area,
            "split_ids": split_ids,
            "instances": "regions",
        },
    )
    rows, columns = times_shown((16, 16), **sizes)
    semantic, instance, agrees = vote.by_region(
        jnp.asarray(labels),
        jnp.asarray(rows),
        jnp.asarray(columns),
        content=jnp.array(unpadded),
        config=config,
        label_space=SPACE,
    )
    found = np.stack([semantic, instance], -1)
    inside = content_of_mask((16, 16), image_size=(32, 32), unpadded=unpadded)
    told = by_region(labels, is_thing=IS_THING, inside=inside)
    expected = to_panoptic(
        eval_data.restore(told, **sizes),
        SPACE,
        min_area=min_area,
        merge=False,
        rule=rule,
        split_ids=split_ids,
        magnified=eval_data.magnification((16, 16), **sizes),
    )
    shown = eval_data.restore(found, **sizes)
    shown = from_channels(shown.astype(np.int32), SPACE)
    assert same_parts(shown.ids, expected.ids)
    assert sorted((s.category_id, shown.areas[s.id]) for s in shown.segments) == sorted(
        (s.category_id, expected.areas[s.id]) for s in expected.segments
    )
    np.testing.assert_array_equal(agrees, semantic == labels[..., 0])


@pytest.mark.parametrize(
    "changed",
    [{"model": {"num_cond_frames": 2}}, {"data": {"ids": IdRule(classes=False)}}],
)
def test_models_that_need_ids_are_refused(changed):
    with pytest.raises(
        ConfigError, match=r"evaluation.instances='regions'.*take 'ids'"
    ):
        Config().replaced(evaluation={"instances": "regions"}, **changed)


def test_other_words_are_refused():
    with pytest.raises(ConfigError, match=r"evaluation.instances='region'.*choose one"):
        Config().replaced(evaluation={"instances": "region"})
