"""The categories that a panoptic score counts: one column of counts for each."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import Segment


@dataclasses.dataclass(frozen=True)
class Categories:
    """Ids and kinds, in the order of the columns; two are equal where these are.

    Attributes:
      ids: [C] category ids, from 0 on, each once.
      things: [C] whether a category is a thing.
      names: [C] for tables and messages.
    """

    ids: tuple[int, ...]
    things: tuple[bool, ...]
    names: tuple[str, ...] = dataclasses.field(compare=False)

    @classmethod
    def of(
        cls, categories: "Categories | LabelSpace | Sequence[Mapping[str, Any]]"
    ) -> "Categories":
        """From a label space, or entries of a COCO panoptic JSON.

        Args:
          categories: entries have `id` and `isthing`, and may have `name`.
        Raises:
          ValueError: none is given, an entry lacks a field or has a bad one, or an
            id is given twice.
        """
        if isinstance(categories, Categories):
            return categories
        if isinstance(categories, LabelSpace):
            categories = categories.to_json()
        if not categories:
            raise ValueError("categories is empty; add those that the maps use")
        ids: list[int] = []
        for k, entry in enumerate(categories):
            for field in ("id", "isthing"):
                if field not in entry:
                    raise ValueError(f"categories[{k}] has no field {field!r}; add it")
            number, thing = entry["id"], entry["isthing"]
            if type(number) is not int or number < 0:
                raise ValueError(
                    f"categories[{k}] has id {number!r}; give an integer from 0 on"
                )
            if thing not in (0, 1):
                raise ValueError(f"categories[{k}] has isthing {thing!r}; give 0 or 1")
            if number in ids:
                raise ValueError(f"category id {number} is given twice; renumber")
            ids.append(number)
        return cls(
            ids=tuple(ids),
            things=tuple(bool(entry["isthing"]) for entry in categories),
            names=tuple(str(e.get("name", f"category {e['id']}")) for e in categories),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_thing(self) -> np.ndarray:
        """[C] bool."""
        return np.array(self.things, bool)

    @functools.cached_property
    def column_of(self) -> dict[int, int]:
        """Category id -> column."""
        return {category: k for k, category in enumerate(self.ids)}

    def columns(self, segments: Sequence[Segment], *, of: str) -> np.ndarray:
        """Column of each segment, int64.

        Args:
          segments: of one map.
          of: what to call the map in a message.
        Raises:
          ValueError: a category id is unknown.
        """
        try:
            return np.array([self.column_of[s.category_id] for s in segments], np.int64)
        except KeyError:
            bad = next(s for s in segments if s.category_id not in self.column_of)
            raise ValueError(
                f"segment {bad.id} of the {of} has category_id {bad.category_id}, "
                "which is not in categories; add the category or correct the segment"
            ) from None

    def to_json(self) -> list[dict[str, Any]]:
        """Entries that `of` takes."""
        rows = zip(self.ids, self.things, self.names, strict=True)
        return [{"id": i, "name": n, "isthing": int(t)} for i, t, n in rows]
