"""Where weights come from, and what became of every array of a transfer."""

import dataclasses
import math
import re
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
        lines += _kind("copied", self.copied, module=True)
        for path, before, after in self.widened:
            rows = after[2] - before[2]
            lines.append(
                f"  widened  {_short(path)} {before} -> {after}: {rows} rows of zeros"
            )
        lines += _kind("new", self.new, module=False)
        lines += _kind("dropped", self.dropped, module=False)
        return "\n".join(lines)


def _differences(before: ModelConfig, after: ModelConfig) -> list[str]:
    """One line per field of `model` in which two configs differ."""
    old, new = (config_lib.flatten(Config(model=model)) for model in (before, after))
    return [
        f"  {field}: {old[field]!r} -> {new[field]!r}"
        for field in old
        if old[field] != new[field]
    ]


def _kind(kind: str, arrays: tuple[Array, ...], *, module: bool) -> list[str]:
    """Lines of one kind, the arrays of equal layers together."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for path, shape in arrays:
        short = _short(path)
        name = short.split("/")[0] if module else short.rpartition("/")[0]
        groups.setdefault(re.sub(r"\d+", "*", name), []).append(shape)
    return [
        f"  {kind:8s} {name}: {len(shapes)} arrays, "
        f"{sum(map(math.prod, shapes)):,} numbers"
        for name, shapes in groups.items()
    ] or [f"  {kind:8s} nothing"]


def _short(path: str) -> str:
    """`encoder/input/kernel` of `params/encoder/input/kernel`."""
    return path.split("/", 1)[1]
