"""Where weights come from, and what became of every array of a transfer."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

from pix2seq_d import config as config_lib
from pix2seq_d.config import Config, ModelConfig
from pix2seq_d.labels import LabelSpace

Array = tuple[str, tuple[int, ...]]  # path, `params/encoder/input/kernel`, and shape


@dataclasses.dataclass(frozen=True)
class Source:
    """Weights that a model may start from.

    Attributes:
      name: what messages call it, as a rule its path.
      variables: {'params', 'batch_stats'} of the parts that it has, online weights.
      ema: the same of the moving average; `variables` where there is none.
      parts: what it answers for: of a whole model `encoder`, `pyramid` and
        `decoder`, of a pre-trained one `encoder` or `encoder/resnet`.
      config: of the model, None where it is not a whole one.
      labels: its label space, if known.
      notes: what a user should know about it, one sentence each.
    """

    name: str
    variables: Any
    ema: Any
    parts: tuple[str, ...]
    config: ModelConfig | None = None
    labels: LabelSpace | None = None
    notes: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether the array of this path is one that the source answers for."""
        within = path.split("/", 1)[1]
        return any(within.startswith(f"{part}/") for part in self.parts)


@dataclasses.dataclass(frozen=True)
class Report:
    """What a transfer did; `str(report)` is for people.

    Attributes:
      sources: in the order of their precedence.
      target: config of the new model.
      copied: arrays taken over bit by bit.
      widened: (path, shape before, shape after); the new rows are zeros.
      new: arrays that no source has, freshly drawn.
      dropped: arrays of the sources that the model has no use for.
    """

    sources: tuple[Source, ...]
    target: ModelConfig
    copied: tuple[Array, ...]
    widened: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    new: tuple[Array, ...]
    dropped: tuple[Array, ...]

    def __str__(self) -> str:
        lines = []
        for source in self.sources:
            lines.append(f"from {source.name}")
            lines += [f"  note: {note}" for note in source.notes]
            if source.config is not None:
                lines += _differences(source.config, self.target)
        lines += _lines("copied", self.copied, others=())
        for path, before, after in self.widened:
            rows = after[2] - before[2]
            lines.append(
                f"  widened  {_short(path)} {before} -> {after}: {rows} rows of zeros"
            )
        lines += _lines("new", self.new, others=(*self.copied, *self.dropped))
        replaced = {path for path, _ in self.dropped}
        others = [array for array in self.copied if array[0] not in replaced]
        lines += _lines("dropped", self.dropped, others=others)
        return "\n".join(lines)


def _differences(before: ModelConfig, after: ModelConfig) -> list[str]:
    """One line per field of `model` in which two configs differ."""
    old, new = (config_lib.flatten(Config(model=model)) for model in (before, after))
    return [
        f"  {field}: {old[field]!r} -> {new[field]!r}"
        for field in old
        if old[field] != new[field]
    ]


def _lines(kind: str, arrays: Sequence[Array], *, others: Sequence[Array]) -> list[str]:
    """One line per part of the model that has no array among `others`.

    Equal layers are one part: `layer*`.
    """
    mixed = {prefix for path, _ in others for prefix in _prefixes(path)}
    groups: dict[str, list[tuple[int, ...]]] = {}
    for path, shape in arrays:
        prefixes = _prefixes(path)
        own = [prefix for prefix in prefixes if prefix not in mixed]
        part = own[0] if own else prefixes[-1]
        groups.setdefault(re.sub(r"\d+", "*", part), []).append(shape)
    return [
        f"  {kind:8s} {part}: {len(shapes)} array{'s' if len(shapes) > 1 else ''}, "
        f"{sum(map(math.prod, shapes)):,} numbers"
        for part, shapes in groups.items()
    ] or [f"  {kind:8s} nothing"]


def _prefixes(path: str) -> list[str]:
    """`encoder`, `encoder/input` of `params/encoder/input/kernel`, without the leaf."""
    parts = _short(path).split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _short(path: str) -> str:
    """`encoder/input/kernel` of `params/encoder/input/kernel`."""
    return path.split("/", 1)[1]
