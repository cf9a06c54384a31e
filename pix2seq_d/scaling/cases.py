"""What is compiled for docs/scaling.md: recipes, slices, settings."""

import dataclasses
import math
from typing import Any, Literal

Overrides = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """One program for one slice.

    Attributes:
      what: train, the training step; sample, encoder and sampler of an evaluation's
        batch.
      recipe: file and variant, as `--config` takes them.
      slice: as `--topology` takes it.
      overrides: (field, value) pairs on the recipe.
    """

    what: Literal["train", "sample"]
    recipe: str
    slice: str
    overrides: Overrides = ()

    @property
    def key(self) -> str:
        """Its name in the results."""
        return " ".join((self.what, self.recipe, self.slice, *self.flags))

    @property
    def flags(self) -> tuple[str, ...]:
        """The overrides as people write them, e.g. sharding.fsdp=4."""
        return tuple(f"{field}={value}" for field, value in self.overrides)

    @property
    def accelerator(self) -> str:
        """Name in `accelerators`."""
        return f"TPU {self.slice.partition(':')[0]}"

    @property
    def chips(self) -> int:
        """Of the slice."""
        return math.prod(map(int, self.slice.partition(":")[2].split("x")))
