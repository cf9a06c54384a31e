"""Official TensorFlow checkpoints -> variables of `Pix2SeqD`.

What a checkpoint does not hold has to be set in the config as it was trained:
`model.decoder.time_scale`, `model.bit_scale`, `model.prediction`, the schedule.
"""

import dataclasses
import logging
import os
from typing import Any, Literal

import jax
import jax.numpy as jnp

from pix2seq_d.config import ModelConfig
from pix2seq_d.convert import matching
from pix2seq_d.convert.tf_reader import TFCheckpoint
from pix2seq_d.models import variable_shapes

Variables = dict[str, Any]
Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class EncoderReport:
    """What `load_encoder` takes from a checkpoint.

    Attributes:
      used: the checkpoint's variables that were read.
      ignored: its other variables: the detection decoder, counters.
      missing: variables of the model that it does not hold and that keep their
        values: pyramid and mask decoder.
    """

    used: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]


def load(
    path: Path, config: ModelConfig, weights: Literal["ema", "online"] = "ema"
) -> Variables:
    """Reads an official panoptic checkpoint.

    Args:
      path: its folder, prefix (`.../ckpt-100`) or one of its files.
      config: sizes as the checkpoint's; dropout and other rates are free.
      weights: `ema`, the moving average, or `online`.
    Returns:
      {'params', 'batch_stats'} as `Pix2SeqD(config).init` gives them, every array
      from the checkpoint, float32.
    Raises:
      FileNotFoundError: no such checkpoint, or a part of it is missing.
      ValueError: a damaged file, or other sizes than the config's: the message
        names the first variable that differs and the field to change.
    Source: the key scheme of spec 4 and `../reference/golden` (ours).
    """
    if weights not in ("ema", "online"):
        raise ValueError(f"weights={weights!r}: choose 'ema' or 'online'")
    checkpoint = TFCheckpoint(path)
    abstract = variable_shapes(config)
    suffix = "_ema" if weights == "ema" else ""
    slots = matching.slots_of(abstract, list(abstract["params"]), suffix)
    if not any(name.startswith("model/denoiser") for name in checkpoint.shapes):
        cure = "give a panoptic checkpoint"
        if any(name.startswith("model/encoder/") for name in checkpoint.shapes):
            cure = "a detection model's encoder is read by load_encoder"
        raise ValueError(f"{checkpoint.prefix} has no model/denoiser: {cure}")
    return _fill(checkpoint, abstract, slots)


def load_encoder(path: Path, variables: Variables) -> Variables:
    """Reads the image encoder of an official detection checkpoint.

    Logs how many variables were used, ignored and missing; `encoder_report` gives
    their names.

    Args:
      path: as `load` takes it.
      variables: of `Pix2SeqD.init`; not changed.
    Returns:
      The variables with the encoder, its batch-norm statistics included, from
      the checkpoint; all others are those passed in.
    Raises:
      FileNotFoundError, ValueError: as `load`; every variable of the encoder has
        to be in the checkpoint and the other way round.
    """
    checkpoint = TFCheckpoint(path)
    slots = _encoder_slots(variables)
    filled = _fill(checkpoint, variables, slots)
    report = _report(checkpoint, variables, slots)
    logging.getLogger(__name__).info(
        "%s: %d variables of the image encoder read, %d others ignored; %d arrays of "
        "the model keep their values",
        checkpoint.prefix,
        len(report.used),
        len(report.ignored),
        len(report.missing),
    )
    return filled


def encoder_report(path: Path, variables: Variables) -> EncoderReport:
    """Names what `load_encoder` would read, ignore and leave; reads no values."""
    checkpoint = TFCheckpoint(path)
    slots = _encoder_slots(variables)
    matching.require_match(checkpoint.prefix, checkpoint.shapes, slots)
    return _report(checkpoint, variables, slots)


def _report(
    checkpoint: TFCheckpoint, variables: Variables, slots: list[matching.Slot]
) -> EncoderReport:
    used = {slot.source for slot in slots}
    filled = {slot.target for slot in slots}
    return EncoderReport(
        used=tuple(sorted(used)),
        ignored=tuple(sorted(set(checkpoint.shapes) - used)),
        missing=tuple(
            name for name, _ in matching.leaves_of(variables) if name not in filled
        ),
    )


def _encoder_slots(variables: Variables) -> list[matching.Slot]:
    if "encoder" not in variables["params"]:
        raise ValueError(
            "the model has no image encoder to load into; set model.conditioning to "
            "('concat', 'cross_attention')"
        )
    return matching.slots_of(variables, ["encoder"], "")


def _fill(
    checkpoint: TFCheckpoint, variables: Variables, slots: list[matching.Slot]
) -> Variables:
    """`variables` with the slots' arrays from the checkpoint."""
    matching.require_match(checkpoint.prefix, checkpoint.shapes, slots)
    values = checkpoint.read(slot.source for slot in slots)
    sources = {slot.target: slot.source for slot in slots}

    def pick(path: Any, leaf: Any) -> Any:
        source = sources.get(matching.name_of(path))
        return leaf if source is None else jnp.asarray(values[source])

    return jax.tree_util.tree_map_with_path(pick, variables)
