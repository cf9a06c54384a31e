"""A video's frames: one file each, in the order of the numbers in their names."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

Key = tuple[list[str | int], str]


def by_number(stem: str) -> Key:
    """Key that sorts names without suffix by the numbers in them, 2 before 10."""
    parts = re.split(r"(\d+)", stem)
    # Text and numbers take turns, so that like is compared with like.
    return [int(p) if k % 2 else p for k, p in enumerate(parts)], stem


def stems(names: Iterable[str], where: str) -> dict[str, str]:
    """Name without suffix -> name.

    Args:
      names: of the frames' files, without folder.
      where: their folder, for the message.
    Raises:
      ValueError: two differ in their suffix only.
    """
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(PurePosixPath(name).stem, name)
        if other != name:
            raise ValueError(
                f"{where}: holds {other} and {name}, of which only one can be the "
                "frame; move the other elsewhere"
            )
    return found
