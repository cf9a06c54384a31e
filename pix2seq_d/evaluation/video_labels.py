"""The labels that videos are scored with, from the maps and categories of a dataset.

A label is class * `DIVISOR` + instance, class 0 the first category. Without classes
(`IdRule.classes`) there is one, of all things but crowds, and the rest is void.
"""

import numpy as np

from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers import davis_frames
from pix2seq_d.instance_ids import IdRule, Numbering
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_index import MAX_ID

# Room for KITTI-STEP's two bytes of track numbers, and for the ids of COCO panoptic
# PNGs, which are the tracks where a dataset has no numbers of its own.
DIVISOR = MAX_ID + 1

_IGNORE = 255  # class of void, as in the official label maps


def label_coding(label_space: LabelSpace, rule: IdRule) -> LabelCoding:
    """The coding of the labels that are scored; without classes there is one, a thing.

    Args:
      label_space: the categories; class k is `categories[k]`.
      rule: of ids.
    """
    is_thing = label_space.is_thing[1:] if rule.classes else np.array([True])
    things = tuple(np.flatnonzero(is_thing).tolist())
    return LabelCoding(len(is_thing), things, max(_IGNORE, len(is_thing)), DIVISOR)


def truth_channels(
    panoptic: PanopticMap, label_space: LabelSpace, *, rule: IdRule
) -> np.ndarray:
    """The truth of a frame with its tracks.

    Args:
      panoptic: of the frame.
      label_space: the categories.
      rule: of ids; without classes all things but crowds are of class 1, the rest is
        void.
    Returns:
      [H, W, 2] int32 (semantic, track): the track of a thing is its number in the
      dataset's files or, without one, its segment id; 0 for stuff and crowds.
    Raises:
      ValueError: an id of the map has no segment, a category is unknown, or a track
        is not below `DIVISOR`.
    """
    by_id = {segment.id: segment for segment in panoptic.segments}
    present = np.array(list(panoptic.areas), np.int32)
    numbers = np.zeros((len(present), 2), np.int32)
    for row, value in enumerate(present.tolist()):
        if value == VOID:
            continue
        segment = by_id.get(value)
        semantic = label_space.semantic_of.get(segment.category_id) if segment else None
        if segment is None or semantic is None:
            raise ValueError(
                f"id {value} of the map has no segment of a known category"
            )
        is_thing = label_space.is_thing[semantic]
        track = value if segment.instance is None else segment.instance
        if not 0 <= track < DIVISOR:
            raise ValueError(f"track {track} of the truth is not in 0 ... {MAX_ID}")
        is_numbered = is_thing and not segment.is_crowd
        if rule.classes or is_numbered:
            numbers[row, 0] = semantic if rule.classes else 1
        if is_numbered:
            numbers[row, 1] = track
    return Numbering(present, numbers, 0, 0).labels(panoptic.ids)


def truth_objects(labels: np.ndarray, panoptic: PanopticMap) -> np.ndarray:
    """The truth of a frame as J&F has it: void is told apart from the background.

    Args:
      labels: [H, W] int64, `code` of `truth_channels` without classes.
      panoptic: of the frame.
    Returns:
      [H, W] int64, the track of a thing, 255 (void) in crowds, else 0.
    """
    objects = labels % DIVISOR
    crowds = [segment.id for segment in panoptic.segments if segment.is_crowd]
    if crowds:
        objects[np.isin(panoptic.ids, crowds)] = davis_frames.VOID
    return objects


def code(channels: np.ndarray, coding: LabelCoding) -> np.ndarray:
    """Channels -> the labels that are scored, class = semantic - 1.

    Args:
      channels: [H, W, 2] int32 (semantic in [0, num_classes], instance).
      coding: of `label_coding`.
    Returns:
      [H, W] int64, class * DIVISOR + instance; instance 0 for all but things, the
      ignore label for void.
    """
    semantic, instance = channels[..., 0], channels[..., 1]
    is_thing = np.array([False, *coding.is_thing[: coding.num_classes]])[semantic]
    first = np.arange(-1, coding.num_classes) * np.int64(DIVISOR)
    first[VOID] = coding.void_label
    return first[semantic] + np.where(is_thing, instance, 0)
