"""Files of a dataset, in a folder or elsewhere, and whether they are all there."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import list_some


class Files(Protocol):
    """Named files with random access; names are relative and use '/'."""

    def where(self, name: str) -> str:
        """What to call a file in a message."""
        ...

    def read(self, name: str) -> File:
        """The whole file; FileNotFoundError if there is none."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of the files directly in a folder; [] without it."""
        ...

    def folders(self, folder: str = "") -> list[str]:
        """Sorted names of the folders directly in a folder; [] without it."""
        ...


class Folder:
    """The files below a folder."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def where(self, name: str) -> str:
        """See `Files`."""
        return str(self._path / name)

    def read(self, name: str) -> File:
        """See `Files`."""
        return File.read(self._path / name)

    def names(self, folder: str = "") -> list[str]:
        """See `Files`."""
        return self._list(folder, files=True)

    def folders(self, folder: str = "") -> list[str]:
        """See `Files`."""
        return self._list(folder, files=False)

    def _list(self, folder: str, *, files: bool) -> list[str]:
        path = self._path / folder
        if not path.is_dir():
            return []
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if e.is_dir() != files)


def check_names(
    files: Files, names: Collection[str], *, named_by: str, max_missing: int = 0
) -> None:
    """Raises FileNotFoundError if more than a few of the files `names` are missing.

    Lists every folder once; no file is touched, so this is quick on network disks.

    Args:
      files: where they should be.
      names: they may have subfolders.
      named_by: who names them, for the message.
      max_missing: how many may be missing, though not all in an empty folder.
    """
    if names and not files.names() and not files.folders():
        raise FileNotFoundError(
            f"{files.where('')}: no such folder, or empty, but {named_by} names "
            f"{len(names)} files in it; put it there or correct the path"
        )
    present: dict[str, set[str]] = {}
    missing = []
    for name in names:
        folder, _, base = name.rpartition("/")
        if folder not in present:
            present[folder] = set(files.names(folder))
        if base not in present[folder]:
            missing.append(name)
    if len(missing) > max_missing:
        raise FileNotFoundError(
            f"{files.where('')}: lacks {list_some(missing)} ({len(missing)} of the "
            f"{len(names)} files named by {named_by}); add the files or remove the "
            "entries"
        )
