"""Pairs the arrays of a model with the variables of an official checkpoint."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import jax

from pix2seq_d.convert import official_names

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Slot:
    """One array of our model and where it comes from."""

    target: str  # our path, `params/encoder/input/kernel`
    shape: tuple[int, ...]
    source: str  # the checkpoint's variable
    fields: tuple[str, ...]  # config fields that set the last axes


def slots_of(variables: Any, modules: list[str], suffix: str) -> list[Slot]:
    """The slots of some modules in the order of the data flow, kernels first.

    Args:
      variables: {'params', 'batch_stats'} of arrays or shapes.
      modules: those of `official_names.MODULES` to pair.
      suffix: of the official module's name: `_ema` or none.
    Raises:
      ValueError: an array that no rule renames.
    """
    slots = []
    for module, (official, rules) in official_names.MODULES.items():
        if module not in modules:
            continue
        own = []
        for target, leaf in leaves_of(variables):
            _, owner, path = target.split("/", 2)
            if owner == module:
                order, source = _rename(target, path, rules)
                source = f"model/{official}{suffix}/{source}"
                slot = Slot(target, tuple(leaf.shape), source, rules[order].fields)
                own.append((order, path.endswith("bias"), _natural(path), slot))
        own.sort(key=lambda entry: entry[:3])
        slots += [slot for *_, slot in own]
    return slots


def _rename(
    target: str, path: str, rules: tuple[official_names.Rule, ...]
) -> tuple[int, str]:
    for order, rule in enumerate(rules):
        source = rule.rename(path)
        if source is not None:
            return order, source
    raise ValueError(
        f"{target} has no counterpart in official checkpoints; a model with this "
        "part cannot be loaded from one"
    )


def require_match(where: object, all_shapes: Shapes, slots: list[Slot]) -> None:
    """Refuses a checkpoint that would leave or lack anything.

    Args:
      where: the checkpoint, for the message.
      all_shapes: its variables.
      slots: of `slots_of`.
    Raises:
      ValueError: names the first slot or variable without an equal on the other
        side, and the config field to change.
    """
    problems = []
    # The modules in the order of the data flow; in each, parts before sizes.
    for prefix in dict.fromkeys(_prefix(slot.source) for slot in slots):
        shapes = {k: v for k, v in all_shapes.items() if _prefix(k) == prefix}
        if not shapes:
            cure = "load weights='online'" if "_ema" in prefix else "give another one"
            raise ValueError(f"{where} has no {prefix}/...; {cure}")
        own = [slot for slot in slots if _prefix(slot.source) == prefix]
        problems += _part_problems(own, shapes)
        problems += [
            f"{slot.source} has shape {shapes[slot.source]}, {slot.target} needs "
            f"{slot.shape}; change {field_of(slot, shapes[slot.source])}"
            for slot in own
            if shapes.get(slot.source, slot.shape) != slot.shape
        ]
    if problems:
        more = f" ({len(problems) - 1} more differ)" if len(problems) > 1 else ""
        raise ValueError(f"{where} does not fit the config: {problems[0]}{more}")


def _part_problems(slots: list[Slot], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """What the checkpoint lacks of a module, and what it has beyond it."""
    lacking = [
        f"it has no {slot.source}, for {slot.target} of shape {slot.shape}; "
        + cure(slot.source)
        for slot in slots
        if slot.source not in shapes
    ]
    beyond = sorted(set(shapes) - {slot.source for slot in slots}, key=_natural)
    return lacking + [
        f"the model has no place for {name} of shape {shapes[name]}; {cure(name)}"
        for name in beyond
    ]


def _prefix(source: str) -> str:
    """`model/encoder` of `model/encoder/stem_ln/gamma`."""
    return "/".join(source.split("/")[:2])


def field_of(slot: Slot, shape: tuple[int, ...]) -> str:
    """The field that sets the last axis in which the shapes differ, or the window."""
    reverse = (reversed(axis) for axis in (slot.shape, shape, slot.fields))
    axes = list(zip(*reverse, strict=False))
    # The window of a kernel first, where a field sets it.
    for ours, theirs, field in [*axes[2:], *axes[:2]] if len(axes) == 4 else axes:
        if ours != theirs:
            return field
    return slot.fields[-1]


def cure(source: str) -> str:
    """What to do about a variable that only one side has."""
    module, path = source.removeprefix("model/").split("/", 1)
    field = official_names.presence_field(f"{module.removesuffix('_ema')}/{path}")
    return f"change {field}" if field else "no config field gives the model this part"


def leaves_of(variables: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of every leaf, the path as `name_of` gives it."""
    paths = jax.tree_util.tree_leaves_with_path(variables)
    return [(name_of(path), leaf) for path, leaf in paths]


def name_of(path: Any) -> str:
    """`params/encoder/input/kernel` of a key path."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key: numbers by value, so that layer2 comes before layer10."""
    parts = re.split(r"(\d+)", name)
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]
