"""From `init` of a config to the variables that a training starts from."""

import dataclasses

import jax

from pix2seq_d.config import Config, ConfigError
from pix2seq_d.convert import weights
from pix2seq_d.convert.report import Source
from pix2seq_d.convert.transfer import Transferred, transfer
from pix2seq_d.labels import LabelSpace


def start(config: Config, labels: LabelSpace, *, key: jax.Array) -> Transferred | None:
    """Reads `init.encoder` and `init.from` and carries them over to `model`.

    Args:
      config: with num_classes set.
      labels: of the data that will be trained on.
      key: for arrays that neither has.
    Returns:
      None where both fields are empty.
    Raises:
      ConfigError: weights that cannot be read or do not fit; names the field.
    """
    sources = []
    for field in ("encoder", "from"):
        path = config.init.encoder if field == "encoder" else config.init.from_
        if path:
            try:
                source = weights.read(
                    path, config.model, encoder_only=field == "encoder"
                )
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"config field init.{field}={path!r}: {error}"
                ) from error
            sources.append(with_label_note(source, labels))
    if not sources:
        return None
    return transfer(sources, config.model, key=key)


def with_label_note(source: Source, labels: LabelSpace) -> Source:
    """Notes where the semantic ids of a source mean other classes."""
    if source.labels is None or source.labels.names() == labels.names():
        return source
    before, after = source.labels.names(), labels.names()
    pairs = zip(before, after, strict=False)
    first = next(
        (k for k, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after))
    )
    names = [n[first] if first < len(n) else "unused" for n in (before, after)]
    note = (
        f"other classes: semantic id {first} was {names[0]} and is now {names[1]}; the "
        "class codes are copied and have to be learned anew"
    )
    return dataclasses.replace(source, notes=(*source.notes, note))
