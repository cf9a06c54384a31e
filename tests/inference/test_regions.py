"""Things as connected regions, on the host and as exported programs find them."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d import segmenter
from pix2seq_d.config import Config, ConfigError
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.evaluation import content_of_mask
from pix2seq_d.evaluation import runner
from pix2seq_d.export import program, vote
from pix2seq_d.export.regions import root_of_regions
from pix2seq_d.inference.device_postprocess import times_shown
from pix2seq_d.inference.postprocess import to_panoptic
from pix2seq_d.inference.predictor import eval_settings
from pix2seq_d.inference.regions import RULE, by_region, number_regions
from pix2seq_d.instance_ids import COCO, KITTI_STEP, IdRule
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import from_channels
from pix2seq_d.sharding import mesh as meshes

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


def test_regions_as_long_as_a_mask_take_few_rounds():
    """Rows that hang together at alternate ends; 5,000 px from one to the other."""
    snake = np.zeros((101, 100), int)
    snake[::2] = 2
    snake[1::4, -1], snake[3::4, 0] = 2, 2
    rounds = 0

    def count(_):
        nonlocal rounds
        rounds += 1

    def counted(condition, body, state):
        def told(state):
            jax.debug.callback(count, state[1])
            return body(state)

        return while_loop(condition, told, state)

    while_loop = jax.lax.while_loop
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.lax, "while_loop", counted)
        root = root_of_regions(jnp.asarray(snake), jnp.asarray(snake == 2))
    jax.effects_barrier()
    assert set(np.unique(root)) == {0, snake.size}
    assert 0 < rounds < 20


def test_a_stuff_class_is_one_and_void_none_whatever_the_ids():
    labels = np.array([[[2, 5], [2, 1], [1, 5], [0, 4], [2, 5], [3, 0], [1, 1]]])
    made = by_region(labels, is_thing=IS_THING, image_size=(1, 7), unpadded=(1, 7))
    np.testing.assert_array_equal(made[..., 0], labels[..., 0])
    a, b, sky, void, c, door, more_sky = made[0, :, 1].tolist()
    assert void == 0 and a == b and sky == more_sky
    assert len({void, a, sky, c, door}) == 5


# Two cars that touch in the padding alone.
APART = np.array([[2, 1, 2], [2, 2, 2]]).repeat(8, axis=0).repeat(8, axis=1)
OF_IMAGE = {"image_size": (32, 48), "unpadded": (16, 48)}


def test_what_lies_in_the_padding_connects_nothing():
    labels = np.stack([APART, np.zeros_like(APART)], -1)
    assert content_of_mask((16, 24), **OF_IMAGE) == (8, 24)
    whole = by_region(labels, is_thing=IS_THING, image_size=(32, 48), unpadded=(32, 48))
    assert whole[0, 0, 1] == whole[0, -1, 1]
    cut = by_region(labels, is_thing=IS_THING, **OF_IMAGE)
    assert cut[0, 0, 1] != cut[0, -1, 1]


def test_evaluation_and_segmenter_leave_out_the_padding():
    labels = np.stack([APART, np.full_like(APART, 7)], -1)
    config = Config().replaced(
        model={"image_size": (32, 48), "mask_size": (16, 24), "num_classes": 4},
        evaluation={"min_area": 0, "instances": "regions"},
    )
    mesh = meshes.make_mesh(jax.devices()[:1])
    scored = runner.finish(
        labels,
        SPACE,
        eval_settings(config, mesh),
        unpadded=(16, 48),
        original=(16, 48),
    )
    shown = segmenter._result(
        np.zeros((16, 48, 3), np.uint8),
        labels,
        np.ones((16, 24)),
        SPACE,
        config,
        unpadded=(16, 48),
    ).panoptic
    for found in (scored, shown):
        areas = sorted((s.category_id, found.areas[s.id]) for s in found.segments)
        assert areas == [(20, 256), (20, 256), (70, 256)]


def test_ids_of_regions_are_not_split_and_cost_no_memory():
    """133 classes of noise: a table of ids, classes and classes would have 445 MB."""
    space = LabelSpace(
        tuple(Category(k, f"c{k}", k > 53, (k, 0, 0)) for k in range(1, 134))
    )
    semantic = np.random.default_rng(0).integers(0, 134, (256, 256))
    config = Config().replaced(
        model={"image_size": (256, 256), "mask_size": (256, 256)},
        evaluation={"min_area": 2, "split_ids": True, "instances": "regions"},
        data={"ids": KITTI_STEP},
    )
    settings = eval_settings(config, meshes.make_mesh(jax.devices()[:1]))
    tracemalloc.start()
    found = runner.finish(
        np.stack([semantic, semantic], -1),
        space,
        settings,
        unpadded=(256, 256),
        original=(256, 256),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.segments) > 100
    assert peak < 250e6


def test_an_exported_program_leaves_out_the_padding_of_each_image(monkeypatch):
    labels = np.stack([APART, np.full_like(APART, 7)], -1).astype(np.int32)
    config = Config().replaced(
        model={"image_size": (32, 48), "mask_size": (16, 24), "num_classes": 4},
        evaluation={"min_area": 0, "instances": "regions"},
    )
    masks = np.stack([labels, labels]), np.ones((2, 16, 24), np.float32)
    monkeypatch.setattr(program.image, "predict", lambda *_, **__: masks)

    def run(images, sizes):
        return program.segment(
            None, images, sizes, np.uint32(0), config=config, label_space=SPACE
        )

    # The first photo fills half of the network's image, the second all of it.
    images, sizes = np.zeros((2, 32, 48, 3), np.uint8), np.array([[16, 48], [32, 48]])
    made = jax.export.export(jax.jit(run), platforms=("cpu", "cuda", "tpu"))
    semantic, instance, _ = made(images, sizes).call(images, sizes)
    assert set(np.unique(semantic)) == {0, 20, 70}
    for row, cars in ((0, 2), (1, 1)):
        ids = np.unique(np.asarray(instance[row])[np.asarray(semantic[row]) == 20])
        assert len(ids) == cars and ids.max() < 4


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
    told = by_region(labels, is_thing=IS_THING, image_size=(32, 32), unpadded=unpadded)
    expected = to_panoptic(
        eval_data.restore(told, **sizes),
        SPACE,
        min_area=min_area,
        merge=False,
        rule=RULE,
        magnified=eval_data.magnification((16, 16), **sizes),
    )
    shown = eval_data.restore(found, **sizes)
    shown = from_channels(shown.astype(np.int32), SPACE)
    assert same_parts(shown.ids, expected.ids)
    assert sorted((s.category_id, shown.areas[s.id]) for s in shown.segments) == sorted(
        (s.category_id, expected.areas[s.id]) for s in expected.segments
    )
    np.testing.assert_array_equal(agrees, semantic == labels[..., 0])
    assert instance.max() <= len(np.unique(told[..., 1]))  # no number of a pixel


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
