"""Official TensorFlow checkpoints -> variables of `Pix2SeqD`.

What a checkpoint does not hold has to be set in the config as it was trained:
`model.decoder.time_scale`, `model.bit_scale`, `model.prediction`, the schedule.
"""

import dataclasses
import logging
import os
import re
from collections.abc import Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from pix2seq_d.config import ModelConfig
from pix2seq_d.convert import official_names
from pix2seq_d.convert.tf_reader import TFCheckpoint
from pix2seq_d.models import Pix2SeqD

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


@dataclasses.dataclass(frozen=True)
class _Slot:
    """One array of our model and where it comes from."""

    target: str  # our path, `params/encoder/input/kernel`
    shape: tuple[int, ...]
    source: str  # the checkpoint's variable
    fields: tuple[str, ...]  # config fields that set the last axes
    order: int  # place of the layer in the data flow


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
    abstract = jax.eval_shape(Pix2SeqD(config).init, jax.random.key(0))
    suffix = "_ema" if weights == "ema" else ""
    slots = _slots(abstract, list(abstract["params"]), suffix)
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
    _require_match(checkpoint, slots)
    return _report(checkpoint, variables, slots)


def _report(
    checkpoint: TFCheckpoint, variables: Variables, slots: list[_Slot]
) -> EncoderReport:
    used = {slot.source for slot in slots}
    filled = {slot.target for slot in slots}
    return EncoderReport(
        used=tuple(sorted(used)),
        ignored=tuple(sorted(set(checkpoint.shapes) - used)),
        missing=tuple(name for name, _ in _leaves(variables) if name not in filled),
    )


def _encoder_slots(variables: Variables) -> list[_Slot]:
    if "encoder" not in variables["params"]:
        raise ValueError(
            "the model has no image encoder to load into; set model.conditioning to "
            "('concat', 'cross_attention')"
        )
    return _slots(variables, ["encoder"], "")


def _slots(variables: Variables, modules: list[str], suffix: str) -> list[_Slot]:
    """The slots of some modules in the order of the data flow."""
    slots = []
    for number, (module, (official, rules)) in enumerate(
        official_names.MODULES.items()
    ):
        if module not in modules:
            continue
        for target, leaf in _leaves(variables):
            _, owner, path = target.split("/", 2)
            if owner != module:
                continue
            for order, rule in enumerate(rules):
                source = rule.rename(path)
                if source is not None:
                    source = f"model/{official}{suffix}/{source}"
                    place = 1000 * number + order
                    slots.append(
                        _Slot(target, tuple(leaf.shape), source, rule.fields, place)
                    )
                    break
            else:
                raise ValueError(
                    f"{target} has no counterpart in official checkpoints; this "
                    "model's config cannot be loaded from one"
                )
    return sorted(slots, key=lambda slot: (slot.order, _natural(slot.target)))


def _fill(
    checkpoint: TFCheckpoint, variables: Variables, slots: list[_Slot]
) -> Variables:
    """`variables` with the slots' arrays from the checkpoint."""
    _require_match(checkpoint, slots)
    values = checkpoint.read(slot.source for slot in slots)
    sources = {slot.target: slot.source for slot in slots}

    def pick(path: Any, leaf: Any) -> Any:
        source = sources.get(_name(path))
        return leaf if source is None else jnp.asarray(values[source])

    return jax.tree_util.tree_map_with_path(pick, variables)


def _require_match(checkpoint: TFCheckpoint, slots: list[_Slot]) -> None:
    """Raises at the first slot or variable that has no equal on the other side."""
    prefixes = {"/".join(slot.source.split("/")[:2]) + "/" for slot in slots}
    for prefix in sorted(prefixes):
        if not any(name.startswith(prefix) for name in checkpoint.shapes):
            cure = "load weights='online'" if "_ema/" in prefix else "give another one"
            raise ValueError(f"{checkpoint.prefix} has no {prefix}...: {cure}")
    problems = []
    for slot in slots:
        shape = checkpoint.shapes.get(slot.source)
        if shape is None:
            problems.append(
                f"it has no {slot.source}, for {slot.target} of shape {slot.shape}; "
                + _change(_presence(slot.source))
            )
        elif shape != slot.shape:
            problems.append(
                f"{slot.source} has shape {shape}, {slot.target} needs {slot.shape}; "
                + _change(_field(slot, shape))
            )
    used = {slot.source for slot in slots}
    problems += [
        f"the model has no place for {name} of shape {checkpoint.shapes[name]}; "
        + _change(_presence(name))
        for name in sorted(set(checkpoint.shapes) - used, key=_natural)
        if name.startswith(tuple(prefixes))
    ]
    if problems:
        more = f" ({len(problems) - 1} more differ)" if len(problems) > 1 else ""
        raise ValueError(
            f"{checkpoint.prefix} does not fit the config: {problems[0]}{more}"
        )


def _field(slot: _Slot, shape: Iterable[int]) -> str:
    """The field that sets the last axis in which the shapes differ."""
    pairs = list(zip(reversed(slot.shape), reversed(tuple(shape)), strict=False))
    for (ours, theirs), field in zip(pairs, reversed(slot.fields), strict=False):
        if ours != theirs:
            return field
    return slot.fields[-1]


def _presence(source: str) -> str | None:
    module, path = source.removeprefix("model/").split("/", 1)
    return official_names.presence_field(f"{module.removesuffix('_ema')}/{path}")


def _change(field: str | None) -> str:
    return f"change {field}" if field else "no config field gives the model this part"


def _leaves(variables: Variables) -> list[tuple[str, Any]]:
    paths = jax.tree_util.tree_leaves_with_path(variables)
    return [(_name(path), leaf) for path, leaf in paths]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key: numbers by value, so that layer2 comes before layer10."""
    parts = re.split(r"(\d+)", name)
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]
