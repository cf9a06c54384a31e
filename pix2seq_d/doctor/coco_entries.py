"""Lenient reading of the categories and segments of a COCO panoptic JSON."""

from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

from pix2seq_d.doctor.finding import Notes
from pix2seq_d.doctor.map_checks import Described
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic_index import MAX_ID, ImageId, list_some

FORMAT = "see the COCO panoptic format"


def read_categories(entries: Sequence[Any], notes: Notes) -> LabelSpace | None:
    """The categories that have an id, mended so that they can be counted."""
    known: set[int] = set()
    mended: list[dict[str, Any]] = []
    for k, entry in enumerate(entries):
        place = f"categories[{k}]"
        if not is_int(get(entry, "id")) or entry["id"] < 0:
            value = get(entry, "id")
            cure = "give it a number from 0 on"
            notes.add("categories", f"has id {value!r}", cure, place=place)
            continue
        if entry["id"] in known:
            message = f"id {entry['id']} is given twice"
            notes.add("categories", message, "renumber one", place=place)
            continue
        known.add(entry["id"])
        try:
            LabelSpace.from_json([entry])
            mended.append(entry)
        except (TypeError, ValueError) as error:
            message = str(error).replace("categories[0] ", "")
            message, _, cure = message.partition("; ")
            if "isthing" not in entry:
                cure = "give 1 to things, which are counted, and 0 to stuff"
            cure = cure or FORMAT
            notes.add("categories", message, cure, place=place)
            name = str(entry.get("name", f"category {entry['id']}"))
            thing = 1 if entry.get("isthing", 1) in (1, None) else 0
            mended.append({"id": entry["id"], "name": name, "isthing": thing})
    names = Counter(str(entry["name"]) for entry in mended)
    for name in [name for name, count in names.items() if count > 1]:
        message = f"categories have the name {name!r} more than once"
        notes.add("category_names", message, "rename or merge them")
    return LabelSpace.from_json(mended) if mended else None


def read_segments(
    entries: Sequence[Any],
    known: Container[int] | None,
    notes: Notes,
    *,
    place: str,
    image_id: ImageId,
) -> tuple[Described, ...]:
    """The segments of an annotation that can be used, one for each id.

    Args:
      entries: its `segments_info`.
      known: category ids; None where there are none to compare with.
      notes: takes what is wrong.
      place: of the annotation in the JSON.
      image_id: of the image.
    """
    segments: dict[int, Described] = {}
    twice, unknown = [], []
    for k, entry in enumerate(entries):
        number, category = get(entry, "id"), get(entry, "category_id")
        at = {"place": f"{place}.segments_info[{k}]", "image_id": image_id}
        if not is_int(number) or not VOID < number <= MAX_ID:
            cure = f"number segments from 1 to {MAX_ID}, here and in the PNG"
            notes.add("field", f"id is {number!r}", cure, **at)
            continue
        if not is_int(category):
            cure = "make it the id of a category"
            notes.add("field", f"category_id is {category!r}", cure, **at)
            category = None
        elif known is not None and category not in known:
            unknown.append((number, category))
            category = None
        if number in segments:
            twice.append(number)
            continue
        area, box = entry.get("area"), entry.get("bbox")
        is_box = isinstance(box, list) and len(box) == 4 and all(map(_is_real, box))
        segments[number] = Described(
            id=number,
            category_id=category,
            is_crowd=bool(entry.get("iscrowd", 0)),
            area=area if _is_real(area) else None,
            bbox=tuple(box) if is_box else None,
        )
    at = {"place": place, "image_id": image_id}
    if twice:
        message = f"segments {list_some(twice)} are described more than once"
        cure = "give each segment its own id, here and in the PNG"
        notes.add("duplicate_segment_id", message, cure, **at)
    if unknown:
        said = list_some([f"{i} has category_id {c}" for i, c in unknown])
        cure = "add the category or correct the segment"
        message = f"segment {said}, not in categories"
        notes.add("unknown_category", message, cure, **at)
    return tuple(segments.values())


def get(entry: Any, name: str) -> Any:
    """A field; None where it is missing or the entry is no object."""
    return entry.get(name) if isinstance(entry, dict) else None


def is_int(value: Any) -> bool:
    """Whether a value of a JSON is a 32-bit integer."""
    return type(value) is int and abs(value) < 2**31


def is_text(value: Any) -> bool:
    """Whether a value of a JSON is text, and not empty."""
    return isinstance(value, str) and bool(value)


def _is_real(value: Any) -> bool:
    return type(value) in (int, float)
