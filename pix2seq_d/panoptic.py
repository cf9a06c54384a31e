"""Panoptic maps: segment ids <-> (semantic, instance) channels; PNG coding; resize."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pix2seq_d.labels import VOID, LabelSpace


@dataclasses.dataclass(frozen=True)
class Segment:
    """One segment of a panoptic map: its id in the map, category id, crowd flag."""

    id: int
    category_id: int
    is_crowd: bool = False


@dataclasses.dataclass(frozen=True)
class PanopticMap:
    """A panoptic map as files hold it.

    Attributes:
      ids: [H, W] int32, segment id of each pixel, 0 = void.
      segments: description of every id in `ids` but 0.
    """

    ids: np.ndarray
    segments: tuple[Segment, ...]


def rgb_to_ids(rgb: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> int32 [...]: id = R + 256 G + 65536 B (COCO panoptic)."""
    return rgb.astype(np.int32) @ np.array([1, 256, 65536], np.int32)


def ids_to_rgb(ids: np.ndarray) -> np.ndarray:
    """int [...] in [0, 2**24) -> uint8 [..., 3], the inverse of `rgb_to_ids`."""
    return np.stack([(ids >> shift) & 255 for shift in (0, 8, 16)], -1).astype(np.uint8)


def to_channels(
    panoptic: PanopticMap,
    label_space: LabelSpace,
    *,
    max_instances: int,
    stuff_ids: bool = True,
) -> np.ndarray:
    """Panoptic map -> (semantic, instance) channels.

    Every segment, thing or stuff, gets one instance number 1, 2, ... by falling
    area; crowd, void and, where there are more than `max_instances - 1`
    segments, the smallest ones become (0, 0). Without `stuff_ids` only things do;
    stuff keeps instance id 0.

    Args:
      panoptic: map whose category ids are all in `label_space`.
      label_space: the categories.
      max_instances: number of instance ids, 0 included.
      stuff_ids: whether stuff segments get ids, as for COCO; for KITTI-STEP not.
    Returns:
      [H, W, 2] int32: semantic id in [0, num_classes), instance in
      [0, max_instances).
    Raises:
      ValueError: an id in the map without a segment, or an unknown category.
    Source: spec 1.2; section 12 (crowd and overflow).
    """
    present, inverse, areas = np.unique(
        panoptic.ids, return_inverse=True, return_counts=True
    )
    by_id = {s.id: s for s in panoptic.segments}
    table = np.zeros((len(present), 2), np.int32)
    next_instance = 1
    for row in np.argsort(-areas, kind="stable"):
        segment_id = int(present[row])
        if segment_id == VOID:
            continue
        segment = by_id.get(segment_id)
        if segment is None:
            raise ValueError(f"id {segment_id} of the map is not among its segments")
        semantic = label_space.semantic_of.get(segment.category_id)
        if semantic is None:
            raise ValueError(
                f"segment {segment_id} has unknown category id {segment.category_id}"
            )
        if segment.is_crowd:
            continue
        if not stuff_ids and not label_space.is_thing[semantic]:
            table[row] = semantic, 0
        elif next_instance < max_instances:
            table[row] = semantic, next_instance
            next_instance += 1
    return table[inverse.reshape(panoptic.ids.shape)]


def from_channels(labels: np.ndarray, label_space: LabelSpace) -> PanopticMap:
    """(semantic, instance) channels -> panoptic map; ids are 1, 2, ... in file order.

    Pixels whose semantic or instance id is 0 become void (spec 6.1, step 5);
    every distinct (semantic, instance) pair is one segment.

    Args:
      labels: [H, W, 2] int, semantic id in [0, num_classes), instance id >= 0.
      label_space: the categories.
    """
    semantic, instance = labels[..., 0].astype(np.int64), labels[..., 1]
    key = np.where(
        (semantic == VOID) | (instance == VOID),
        0,
        semantic + label_space.num_classes * instance.astype(np.int64),
    )
    present, inverse = np.unique(key, return_inverse=True)
    ids = np.zeros(len(present), np.int32)
    segments = []
    for row, value in enumerate(present):
        if value == 0:
            continue
        ids[row] = len(segments) + 1
        category = label_space.category_ids[value % label_space.num_classes]
        segments.append(Segment(id=int(ids[row]), category_id=int(category)))
    return PanopticMap(ids[inverse.reshape(key.shape)], tuple(segments))


def resize_nearest(x: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Nearest-neighbour resize of [H, W, ...] to [*size, ...], half-pixel centres.

    Source row of output row i is floor((i + 0.5) * H / size[0]), as TensorFlow
    2 does it (spec 5.3); halving takes rows 1, 3, 5, ...
    """
    rows = _nearest_index(x.shape[0], size[0])
    cols = _nearest_index(x.shape[1], size[1])
    return x[rows[:, None], cols[None, :]]


def _nearest_index(old: int, new: int) -> np.ndarray:
    # Integer arithmetic: floor((2 i + 1) old / (2 new)) without rounding error.
    return (2 * np.arange(new) + 1) * old // (2 * new)
