"""Votes, small segments and stuff, on maps small enough to check by eye."""

import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.config import Config
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.export import vote as exported
from pix2seq_d.inference import postprocess
from pix2seq_d.inference.stream import thing_ids, track_map
from pix2seq_d.inference.tracks import Tracks, advance
from pix2seq_d.instance_ids import COCO, DAVIS, KITTI_STEP, IdRule
from pix2seq_d.labels import VOID, Category, LabelSpace
from pix2seq_d.panoptic import Segment, from_channels

# Semantic 1 sky and 2 road are stuff, 3 door is a thing.
SPACE = LabelSpace(
    (
        Category(id=70, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=20, name="road", is_thing=False, color=(90, 90, 90)),
        Category(id=30, name="door", is_thing=True, color=(255, 0, 0)),
    )
)


def labels_of(semantic, instance):
    return np.stack([np.array(semantic), np.array(instance)], -1)


def vote(semantic, instance, *, min_area=0):
    labels = labels_of(semantic, instance)
    return postprocess.majority_vote(labels, num_classes=4, min_area=min_area)


def test_every_instance_takes_its_most_frequent_class():
    made = vote([[3, 3, 1, 1], [3, 2, 1, 3]], [[1, 1, 2, 2], [1, 1, 2, 2]])
    assert made.dtype == np.int32
    np.testing.assert_array_equal(made[..., 0], [[3, 3, 1, 1], [3, 3, 1, 1]])
    np.testing.assert_array_equal(made[..., 1], [[1, 1, 2, 2], [1, 1, 2, 2]])


def test_ties_go_to_the_lowest_class():
    made = vote([[3, 1, 3, 1]], [[5, 5, 5, 5]])
    np.testing.assert_array_equal(made[..., 0], [[1, 1, 1, 1]])
    # Void counts as a class, the lowest.
    assert not vote([[3, 0]], [[5, 5]]).any()


def test_an_instance_that_is_mostly_void_becomes_void():
    made = vote([[0, 0, 3, 2]], [[4, 4, 4, 1]])
    np.testing.assert_array_equal(made, labels_of([[0, 0, 0, 2]], [[0, 0, 0, 1]]))


@pytest.mark.parametrize(("min_area", "kept"), [(2, True), (3, True), (4, False)])
def test_segments_below_the_smallest_area_become_void(min_area, kept):
    semantic = [[3, 3, 3, 1, 1, 1, 1, 1]]
    instance = [[1, 1, 1, 2, 2, 2, 2, 2]]
    made = vote(semantic, instance, min_area=min_area)
    assert (made[0, :3] == [3, 1]).all() == kept
    assert (made[0, :3] == 0).all() != kept
    np.testing.assert_array_equal(made[0, 3:], [[1, 2]] * 5)


def test_the_area_is_of_the_instance_not_of_its_class():
    # Three pixels, two of them of the winning class.
    made = vote([[3, 3, 1]], [[1, 1, 1]], min_area=3)
    np.testing.assert_array_equal(made[..., 0], [[3, 3, 3]])


@pytest.mark.parametrize("min_area", [0, 2, 9, 30])
def test_the_vote_and_the_merging_follow_the_spec(min_area):
    rng = np.random.default_rng(min_area)
    labels = labels_of(rng.integers(0, 4, (9, 11)), rng.integers(0, 7, (9, 11)))
    labels[:4, :, 1] = 5
    voted = labels.copy()
    for i in range(7):
        own = labels[..., 1] == i
        votes = [(labels[own][:, 0] == c).sum() for c in range(4)]
        winner = votes.index(max(votes)) if own.sum() >= min_area else 0
        voted[own] = (winner, i if winner else 0)
    made = postprocess.majority_vote(labels, num_classes=4, min_area=min_area)
    np.testing.assert_array_equal(made, voted)
    merged = voted.copy()
    for c in (1, 2):
        own = (voted[..., 0] == c) & (voted[..., 1] > 0)
        if own.any():
            merged[own, 1] = voted[own][:, 1].min()
    made = postprocess.merge_stuff(made, is_thing=SPACE.is_thing)
    assert made.dtype == np.int32
    np.testing.assert_array_equal(made, merged)


def test_classes_that_share_a_number_keep_their_segments():
    # As KITTI-STEP's person 3 and car 3; sky has id 0.
    labels = labels_of([[1, 3, 3, 3, 4, 4, 0]], [[0, 3, 3, 3, 3, 3, 3]])
    space = LabelSpace(
        (*SPACE.categories, Category(id=40, name="cat", is_thing=True, color=(9, 9, 9)))
    )
    options = {"min_area": 1, "rule": KITTI_STEP}
    found = postprocess.to_panoptic(labels, space, **options)
    category = {s.id: s.category_id for s in found.segments}
    drawn = [category.get(i, 0) for i in found.ids[0].tolist()]
    # Of no class, the last is a pixel of the larger.
    assert drawn == [70, 30, 30, 30, 40, 40, 30]
    # Nor do the tracks of a video.
    apart = postprocess.told_apart(
        labels, split=True, num_ids=8, num_classes=5, min_area=1
    )
    voted = postprocess.voted_channels(apart, space, merge=True, **options)
    things = thing_ids(voted, space, 5 * 8)
    tracks = advance(apart[..., 1], Tracks.start(5 * 8), retire_after=1, shown=things)
    tracked = track_map(voted, things, tracks.number, space)
    numbers = {s.category_id: s.instance for s in tracked.segments}
    assert numbers == {70: 0, 30: 1, 40: 2}
    # Where ids are drawn each stands for one thing, so that the vote decides.
    alone = postprocess.to_panoptic(labels, space, min_area=1)
    assert len({s.category_id for s in alone.segments}) == 1
    config = Config().replaced(
        model={"num_classes": 5, "max_instances": 8},
        data={"ids": KITTI_STEP},
        evaluation={"min_area": 1},
    )
    once = jnp.ones(1, jnp.int32), jnp.ones(7, jnp.int32)
    semantic, instance, _ = exported.by_id(
        jnp.asarray(labels), *once, config=config, label_space=space
    )
    pairs = np.stack([semantic, instance], -1)
    np.testing.assert_array_equal(from_channels(pairs, space).ids, found.ids)


@pytest.mark.parametrize(("void", "shown"), [(9, {30}), (10, {0})])
def test_void_of_a_shared_number_outvotes_no_class(void, shown):
    # Ten pixels of class 3 and six of class 4 with number 3, and void with it.
    row = [3] * 10 + [4] * 6 + [VOID] * void
    labels = labels_of([row], [[3] * len(row)])
    space = LabelSpace(
        (*SPACE.categories, Category(id=40, name="cat", is_thing=True, color=(9, 9, 9)))
    )
    found = postprocess.to_panoptic(labels, space, min_area=4, rule=KITTI_STEP)
    category = {s.id: s.category_id for s in found.segments}
    ids = found.ids[0].tolist()
    # As without shared numbers, less void than of the largest class belongs to it.
    assert {category[i] for i in ids[:10]} == {30}
    assert {category[i] for i in ids[10:16]} == {40}
    assert {category.get(i, 0) for i in ids[16:]} == shown


@pytest.mark.parametrize(
    ("rule", "split_ids"),
    [
        (KITTI_STEP, False),
        (KITTI_STEP, True),
        (COCO, True),
        (IdRule(stuff=False), True),
    ],
)
@pytest.mark.parametrize("min_area", [0, 3, 8])
def test_an_id_is_split_among_classes_with_a_segment_alone(min_area, rule, split_ids):
    rng = np.random.default_rng(min_area)
    labels = labels_of(rng.integers(0, 4, (9, 11)), rng.integers(0, 6, (9, 11)))
    apart = postprocess.told_apart(
        labels, split=True, num_ids=8, num_classes=4, min_area=min_area
    )
    expected = labels.copy()
    for i in range(1, 6):
        own = labels[..., 1] == i
        counts = [0, *((labels[own][:, 0] == c).sum() for c in (1, 2, 3))]
        large = [c for c in (1, 2, 3) if counts[c] >= max(min_area, 1)]
        void = (labels[own][:, 0] == VOID).sum()
        for y, x in np.argwhere(own):
            c = labels[y, x, 0] if labels[y, x, 0] in large else np.argmax(counts)
            expected[y, x, 1] = 8 * c + i
            if labels[y, x, 0] == VOID and len(large) > 1 and void >= max(counts):
                expected[y, x, 1] = 0
    np.testing.assert_array_equal(apart, expected)
    # As an exported program does it.
    config = Config().replaced(
        model={"num_classes": 4, "max_instances": 8},
        data={"ids": rule},
        evaluation={"min_area": min_area, "split_ids": split_ids},
    )
    once = jnp.ones(9, jnp.int32), jnp.ones(11, jnp.int32)
    semantic, instance, _ = exported.by_id(
        jnp.asarray(labels), *once, config=config, label_space=SPACE
    )
    found = postprocess.to_panoptic(
        labels, SPACE, min_area=min_area, merge=False, rule=rule, split_ids=split_ids
    )
    pairs = np.stack([semantic, instance], -1)
    np.testing.assert_array_equal(from_channels(pairs, SPACE).ids, found.ids)


def test_all_segments_of_a_stuff_class_become_one():
    semantic = [[1, 1, 1, 2, 3, 3, 0, 1]]
    instance = [[4, 2, 9, 5, 6, 7, 0, 0]]
    made = postprocess.merge_stuff(
        labels_of(semantic, instance), is_thing=SPACE.is_thing
    )
    np.testing.assert_array_equal(made[..., 0], semantic)
    # Sky takes its smallest id; the things, and id 0, keep theirs.
    np.testing.assert_array_equal(made[..., 1], [[2, 2, 2, 5, 6, 7, 0, 0]])


def test_things_alone_are_left_as_they_are():
    labels = labels_of([[3, 3, 0]], [[2, 1, 0]])
    made = postprocess.merge_stuff(labels, is_thing=SPACE.is_thing)
    np.testing.assert_array_equal(made, labels)


def test_stuff_without_ids_gets_one_per_class():
    semantic = [[1, 2, 1, 3, 3, 0, 2]]
    instance = [[0, 0, 0, 2, 0, 0, 4]]
    made = postprocess.number_stuff(
        labels_of(semantic, instance), is_thing=SPACE.is_thing, max_instances=10
    )
    np.testing.assert_array_equal(made[..., 0], semantic)
    np.testing.assert_array_equal(made[..., 1], [[11, 12, 11, 2, 0, 0, 4]])


def to_panoptic(semantic, instance, **options):
    options = {"min_area": 0, **options}
    made = postprocess.to_panoptic(labels_of(semantic, instance), SPACE, **options)
    return made.ids.tolist(), set(made.segments)


SEMANTIC = [[1, 1, 1, 3, 3, 2, 3]]
INSTANCE = [[1, 2, 2, 3, 3, 0, 0]]


def test_pixels_without_instance_are_void():
    ids, segments = to_panoptic(SEMANTIC, INSTANCE)
    assert ids[0][5:] == [0, 0]
    assert segments == {Segment(1, 70), Segment(2, 30)}
    assert ids == [[1, 1, 1, 2, 2, 0, 0]]


def test_merging_can_be_turned_off():
    ids, segments = to_panoptic(SEMANTIC, INSTANCE, merge=False)
    assert ids == [[1, 2, 2, 3, 3, 0, 0]]
    assert segments == {Segment(1, 70), Segment(2, 70), Segment(3, 30)}


def test_small_segments_go_before_stuff_is_merged():
    ids, segments = to_panoptic(SEMANTIC, INSTANCE, min_area=2)
    assert ids == [[0, 1, 1, 2, 2, 0, 0]]
    assert segments == {Segment(1, 70), Segment(2, 30)}


def test_a_model_without_stuff_ids_keeps_its_stuff():
    semantic = [[1, 1, 2, 3, 3, 3, 0]]
    instance = [[0, 0, 0, 1, 2, 0, 0]]
    ids, segments = to_panoptic(semantic, instance, rule=IdRule(stuff=False))
    by_id = {s.id: s.category_id for s in segments}
    assert [by_id.get(i, 0) for i in ids[0]] == [70, 70, 20, 30, 30, 0, 0]
    assert len(segments) == 4
    # With ids of its own, such stuff would be void.
    assert to_panoptic(semantic, instance)[0] == [[0, 0, 0, 1, 2, 0, 0]]


def test_a_model_without_classes_has_one():
    ids, segments = to_panoptic([[0, 0, 1, 0]], [[0, 4, 4, 9]], rule=DAVIS, merge=False)
    assert ids == [[0, 1, 1, 2]]
    assert len({s.category_id for s in segments}) == 1


def test_an_empty_map_has_no_segments():
    ids, segments = to_panoptic([[0, 0]], [[0, 0]], min_area=40)
    assert ids == [[0, 0]]
    assert not segments


def test_ids_are_split_where_asked_for_or_where_classes_share_numbers():
    assert not COCO.splits(False) and COCO.splits(True)
    assert KITTI_STEP.splits(False)
    assert not DAVIS.splits(True)  # which has no classes to split them among


def test_two_objects_with_one_id_stay_two_where_ids_are_split():
    labels = labels_of([[3] * 5 + [4] * 4 + [3]], [[2] * 10])
    car = Category(id=40, name="cat", is_thing=True, color=(9, 9, 9))
    space = LabelSpace((*SPACE.categories, car))

    def classes(**options):
        found = postprocess.to_panoptic(labels, space, min_area=3, **options)
        return sorted(s.category_id for s in found.segments)

    assert classes() == [30]  # the paper's vote
    assert classes(split_ids=True) == [30, 40]


def test_what_splits_an_id_is_as_many_pixels_of_the_mask():
    # 3 x 6 pixels of a mask, 4 of them of class 4, shown 2 x 3 times as large.
    small = labels_of([[3] * 4 + [4, 4]] * 2 + [[3] * 6], [[2] * 6] * 3)
    car = Category(id=40, name="cat", is_thing=True, color=(9, 9, 9))
    space = LabelSpace((*SPACE.categories, car))
    large = small.repeat(2, axis=0).repeat(3, axis=1)
    size = {"image_size": (3, 6), "unpadded": (3, 6), "original": (6, 18)}
    magnified = eval_data.magnification((3, 6), **size)
    assert magnified == 6
    config = Config().replaced(model={"num_classes": 5, "max_instances": 8})
    for min_area, expected in ((4, [30, 40]), (5, [30])):
        options = {"min_area": min_area, "split_ids": True}
        found = postprocess.to_panoptic(large, space, **options, magnified=magnified)
        assert sorted(s.category_id for s in found.segments) == expected
        semantic, _, _ = exported.by_id(
            jnp.asarray(small),
            *(jnp.full(3, 2, jnp.int32), jnp.full(6, 3, jnp.int32)),
            config=config.replaced(evaluation=options),
            label_space=space,
        )
        assert sorted({space.category_ids[c] for c in np.unique(semantic)}) == expected


@pytest.mark.parametrize("seed", range(12))
def test_an_exported_program_splits_masks_of_any_size_alike(seed):
    rng = np.random.default_rng(seed)
    rule = (COCO, IdRule(stuff=False), KITTI_STEP)[seed % 3]
    labels = labels_of(rng.integers(0, 4, (5, 7)), rng.integers(0, 4, (5, 7)))
    size = {"unpadded": (10, 14), "original": rng.integers(1, 40, 2).tolist()}
    size["image_size"] = (10, 14)
    magnified = eval_data.magnification((5, 7), **size)
    large = eval_data.restore(labels, **size)
    rows, columns = (
        eval_data.restore(np.indices((5, 7)).transpose(1, 2, 0), **size)[..., k]
        for k in (0, 1)
    )
    times = np.bincount(rows[:, 0], minlength=5), np.bincount(columns[0], minlength=7)
    options = {"min_area": seed % 4, "split_ids": True}
    config = Config().replaced(
        model={"num_classes": 4, "max_instances": 4},
        data={"ids": rule},
        evaluation=options,
    )
    semantic, instance, _ = exported.by_id(
        jnp.asarray(labels),
        *(jnp.asarray(t, jnp.int32) for t in times),
        config=config,
        label_space=SPACE,
    )
    pairs = np.stack([semantic, instance], -1)[rows, columns]
    found = postprocess.to_panoptic(
        large, SPACE, merge=False, rule=rule, magnified=magnified, **options
    )
    np.testing.assert_array_equal(from_channels(pairs, SPACE).ids, found.ids)


def test_pixels_of_padding_and_of_rows_that_are_not_shown_do_not_count():
    size = {"image_size": (8, 8), "unpadded": (8, 4)}
    assert eval_data.magnification((4, 4), **size, original=(16, 8)) == 16
    assert eval_data.magnification((4, 4), **size, original=(2, 1)) == 1
