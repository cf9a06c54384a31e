"""Label spaces: which categories there are, as data that travels with a checkpoint."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pix2seq_d.palette import distinct_colors

VOID = 0  # semantic id and instance id of unlabelled pixels and padding


@dataclasses.dataclass(frozen=True)
class Category:
    """One category: its id in the dataset's files, name, thing or stuff, RGB colour."""

    id: int
    name: str
    is_thing: bool
    color: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """The categories of a dataset; semantic id k (1, 2, ...) is `categories[k - 1]`.

    Semantic id 0 is void. Source: spec 1.1.
    """

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        ids = [c.id for c in self.categories]
        if not ids:
            raise ValueError("a label space needs at least one category")
        if len(set(ids)) != len(ids):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            raise ValueError(f"category ids given twice: {twice}")
        if min(ids) < 0:
            raise ValueError(f"category ids must not be negative, found {min(ids)}")

    @property
    def num_classes(self) -> int:
        """Number of semantic ids, void included."""
        return len(self.categories) + 1

    @functools.cached_property
    def semantic_of(self) -> dict[int, int]:
        """Category id -> semantic id (1 ... num_classes - 1)."""
        return {c.id: k for k, c in enumerate(self.categories, start=1)}

    @property
    def void_id(self) -> int:
        """What stands for void among category ids: 0, or -1 where a category has it."""
        return -1 if VOID in self.semantic_of else VOID

    @functools.cached_property
    def category_ids(self) -> np.ndarray:
        """[num_classes] int64: category id of each semantic id; `void_id` for void."""
        return np.array([self.void_id, *self.semantic_of], np.int64)

    @functools.cached_property
    def is_thing(self) -> np.ndarray:
        """[num_classes] bool: whether a semantic id is a thing; void is not."""
        return np.array([False, *(c.is_thing for c in self.categories)])

    @functools.cached_property
    def colors(self) -> np.ndarray:
        """[num_classes, 3] uint8: RGB colour of each semantic id; void is black."""
        return np.array([(0, 0, 0), *(c.color for c in self.categories)], np.uint8)

    def names(self) -> tuple[str, ...]:
        """Name of each semantic id, `void` first."""
        return ("void", *(c.name for c in self.categories))

    def to_json(self) -> list[dict[str, Any]]:
        """The `categories` list of a COCO panoptic JSON."""
        return [
            {
                "id": c.id,
                "name": c.name,
                "isthing": int(c.is_thing),
                "color": list(c.color),
            }
            for c in self.categories
        ]

    @classmethod
    def from_json(cls, categories: Iterable[Mapping[str, Any]]) -> "LabelSpace":
        """Reads the `categories` list of a COCO panoptic JSON; `color` is optional.

        Raises:
          ValueError: an entry lacks `id`, `name` or `isthing`, has a bad `id` or
            `color`, or ids repeat.
        """
        entries = list(categories)
        palette = distinct_colors(len(entries))
        made = []
        for k, entry in enumerate(entries):
            for field in ("id", "name", "isthing"):
                if field not in entry:
                    raise ValueError(f"categories[{k}] has no field {field!r}")
            try:
                category_id = int(entry["id"])
            except (TypeError, ValueError, OverflowError):
                category_id = 2**31
            if category_id >= 2**31:
                raise ValueError(
                    f"categories[{k}] has id {entry['id']!r}; give a 32-bit integer"
                )
            if entry["isthing"] not in (0, 1):
                raise ValueError(
                    f"categories[{k}] has isthing {entry['isthing']!r}; give 0 or 1"
                )
            color = palette[k] if entry.get("color") is None else entry["color"]
            if (
                not isinstance(color, Sequence)
                or len(color) != 3
                or any(type(v) is not int or not 0 <= v <= 255 for v in color)
            ):
                raise ValueError(
                    f"categories[{k}] has color {color!r}; give three integers 0..255"
                )
            made.append(
                Category(
                    id=category_id,
                    name=str(entry["name"]),
                    is_thing=bool(entry["isthing"]),
                    color=(int(color[0]), int(color[1]), int(color[2])),
                )
            )
        return cls(tuple(made))
