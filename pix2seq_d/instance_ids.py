"""Panoptic maps -> (semantic, instance) channels: each dataset's rule of ids."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment, runs

CROWD = ("void", "segment", "class")
ORDERS = ("random", "shuffle", "distinct", "none", "place")


@dataclasses.dataclass(frozen=True)
class IdRule:
    """How segments become (semantic, instance) (spec 1.1, 1.2, 5.5).

    Instance numbers are the dataset's own, or 1, 2, ... by falling area; then, in
    training, the order draws new ones, the same for all frames of a clip.
    """

    stuff: bool = True  # stuff segments have instance ids; else 0
    # A crowd is (0, 0), or a segment as others, or its class with instance 0.
    crowd: str = "void"
    # Ids are drawn: random, from 1 ... max_instances - 1; shuffle, from 1 ... the
    # largest present; distinct, from 1 ... the number of distinct ids in the map,
    # void included; none, not at all. Ours, for images: place, not drawn, but by where
    # an object is in the mask (training/place_ids.py).
    order: str = "random"
    own: bool = False  # numbers are the dataset's own where it has them (tracks)
    classes: bool = True  # False: semantic 0 everywhere, things told apart only

    def __post_init__(self) -> None:
        if self.crowd not in CROWD:
            raise ValueError(f"crowd={self.crowd!r}: choose one of {CROWD}")
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r}: choose one of {ORDERS}")
        if self.order == "place" and self.own:
            raise ValueError(
                "order='place': the dataset's own numbers would be lost; set "
                "own=False, or order='random'"
            )

    @property
    def shares(self) -> bool:
        """Whether segments of two classes may have one number."""
        return self.own and self.classes

    def splits(self, split_ids: bool) -> bool:
        """Whether a predicted id that several classes have is one object of each.

        Args:
          split_ids: whether it shall be where classes share no numbers.
        """
        return self.shares or (split_ids and self.classes)


COCO = IdRule()
CITYSCAPES = IdRule(crowd="segment", order="distinct")
KITTI_STEP = IdRule(stuff=False, crowd="class", order="shuffle", own=True)
DAVIS = IdRule(order="shuffle", own=True, classes=False)


@dataclasses.dataclass(frozen=True)
class Numbering:
    """What the ids of a map stand for.

    Attributes:
      ids: [K] int32, rising: every id in the map, 0 (void) included.
      numbers: [K, 2] int32, semantic in [0, num_classes), instance in
        [0, max_instances).
      id_range: instance ids are drawn from 1 ... this in training; 0: not drawn.
      num_dropped: segments that found no id and became (0, 0).
    """

    ids: np.ndarray
    numbers: np.ndarray
    id_range: int
    num_dropped: int

    def labels(self, ids: np.ndarray, dtype: npt.DTypeLike = np.int32) -> np.ndarray:
        """Ids [...] of the map, or of a part of it -> `dtype` [..., 2]."""
        values, lengths = runs(ids)
        # Both numbers as one word: many times faster than repeating rows of two.
        numbers = np.ascontiguousarray(self.numbers, dtype)
        words = numbers.view(f"u{2 * numbers.itemsize}")[:, 0]
        found = np.repeat(words[np.searchsorted(self.ids, values)], lengths)
        return found.view(dtype).reshape(*ids.shape, 2)

    def renumbered(self, new_id: np.ndarray) -> "Numbering":
        """With instance numbers looked up in `new_id` [max_instances] int32."""
        numbers = self.numbers.copy()
        numbers[:, 1] = new_id[numbers[:, 1]]
        return dataclasses.replace(self, numbers=numbers)


def number(
    frames: Sequence[PanopticMap],
    label_space: LabelSpace,
    *,
    max_instances: int,
    rule: IdRule = COCO,
) -> Numbering:
    """Numbers the segments of one image, or of the frames of one clip together.

    Segments of one id in several frames are one. Where there are more than
    `max_instances - 1`, the smallest over the clip become (0, 0). An own number
    above that range takes the smallest free one.

    Args:
      frames: maps of one size, category ids all in `label_space`.
      label_space: the categories.
      max_instances: number of instance ids, 0 included.
      rule: of the dataset.
    Raises:
      ValueError: an id in a map without a segment, or an unknown category.
    Source: spec 1.1, 1.2; section 12 (crowd and overflow).
    """
    total: Counter[int] = Counter()
    for frame in frames:
        total.update(frame.areas)
    present = np.array(sorted(total), np.int32)
    sizes = np.array([total[int(i)] for i in present])
    by_id = {s.id: s for frame in frames for s in frame.segments}
    numbers = np.zeros((len(present), 2), np.int32)
    wanted: list[tuple[int, Segment]] = []
    for row in np.argsort(-sizes, kind="stable").tolist():
        if present[row] == VOID:
            continue
        segment = by_id.get(int(present[row]))
        if segment is None:
            raise ValueError(f"id {present[row]} of the map is not among its segments")
        semantic = label_space.semantic_of.get(segment.category_id)
        if semantic is None:
            raise ValueError(
                f"segment {segment.id} has unknown category id {segment.category_id}"
            )
        if segment.is_crowd and rule.crowd == "void":
            continue
        numbers[row, 0] = semantic
        is_numbered = rule.stuff or label_space.is_thing[semantic]
        if is_numbered and not (segment.is_crowd and rule.crowd == "class"):
            wanted.append((row, segment))
    found = _numbers([s for _, s in wanted], max_instances=max_instances, own=rule.own)
    for (row, _), own in zip(wanted, found, strict=True):
        numbers[row] = (0, 0) if own is None else (numbers[row, 0], own)
    if not rule.classes:
        numbers[:, 0] = 0
    most = max_instances - 1
    id_range = {
        "random": most,
        "shuffle": int(numbers[:, 1].max(initial=0)),
        "distinct": min(len(present), most),
        "none": 0,
        "place": 0,
    }[rule.order]
    return Numbering(present, numbers, id_range, found.count(None))


def _numbers(
    segments: Sequence[Segment], *, max_instances: int, own: bool
) -> list[int | None]:
    """Instance number of each segment, largest first; None where none is left.

    An own number may stand for several segments: the class tells them apart.
    """
    numbers: list[int | None] = [None] * len(segments)
    for k, segment in enumerate(segments):
        # 0 is the number of segments without instances.
        if own and segment.instance and segment.instance < max_instances:
            numbers[k] = segment.instance
    free = sorted(set(range(1, max_instances)) - set(numbers), reverse=True)
    for k, number in enumerate(numbers):
        if number is None and free:
            numbers[k] = free.pop()
    return numbers
