"""ConfigDict, nested dict or JSON <-> the dataclasses."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import ml_collections
from ml_collections import config_dict

from pix2seq_d.config.errors import ConfigError
from pix2seq_d.config.training import Config

Fields = Mapping[str, Any] | ml_collections.ConfigDict


def default() -> ml_collections.ConfigDict:
    """A ConfigDict with every field at its default, for config files to change."""
    return to_config_dict(Config())


def to_config_dict(config: Config) -> ml_collections.ConfigDict:
    """Dataclasses -> locked ConfigDict; `from_config_dict` is the inverse."""
    made = ml_collections.ConfigDict(dataclasses.asdict(config)).lock()
    # None is a value of these fields: give them the type of the other one.
    for name in ("train_schedule", "sample_schedule"):
        schedule = made.diffusion[name]
        for field in ("start", "end"):
            placeholder = config_dict.placeholder(float)
            value = schedule[field]
            schedule[field] = placeholder
            schedule[field] = value
    return made


def from_config_dict(config: Fields) -> Config:
    """ConfigDict (or nested dict, or JSON) -> checked dataclasses.

    Missing fields take their defaults.

    Raises:
      ConfigError: unknown field, wrong type, or a value that a
        check refuses; the message names the field.
    """
    return _build(Config, config, "")


def from_saved(config: Fields) -> Config:
    """`from_config_dict` of what a training or a model file wrote down.

    Seeds from 2**32 on, which were taken once, become those that JAX made of them: for
    the network's weights and noise. NumPy's order of the images was another.
    """
    if not isinstance(config, Mapping | ml_collections.ConfigDict):
        return from_config_dict(config)  # says what is wrong
    fields = {name: config[name] for name in config}
    for group in ("train", "evaluation"):
        own = fields.get(group)
        if not isinstance(own, Mapping | ml_collections.ConfigDict):
            continue
        seed = own.get("seed")
        if type(seed) is int and seed >= 2**32:
            fields[group] = {name: own[name] for name in own} | {"seed": seed % 2**32}
    return from_config_dict(fields)


def flatten(config: Config) -> dict[str, Any]:
    """{'model.decoder.dim': 128, ...} for comparison and display."""
    flat: dict[str, Any] = {}

    def visit(value: Any, path: str) -> None:
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                visit(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
        else:
            flat[path] = value

    visit(config, "")
    return flat


def _build(cls: type, values: Fields, path: str) -> Any:
    if not isinstance(values, Mapping | ml_collections.ConfigDict):
        raise ConfigError(
            f"config field {path} must be a group of fields, not {values!r}"
        )
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in hints:
            raise ConfigError(
                f"unknown config field {f'{path}.{name}'.lstrip('.')!r}; "
                f"{path or 'the config'} has {', '.join(hints)}"
            )
    made = {}
    for name, hint in hints.items():
        if name in values:
            where = f"{path}.{name}".lstrip(".")
            made[name] = _convert(hint, values[name], where)
    try:
        return cls(**made)
    except ConfigError:
        raise
    except ValueError as error:  # of a dataclass from outside this folder
        raise ConfigError(f"config field {path}.{error}") from error


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, path)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:  # float | None
        if value is None:
            return None
        hint = typing.get_args(hint)[0]
    if origin is tuple:
        args = typing.get_args(hint)
        if not isinstance(value, list | tuple) or (
            args[-1] is not Ellipsis and len(value) != len(args)
        ):
            raise ConfigError(
                f"config field {path} must be {_name(hint)}, not {value!r}"
            )
        inner = args[0]
        return tuple(_convert(inner, item, path) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"config field {path} must be {_name(hint)}, not {value!r}")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"config field {path} must be finite, not {value!r}")
    return value


def _name(hint: Any) -> str:
    return str(hint) if typing.get_origin(hint) else hint.__name__
