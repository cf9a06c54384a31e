"""Panoptic labels in one number, label = class * divisor + instance, and its rules."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from pix2seq_d.panoptic_index import list_some


@dataclasses.dataclass(frozen=True)
class LabelCoding:
    """How label maps code classes and instances.

    A thing with instance 0 is a crowd in the truth and an ordinary segment in a
    prediction. The ignore label may be one of the classes or, like 255, lie above
    them; then its index in tables is `num_classes`.

    Attributes:
      num_classes: classes are 0 ... num_classes - 1.
      things: classes whose instances are told apart.
      ignore_label: class of pixels that do not count.
      label_divisor: label = class * label_divisor + instance.
    Raises:
      ValueError: a number is out of range, or a thing is no class.
    """

    num_classes: int
    things: tuple[int, ...]
    ignore_label: int
    label_divisor: int

    def __post_init__(self) -> None:
        for name, least in (
            ("num_classes", 1),
            ("ignore_label", 0),
            ("label_divisor", 1),
        ):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise ValueError(f"{name} is {value}; give an integer from {least} on")
            object.__setattr__(self, name, int(value))
        things = tuple(sorted({int(c) for c in self.things}))
        object.__setattr__(self, "things", things)
        wrong = [c for c in things if c not in range(self.num_classes)]
        if wrong:
            raise ValueError(
                f"things has {list_some(wrong)}, not in 0..{self.num_classes - 1}; "
                "correct things or num_classes"
            )
        if self.ignore_label in things:
            raise ValueError(
                f"ignore_label {self.ignore_label} is one of things; remove it there"
            )

    @property
    def ignore_index(self) -> int:
        """Row of the ignore label in tables by class."""
        return min(self.ignore_label, self.num_classes)

    @property
    def size(self) -> int:
        """Rows of a table by class, that of the ignore label included."""
        return max(self.num_classes, self.ignore_index + 1)

    @property
    def void_label(self) -> int:
        """The label of a pixel that does not count."""
        return self.ignore_label * self.label_divisor

    @functools.cached_property
    def is_thing(self) -> np.ndarray:
        """[size] bool."""
        return np.isin(np.arange(self.size), self.things)

    def class_index(self, labels: np.ndarray) -> np.ndarray:
        """int [...] labels -> int64 [...] class, in [0, size), of checked labels."""
        # Among checked labels only the ignore label can lie above the classes.
        return np.minimum(labels // self.label_divisor, self.size - 1)

    def check(self, labels: np.ndarray) -> None:
        """Raises ValueError if a label is negative or of no class.

        Args:
          labels: [N] int64.
        """
        classes = labels // self.label_divisor
        known = (classes < self.num_classes) | (classes == self.ignore_label)
        wrong = np.unique(classes[~known | (labels < 0)])
        if wrong.size:
            above = self.ignore_label >= self.num_classes
            ignore = f" or {self.ignore_label} (ignore)" if above else ""
            raise ValueError(
                f"holds classes {list_some(wrong.tolist())}, not "
                f"0..{self.num_classes - 1}{ignore}; correct the labels (class * "
                f"{self.label_divisor} + instance) or num_classes and ignore_label"
            )

    def to_json(self) -> dict[str, Any]:
        """The coding as JSON types; `from_json` is the inverse."""
        return dataclasses.asdict(self) | {"things": list(self.things)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LabelCoding":
        """The coding that `to_json` gave."""
        fields: dict[str, Any] = {**data, "things": tuple(data["things"])}
        return cls(**fields)
