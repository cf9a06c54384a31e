"""Logs of JSON objects, one a line: a header, then entries, as work is done (ours).

A process may be killed at any moment: a last line that is not whole is no entry.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append_line(log: Path, entry: Mapping[str, Any]) -> None:
    """Adds a line: the header, or an entry. Others that read the log then see it."""
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """A line of a log; None for one that was not finished."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def read_entries(log: Path) -> Iterator[dict[str, Any]]:
    """Reads the entries of a log, one at a time, without the header."""
    with log.open("rb") as file:
        file.readline()
        for line in file:
            entry = parse_line(line)
            if entry is not None:
                yield entry


def read_header(log: Path) -> dict[str, Any]:
    """The first line of a log; {} if it is cut off."""
    with log.open("rb") as file:
        return parse_line(file.readline()) or {}


def changed_field(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first field that differs, such as "seed 1, not 2"; None where all agree.

    Args:
      before: as it was read.
      now: likewise of JSON types; its fields are looked at first, in order.
    """
    for name in dict.fromkeys((*now, *before)):
        if before.get(name) != now.get(name):
            return f"{name} {before.get(name)!r}, not {now.get(name)!r}"
    return None
