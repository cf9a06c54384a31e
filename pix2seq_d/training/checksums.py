"""Checksums of a checkpoint's files (ours): Orbax restores flipped bits in silence."""

import json
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

CHECKSUMS = "checksums.json"
# Orbax writes them again when it commits.
_NOT_SUMMED = (CHECKSUMS, "_CHECKPOINT_METADATA", "commit_success.txt")
_THREADS = 8
_CHUNK = 1 << 22


def write(folder: Path) -> None:
    """Writes `checksums.json`: CRC-32 of every file below a folder, by relative path.

    Raises:
      OSError: a file cannot be read, or this one not be written.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not (path.parent == folder and path.name in _NOT_SUMMED)
    )
    sums = _crc32_of(files)
    names = [path.relative_to(folder).as_posix() for path in files]
    text = json.dumps(dict(zip(names, sums, strict=True)), indent=0)
    (folder / CHECKSUMS).write_text(text, encoding="utf-8")


def fault(
    folder: Path, items: Sequence[str], *, optional: Sequence[str] = ()
) -> str | None:
    """Says what is wrong with a checkpoint's files, None where nothing is.

    Args:
      folder: of one checkpoint. Without `checksums.json` (format 0) the files are
        only looked for.
      items: folders in it that are looked at, and have to be there.
      optional: others, which are looked at if they were there when it was saved.
    """
    for item in items:
        if not (folder / item).is_dir():
            return f"it lacks {item}"
    path = folder / CHECKSUMS
    if not path.exists():
        return None
    try:
        sums = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{path.name} cannot be read ({error})"
    # Those that only newer formats have are among the sums, or not there.
    items = (*items, *optional)
    names = [name for name in sums if name.partition("/")[0] in items]
    try:
        found = _crc32_of([folder / name for name in names])
    except FileNotFoundError as error:
        return f"it lacks {Path(error.filename).relative_to(folder).as_posix()}"
    except OSError as error:
        return str(error)
    for name, value in zip(names, found, strict=True):
        if value != sums[name]:
            return f"{name} was truncated or changed since it was saved (CRC-32)"
    return None


def of_arrays(tree: Any) -> int:
    """CRC-32 of the bytes of all arrays of a tree, in its order."""
    value = 0
    for leaf in jax.tree.leaves(tree):
        value = zlib.crc32(np.asarray(leaf).tobytes(), value)
    return value


def _crc32_of(files: Sequence[Path]) -> list[int]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_crc32, files))


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
