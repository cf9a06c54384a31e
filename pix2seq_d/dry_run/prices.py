"""Prices of devices, from a dated file that the user writes: there are none in here."""

import dataclasses
import datetime
import json
import math
from pathlib import Path
from typing import Any

from pix2seq_d.accelerators import ACCELERATORS, Accelerator

_FIELDS = ("date", "currency", "source", "per_device_hour")


@dataclasses.dataclass(frozen=True)
class Prices:
    """What an hour of one device costs.

    Attributes:
      date: when the prices were read, as 2026-11-01.
      currency: as people write it, e.g. USD.
      source: where they were read.
      per_device_hour: key of the accelerator -> price of an hour.
    """

    date: str
    currency: str
    source: str
    per_device_hour: dict[str, float]

    def of(self, accelerator: Accelerator) -> float | None:
        """Price of an hour, None where the file has none."""
        return self.per_device_hour.get(key(accelerator))


def key(accelerator: Accelerator) -> str:
    """Its name in a file of prices: h100, a100_80gb, v5e."""
    return accelerator.name.removeprefix("TPU ").lower().replace(" ", "_")


def read(path: Path | str) -> Prices:
    """Reads {"date", "currency", "source", "per_device_hour": {"h100": 2.5, ...}}.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another content; names the file, the field and the cure.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give a JSON file of prices")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: no JSON object; it has the fields {_FIELDS}")
    for name in content:
        if name not in _FIELDS:
            raise ValueError(f"{path}: unknown field {name!r}; choose of {_FIELDS}")
    currency, source = (_text(content, name, path) for name in ("currency", "source"))
    return Prices(
        date=_date(content, path),
        currency=currency,
        source=source,
        per_device_hour=_per_hour(content, path),
    )


def _field(content: dict[str, Any], name: str, path: Path) -> Any:
    if name not in content:
        raise ValueError(f"{path}: lacks the field {name!r}; it has {_FIELDS}")
    return content[name]


def _text(content: dict[str, Any], name: str, path: Path) -> str:
    value = _field(content, name, path)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{path}: {name} is {value!r}; make it a text")
    return " ".join(value.split())


def _date(content: dict[str, Any], path: Path) -> str:
    value = _text(content, "date", path)
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise ValueError(
            f"{path}: date is {value!r}; make it a day as 2026-11-01"
        ) from error


def _per_hour(content: dict[str, Any], path: Path) -> dict[str, float]:
    entries = _field(content, "per_device_hour", path)
    known = tuple(key(accelerator) for accelerator in ACCELERATORS)
    if not isinstance(entries, dict) or not entries:
        raise ValueError(
            f"{path}: per_device_hour is no object with prices; name some of {known}"
        )
    for name, price in entries.items():
        if name not in known:
            raise ValueError(
                f"{path}: per_device_hour names the unknown device {name!r}; "
                f"choose of {known}"
            )
        # Python reads NaN and Infinity, and true as 1.
        is_number = type(price) in (int, float) and math.isfinite(price)
        if not is_number or price <= 0:
            raise ValueError(
                f"{path}: per_device_hour.{name} is {price!r}; make it a number above 0"
            )
    return {name: float(price) for name, price in entries.items()}
