"""The order of a video's frames: that of the numbers in their names."""

import re
from pathlib import PurePosixPath

Key = tuple[list[str | int], str]


def by_number(name: str) -> Key:
    """Key that sorts file names by the numbers in them, 2 before 10.

    Args:
      name: of a file, with or without folder and suffix; they do not count, but where
        all numbers are equal.
    """
    parts = re.split(r"(\d+)", PurePosixPath(name).stem)
    # Text and numbers take turns, so that like is compared with like.
    return [int(p) if k % 2 else p for k, p in enumerate(parts)], name
