"""Categories by name, for label files that name classes instead of numbering them."""

from collections.abc import Iterable
from pathlib import Path

from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.palette import distinct_colors
from pix2seq_d.panoptic_index import list_some, read_label_space


class ClassNames:
    """Finds category ids by name.

    Args:
      label_space: the categories, names unique.
      where: what lists them, for messages.
    Raises:
      ValueError: a name is given twice.
    """

    def __init__(self, label_space: LabelSpace, where: str) -> None:
        self.label_space, self._where = label_space, where
        names = [c.name for c in label_space.categories]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{where}: categories named {list_some(twice)} are given twice; rename "
                "one"
            )
        self._ids = {c.name: c.id for c in label_space.categories}

    @classmethod
    def of(
        cls, categories: Path | str | None, found: Iterable[str], where: str
    ) -> "ClassNames":
        """Reads a JSON of categories; without one, every name found is a thing.

        Args:
          categories: a list of categories, or an object with `categories`.
          found: names in the labels, in the order their ids 1, 2, ... shall have.
          where: of the labels, for messages.
        Raises:
          FileNotFoundError: no such file.
          ValueError: no list of categories, or there are none at all.
        """
        if categories is not None:
            return cls(read_label_space(categories), str(categories))
        names = list(dict.fromkeys(found))
        if not names:
            raise ValueError(f"{where}: holds no labelled object; give labelled images")
        made = [
            Category(id=k, name=name, is_thing=True, color=color)
            for k, (name, color) in enumerate(
                zip(names, distinct_colors(len(names)), strict=True), start=1
            )
        ]
        return cls(LabelSpace(tuple(made)), where)

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def category_id(self, name: str, where: str) -> int:
        """The id of a name; ValueError, with `where`, if there is no such category."""
        if name not in self._ids:
            raise ValueError(
                f"{where}: class {name!r} is not a category of {self._where}; add it "
                "there or rename the label"
            )
        return self._ids[name]
