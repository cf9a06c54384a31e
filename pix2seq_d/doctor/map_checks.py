"""Checks of a panoptic map against the description of its segments."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import ndimage

from pix2seq_d.doctor.facts import MapFacts
from pix2seq_d.doctor.finding import Finding
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import areas
from pix2seq_d.panoptic_index import ImageId, list_some

_Remark = tuple[str, str, str]  # kind, message, cure


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """A segment as the files describe it; area and bbox where they say so.

    Attributes:
      id: in the map.
      category_id: None where it is no known category.
      is_crowd: a region of things that are not told apart.
      area: number of pixels.
      bbox: x, y, width, height.
    """

    id: int
    category_id: int | None
    is_crowd: bool = False
    area: float | None = None
    bbox: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Classes:
    """Names of the categories, and which are things."""

    names: Mapping[int, str]
    things: frozenset[int]


def classes_of(label_space: LabelSpace | None) -> Classes:
    """The categories of a label space; none where it cannot be read."""
    categories = label_space.categories if label_space else ()
    return Classes(
        names={c.id: c.name for c in categories},
        things=frozenset(c.id for c in categories if c.is_thing),
    )


def check_map(
    ids: np.ndarray,
    segments: Sequence[Described],
    classes: Classes,
    *,
    where: str,
    image_id: ImageId | None,
    max_instances: int,
    rule: IdRule = COCO,
) -> tuple[list[Finding], MapFacts]:
    """Compares a map with its segments, and counts.

    Args:
      ids: [H, W] int, 0 = void.
      segments: with ids that differ.
      classes: of the dataset.
      where: the label file.
      image_id: of the image.
      max_instances: of the model, 0 included.
      rule: which segments have instance ids.
    """
    present, counts = areas(ids)
    area = dict(zip(present.tolist(), counts.tolist(), strict=True))
    void = area.pop(VOID, 0)
    shown = [s for s in segments if s.id in area]
    described = {s.id for s in segments}
    unknown = [i for i in area if i not in described]
    numbered = sum(_has_id(s, classes, rule) for s in shown)
    num_dropped = max(0, numbered - (max_instances - 1))
    remarks = [
        *_check_ids([s for s in segments if s.id not in area], unknown),
        *_check_areas(shown, area),
        *_check_boxes(shown, present, ids),
        *_check_stuff(shown, classes),
    ]
    if num_dropped:
        remarks.append(
            (
                "too_many_instances",
                f"has {numbered} segments that need an id, a model with max_instances="
                f"{max_instances} has {max_instances - 1}: the {num_dropped} smallest "
                "become void",
                "raise model.max_instances, or cut the image",
            )
        )
    is_void = all(s.is_crowd and rule.crowd == "void" for s in shown)
    # Objects without classes, as in videos, may leave the picture.
    if rule.classes and not unknown and is_void:
        what = "crowds only, which become void" if shown else "no labelled pixel"
        cure = "label it, or remove it from the annotations"
        remarks.append(("all_void", f"has {what}", cure))
    findings = [
        Finding(kind, where, message, cure, image_id) for kind, message, cure in remarks
    ]
    return findings, _facts(
        shown, area, void, classes, numbered=numbered, num_dropped=num_dropped
    )


def _has_id(segment: Described, classes: Classes, rule: IdRule) -> bool:
    """As in `instance_ids.number`, which may even give one number to two classes."""
    if segment.is_crowd and rule.crowd != "segment":
        return False
    return rule.stuff or segment.category_id in classes.things


def _check_ids(empty: Sequence[Described], unknown: Sequence[int]) -> Iterator[_Remark]:
    if unknown:
        yield (
            "undescribed_ids",
            f"ids {list_some(unknown)} are not in its segments_info",
            "add them there or paint them 0 (void)",
        )
    if empty:
        yield (
            "empty_segment",
            f"segments {list_some([s.id for s in empty])} have no pixel",
            "remove them from segments_info, or paint them",
        )


def _check_areas(
    shown: Sequence[Described], area: Mapping[int, int]
) -> Iterator[_Remark]:
    wrong = [s for s in shown if s.area is not None and s.area != area[s.id]]
    if wrong:
        first = wrong[0]
        more = f" ({len(wrong) - 1} more differ)" if wrong[1:] else ""
        yield (
            "area",
            f"segment {first.id} has area {first.area:g} but {area[first.id]} pixels"
            f"{more}",
            "count again; training does not use it, other tools do",
        )


def _check_boxes(
    shown: Sequence[Described], present: np.ndarray, ids: np.ndarray
) -> Iterator[_Remark]:
    if not any(s.bbox for s in shown):
        return
    boxes = {}
    rows = np.searchsorted(present, ids)
    for i, part in zip(present.tolist(), ndimage.find_objects(rows + 1), strict=True):
        y, x = part
        boxes[i] = (x.start, y.start, x.stop - x.start, y.stop - y.start)
    wrong = [s for s in shown if s.bbox is not None and s.bbox != boxes[s.id]]
    if wrong:
        first = wrong[0]
        more = f" ({len(wrong) - 1} more differ)" if wrong[1:] else ""
        yield (
            "bbox",
            f"segment {first.id} has bbox {list(first.bbox or ())} but its pixels "
            f"{list(boxes[first.id])}{more}",
            "compute x, y, width, height again; training does not use it",
        )


def _check_stuff(shown: Sequence[Described], classes: Classes) -> Iterator[_Remark]:
    parts = Counter(s.category_id for s in shown if not s.is_crowd)
    for category, count in parts.items():
        if category is None or category not in classes.names or count == 1:
            continue
        if category not in classes.things:
            yield (
                "stuff_in_parts",
                f"stuff {classes.names[category]!r} has {count} segments",
                "merge them into one, or make the category a thing (isthing 1)",
            )


def _facts(
    shown: Sequence[Described],
    area: Mapping[int, int],
    void: int,
    classes: Classes,
    *,
    numbered: int,
    num_dropped: int,
) -> MapFacts:
    segments: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for segment in shown:
        if segment.category_id is not None:
            segments[segment.category_id] += 1
            pixels[segment.category_id] += area[segment.id]
    crowds = [s for s in shown if s.is_crowd]
    return MapFacts(
        segments=dict(segments),
        pixels=dict(pixels),
        num_pixels=void + sum(area.values()),
        num_instances=sum(
            s.category_id in classes.things and not s.is_crowd for s in shown
        ),
        crowd_pixels=sum(area[s.id] for s in crowds),
        void_pixels=void,
        num_numbered=numbered,
        num_dropped=num_dropped,
    )
