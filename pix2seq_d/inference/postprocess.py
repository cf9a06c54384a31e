"""From decoded (semantic, instance) maps to segments: vote, area, stuff (spec 6.1)."""

import math
from fractions import Fraction

import numpy as np

from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, from_channels, pair_runs


def majority_vote(labels: np.ndarray, *, num_classes: int, min_area: int) -> np.ndarray:
    """Gives every instance id one class and drops the small ones.

    Each id takes the class most of its pixels vote for (void included, ties to
    the lowest class); ids of fewer than `min_area` pixels become void; the
    instance id is 0 wherever the class is.

    Args:
      labels: [H, W, 2] int, (semantic in [0, num_classes), instance >= 0).
      num_classes: number of semantic ids, void included.
      min_area: smallest segment in pixels.
    Returns:
      [H, W, 2] int32.
    Source: spec 6.1, step 4.
    """
    pairs, lengths = pair_runs(labels)
    instance = pairs[:, 1]
    num_ids = int(instance.max(initial=0)) + 1
    votes = _votes(pairs, lengths, num_ids=num_ids, num_classes=num_classes)
    winner = votes.argmax(axis=1)
    winner[votes.sum(axis=1) < min_area] = VOID
    voted = winner[instance]
    pairs = np.stack([voted, np.where(voted == VOID, 0, instance)], -1)
    return _repeat(pairs, lengths, labels.shape)


def merge_stuff(labels: np.ndarray, *, is_thing: np.ndarray) -> np.ndarray:
    """Gives all pixels of one stuff class one instance id, the smallest it has.

    Pixels with instance id 0 stay as they are.

    Args:
      labels: [H, W, 2] int, (semantic, instance), one class per instance id.
      is_thing: [num_classes] bool.
    Returns:
      [H, W, 2] int32.
    Source: spec 6.1, last paragraph (standard practice).
    """
    pairs, lengths = pair_runs(labels)
    semantic, instance = pairs[:, 0], pairs[:, 1]
    stuff = ~is_thing[semantic] & (instance > 0)
    lowest = np.full(len(is_thing), np.iinfo(np.int64).max)
    np.minimum.at(lowest, semantic[stuff], instance[stuff])
    instance[stuff] = lowest[semantic[stuff]]
    return _repeat(pairs, lengths, labels.shape)


def number_stuff(
    labels: np.ndarray, *, is_thing: np.ndarray, max_instances: int
) -> np.ndarray:
    """Gives stuff pixels without id one of their class: max_instances + semantic.

    For models whose stuff has instance id 0 (spec 1.2, KITTI-STEP): every stuff
    class then is one segment. Other pixels keep their id.

    Args:
      labels: [H, W, 2] int (semantic, instance).
      is_thing: [num_classes] bool.
      max_instances: number of instance ids, 0 included.
    Returns:
      [H, W, 2] int32, instance ids in [0, max_instances + num_classes).
    """
    semantic, instance = labels[..., 0], labels[..., 1]
    stuff = ~is_thing[semantic] & (semantic != VOID) & (instance == 0)
    numbered = np.where(stuff, max_instances + semantic, instance)
    return np.stack([semantic, numbered], -1).astype(np.int32)


def told_apart(
    labels: np.ndarray, *, split: bool, num_ids: int, num_classes: int, min_area: int
) -> np.ndarray:
    """Labels with instance ids of which each stands for one object.

    Classes of a set with track numbers of its own may share them (spec 1.2), so that
    `majority_vote` would take person 3 for a part of car 3; and two objects may get
    one id by mistake. Split, an id > 0 becomes
    class * num_ids + id, once for each class that has a segment of it, and what is of
    no such class goes to the largest; without any, to the class of most pixels. Where
    several classes have one, void that has at least as many pixels as the largest, and
    would win its vote, loses the id.

    Args:
      labels: [H, W, 2] int, (semantic in [0, num_classes), instance in [0, num_ids)).
      split: `IdRule.splits`; False leaves all labels as they are.
      num_ids: number of instance ids, 0 included.
      num_classes: number of semantic ids, void included.
      min_area: pixels that make a segment, of `least_own`.
    Returns:
      [H, W, 2], instance ids in [0, num_classes * num_ids).
    Source: ours.
    """
    if not split:
        return labels
    pairs, lengths = pair_runs(labels)
    semantic, instance = pairs[:, 0], pairs[:, 1]
    votes = _votes(pairs, lengths, num_ids=num_ids, num_classes=num_classes)
    void = votes[:, VOID].copy()
    votes[:, VOID] = 0
    is_own = votes >= max(min_area, 1)
    largest = votes.argmax(axis=1)
    class_ = np.where(is_own[instance, semantic], semantic, largest[instance])
    outvotes = (is_own.sum(axis=1) > 1) & (void >= votes.max(axis=1))
    no_part = (semantic == VOID) & outvotes[instance]
    apart = np.where((instance > 0) & ~no_part, class_ * num_ids + instance, 0)
    return _repeat(np.stack([semantic, apart], -1), lengths, labels.shape)


def least_own(min_area: int, *, rule: IdRule, magnified: Fraction | int) -> int:
    """Pixels of an id that make a class an object of its own where ids are split.

    `min_area` of them where classes share numbers by design. Elsewhere two objects have
    one id by mistake, and stray pixels are more frequent: it takes about as many of the
    mask, however large the original is. 20 pixels at 64 x 64 are 1280 of 512 x 512.

    Args:
      min_area: smallest segment in pixels of the original.
      rule: of instance ids that the model was trained with.
      magnified: pixels of the original for each of the mask's.
    Source: ours.
    """
    if rule.shares:
        return min_area
    return math.ceil(min_area * max(magnified, 1))


def to_panoptic(
    labels: np.ndarray,
    label_space: LabelSpace,
    *,
    min_area: int,
    merge: bool = True,
    rule: IdRule = COCO,
    split_ids: bool = False,
    magnified: Fraction | int = 1,
) -> PanopticMap:
    """Decoded channels at original size -> panoptic map.

    Args:
      labels: [H, W, 2] int (semantic, instance).
      label_space: the categories.
      min_area: smallest segment in pixels; smaller ones become void.
      merge: whether all segments of a stuff class become one.
      rule: of instance ids that the model was trained with.
      split_ids: whether an id of several classes is one object of each; always so
        where they share numbers.
      magnified: pixels of the original for each of the mask's.
    Source: spec 6.1, steps 4 and 5; `split_ids` is ours.
    """
    labels = shown_channels(
        labels,
        label_space,
        num_ids=int(labels[..., 1].max(initial=0)) + 1,
        min_area=min_area,
        merge=merge,
        rule=rule,
        split_ids=split_ids,
        magnified=magnified,
    )
    return from_channels(labels, label_space)


def shown_channels(
    labels: np.ndarray,
    label_space: LabelSpace,
    *,
    num_ids: int,
    min_area: int,
    merge: bool,
    rule: IdRule,
    split_ids: bool,
    magnified: Fraction | int,
) -> np.ndarray:
    """`voted_channels` of what `told_apart` makes of decoded channels.

    Args:
      labels: [H, W, 2] int (semantic, instance in [0, num_ids)).
      label_space: the categories.
      num_ids: number of instance ids, 0 included.
      min_area: as of `to_panoptic`, as all that follow.
      merge: likewise.
      rule: likewise.
      split_ids: likewise.
      magnified: likewise.
    """
    apart = told_apart(
        labels,
        split=rule.splits(split_ids),
        num_ids=num_ids,
        num_classes=label_space.num_classes,
        min_area=least_own(min_area, rule=rule, magnified=magnified),
    )
    return voted_channels(apart, label_space, min_area=min_area, merge=merge, rule=rule)


def voted_channels(
    labels: np.ndarray,
    label_space: LabelSpace,
    *,
    min_area: int,
    merge: bool,
    rule: IdRule,
) -> np.ndarray:
    """The channels of a panoptic map: each pair but (0, 0) is a segment.

    Instance ids of things stay as given; stuff without id has one above them.

    Args:
      labels: [H, W, 2] int (semantic, instance), of `told_apart`.
      label_space: the categories.
      min_area: as of `to_panoptic`, as all that follow.
      merge: likewise.
      rule: likewise.
    Returns:
      [H, W, 2] int32.
    """
    labels = _all_numbered(labels, label_space, rule=rule)
    labels = majority_vote(
        labels, num_classes=label_space.num_classes, min_area=min_area
    )
    if merge:
        labels = merge_stuff(labels, is_thing=label_space.is_thing)
    return labels


def raw_panoptic(
    labels: np.ndarray, label_space: LabelSpace, *, rule: IdRule
) -> PanopticMap:
    """Decoded channels as they are, for looking at: every pair is a segment.

    Args:
      labels: [H, W, 2] int (semantic, instance).
      label_space: the categories.
      rule: of instance ids that the model was trained with.
    Source: ours.
    """
    return from_channels(_all_numbered(labels, label_space, rule=rule), label_space)


def _all_numbered(
    labels: np.ndarray, label_space: LabelSpace, *, rule: IdRule
) -> np.ndarray:
    if not rule.classes:  # the ids alone count: all are of the first class
        instance = labels[..., 1]
        labels = np.stack([instance > 0, instance], -1).astype(np.int32)
    if rule.stuff:
        return labels
    highest = int(labels[..., 1].max(initial=0))
    return number_stuff(
        labels, is_thing=label_space.is_thing, max_instances=highest + 1
    )


def _votes(
    pairs: np.ndarray, lengths: np.ndarray, *, num_ids: int, num_classes: int
) -> np.ndarray:
    """[num_ids, num_classes] pixels of each instance id and class, float64."""
    # Exact to 2**53.
    return np.bincount(
        pairs[:, 1] * num_classes + pairs[:, 0],
        weights=lengths,
        minlength=num_ids * num_classes,
    ).reshape(num_ids, num_classes)


def _repeat(
    pairs: np.ndarray, lengths: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """The map, int32 [*shape], of runs: the inverse of `pair_runs`."""
    words = np.ascontiguousarray(pairs, np.int32).view(np.int64)[:, 0]
    return np.repeat(words, lengths).view(np.int32).reshape(shape)
