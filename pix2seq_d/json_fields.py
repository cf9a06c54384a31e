"""Reading one field of a JSON object: its value, or one line that says what is wrong.

`where` names the file and the entry, for the message. Python reads NaN and Infinity
as floats and true as 1; none of them passes for an integer here.
"""

from typing import Any


def array(entry: Any, name: str, where: str) -> list[Any]:
    """A list."""
    value = _field(entry, name, where)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {name} is no list; see the COCO panoptic format")
    return value


def integer(entry: Any, name: str, where: str) -> int:
    """An integer of 32 bits."""
    value = _field(entry, name, where)
    if type(value) is not int or abs(value) >= 2**31:
        raise ValueError(f"{where}: {name} is {value!r}; make it a 32-bit integer")
    return value


def identifier(entry: Any, name: str, where: str) -> int | str:
    """An integer or text."""
    value = _field(entry, name, where)
    if type(value) not in (int, str):
        raise ValueError(f"{where}: {name} is {value!r}; make it an integer or text")
    return value


def text(entry: Any, name: str, where: str) -> str:
    """Text that is not empty, as a file name is."""
    value = _field(entry, name, where)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}: {name} is {value!r}; make it a file name")
    return value


def flag(entry: Any, name: str, where: str) -> bool:
    """0 or 1, or a Boolean; False where the field is missing."""
    value = entry.get(name, 0)
    if value not in (0, 1):
        raise ValueError(f"{where}: {name} is {value!r}; make it 0 or 1")
    return bool(value)


def pixel_count(entry: Any, name: str) -> int:
    """A whole number below 2**31; -1 if the field is missing, -2 for all else."""
    if name not in entry:
        return -1
    value = entry[name]
    # Some tools write whole numbers as floats.
    is_count = type(value) in (int, float) and 0 <= value < 2**31
    return int(value) if is_count and value == int(value) else -2


def _field(entry: Any, name: str, where: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise ValueError(f"{where} has no field {name!r}; see the COCO panoptic format")
    return entry[name]
