"""Overlapping masks -> one panoptic map, in an explicit order."""

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

ORDERS = ("area", "given")


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One mask of an image, cut to its bounding box.

    Attributes:
      mask: [h, w] bool; no pixel at all for an empty mask.
      corner: (y, x) of its first pixel in the image.
      category_id: None paints void.
      is_crowd: a region of things that are not told apart.
      group: layers of one class and one group are one object; None: its own.
    """

    mask: np.ndarray
    corner: tuple[int, int]
    category_id: int | None
    is_crowd: bool = False
    group: Hashable = None

    @classmethod
    def of(
        cls,
        mask: np.ndarray,
        category_id: int | None,
        *,
        is_crowd: bool = False,
        group: Hashable = None,
    ) -> "Layer":
        """Cuts a mask, bool [H, W]."""
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not rows.size:
            empty = np.zeros((0, 0), bool)
            return cls(empty, (0, 0), category_id, is_crowd, group)
        y, x = int(rows[0]), int(cols[0])
        part = mask[y : rows[-1] + 1, x : cols[-1] + 1].copy()
        return cls(part, (y, x), category_id, is_crowd, group)


@dataclasses.dataclass(frozen=True)
class Painted:
    """What `paint` makes: the map, and how many objects are not in it.

    Attributes:
      panoptic: every segment has a pixel.
      hidden: objects that others hide completely.
      empty: objects whose masks have no pixel.
    """

    panoptic: PanopticMap
    hidden: int
    empty: int


def check_order(order: str) -> None:
    """Raises ValueError unless `order` is one of `ORDERS`."""
    if order not in ORDERS:
        raise ValueError(f"order={order!r}: choose one of {ORDERS}")


def paint(
    layers: Sequence[Layer],
    size: tuple[int, int],
    label_space: LabelSpace,
    *,
    order: str,
    below: np.ndarray | None = None,
) -> Painted:
    """Paints layers one over the other.

    `area`: stuff, then crowds, then things, larger ones first. `given`: crowds,
    then all others as they come, later ones on top. All of a stuff class is one
    segment; so are all crowds of a class, as the official PQ counts them.

    Args:
      layers: their categories are in `label_space`.
      size: (H, W).
      label_space: the categories.
      order: one of `ORDERS`.
      below: [H, W] int, semantic ids of stuff or void, painted first.
    Returns:
      The map, ids 1, 2, ... in painting order without those that vanished.
    """
    check_order(order)
    keys = [_key(k, layer, label_space) for k, layer in enumerate(layers)]
    areas: dict[Hashable, int] = {}
    for key, layer in zip(keys, layers, strict=True):
        areas[key] = areas.get(key, 0) + int(layer.mask.sum())

    def position(k: int) -> tuple[int, int]:
        if order == "given":
            return int(keys[k][0] != "crowd"), 0
        return ("stuff", "crowd", "thing", "void").index(keys[k][0]), -areas[keys[k]]

    ids = np.zeros(size, np.int32)
    number: dict[Hashable, int] = {}
    segments: list[Segment] = []
    if below is not None:
        ids, segments = _stuff_segments(below, label_space)
        number = {("stuff", s.category_id): s.id for s in segments}
    for k in sorted(range(len(layers)), key=position):
        layer, key = layers[k], keys[k]
        (height, width), (y, x) = layer.mask.shape, layer.corner
        value = VOID
        if layer.category_id is not None and areas[key]:
            if key not in number:
                number[key] = len(segments) + 1
                made = Segment(number[key], layer.category_id, key[0] == "crowd")
                segments.append(made)
            value = number[key]
        ids[y : y + height, x : x + width][layer.mask] = value
    present = np.bincount(ids.ravel(), minlength=len(segments) + 1) > 0
    objects = {key for key in keys if key[0] != "void"}
    empty = sum(not areas[key] for key in objects)
    hidden = sum(key in number and not present[number[key]] for key in objects)
    segments = [s for s in segments if present[s.id]]
    return Painted(PanopticMap(ids, tuple(segments)), hidden, empty)


def _stuff_segments(
    semantic: np.ndarray, label_space: LabelSpace
) -> tuple[np.ndarray, list[Segment]]:
    present, inverse = np.unique(semantic, return_inverse=True)
    table, segments = np.zeros(len(present), np.int32), []
    for row, value in enumerate(present.tolist()):
        if value != VOID:
            table[row] = len(segments) + 1
            category_id = int(label_space.category_ids[value])
            segments.append(Segment(int(table[row]), category_id))
    return table[inverse.reshape(semantic.shape)], segments


def _key(index: int, layer: Layer, label_space: LabelSpace) -> tuple[Hashable, ...]:
    """What makes one segment; begins with its kind."""
    if layer.category_id is None:
        return ("void", index)
    semantic = label_space.semantic_of[layer.category_id]
    if not label_space.is_thing[semantic]:
        return ("stuff", layer.category_id)
    if layer.is_crowd:
        return ("crowd", layer.category_id)
    alone = layer.group is None
    return ("thing", layer.category_id, alone, index if alone else layer.group)
