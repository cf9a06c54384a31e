"""Files of a dataset, in a folder or in a zip file as it was downloaded."""

import os
import sys
import tempfile
import threading
import weakref
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Protocol

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


class ZipFiles:
    """The files below a folder inside a zip file; threads may share it.

    Args:
      path: the zip file.
      inside: folder in it.
    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no zip file, or cut short.
    """

    def __init__(self, path: Path | str, inside: str = "") -> None:
        self._path, self._inside = str(path), inside
        self._zip = _open(path, self._path)
        self._index()

    @classmethod
    def within(cls, path: Path | str, member: str, inside: str = "") -> "ZipFiles":
        """A zip file inside a zip file, as COCO packs its panoptic PNGs.

        It is unpacked once to a temporary file, which vanishes with the process.

        Raises:
          FileNotFoundError: there is no such file, or no such member.
          ValueError: one of the two is no zip file, or cut short.
        """
        outer = _open(path, str(path))
        made = cls.__new__(cls)
        made._path, made._inside = f"{path}/{member}", inside
        try:
            info = outer.getinfo(member)
        except KeyError:
            raise FileNotFoundError(f"{path}: holds no {member}") from None
        print(f"unpacking {member} of {path} ...", file=sys.stderr, flush=True)
        inner = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its zip
        try:
            with outer.open(info) as packed:
                while block := packed.read(1 << 22):
                    inner.write(block)
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{made._path}: {error}; download it again") from error
        made._zip = _open(inner, made._path)
        weakref.finalize(made._zip, inner.close)
        made._index()
        return made

    def where(self, name: str) -> str:
        """See `Files`."""
        return f"{self._path}/{self._inner(name)}"

    def read(self, name: str) -> File:
        """See `Files`."""
        where = self.where(name)
        try:
            return File(where, self._zip.read(self._inner(name)))
        except KeyError:
            raise FileNotFoundError(f"{where}: no such file in the zip") from None
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise ValueError(f"{where}: {error}; download the zip again") from error

    def names(self, folder: str = "") -> list[str]:
        """See `Files`."""
        return sorted(self._files.get(self._inner(folder), ()))

    def folders(self, folder: str = "") -> list[str]:
        """See `Files`."""
        return sorted(self._folders.get(self._inner(folder), ()))

    def _inner(self, name: str) -> str:
        return "/".join(part for part in (self._inside, name) if part)

    def _index(self) -> None:
        self._files: dict[str, set[str]] = {}
        self._folders: dict[str, set[str]] = {}
        for name in self._zip.namelist():
            folder, _, base = name.rpartition("/")
            if base:
                self._files.setdefault(folder, set()).add(base)
            while folder:
                parent, _, base = folder.rpartition("/")
                self._folders.setdefault(parent, set()).add(base)
                folder = parent


_opened: dict[tuple[str, int, int], zipfile.ZipFile] = {}
_opening = threading.Lock()


def _open(file: Path | str | IO[bytes], name: str) -> zipfile.ZipFile:
    """A zip file; one path is indexed once, however many splits lie in it."""
    try:
        if not isinstance(file, Path | str):
            return zipfile.ZipFile(file)
        status = os.stat(file)
        key = (str(Path(file).resolve()), status.st_size, status.st_mtime_ns)
        with _opening:
            if key not in _opened:
                _opened[key] = zipfile.ZipFile(file)
            return _opened[key]
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: no such file; check the path") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(
            f"{name}: cannot be read as a zip file ({error}); download it again"
        ) from error


def check_names(files: Files, names: Collection[str], *, named_by: str) -> None:
    """Raises FileNotFoundError if one of the files `names` is missing.

    Lists every folder once; no file is touched, so this is quick on network disks.

    Args:
      files: where they should be.
      names: they may have subfolders.
      named_by: who names them, for the message.
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
    if missing:
        raise FileNotFoundError(
            f"{files.where('')}: lacks {list_some(missing)} ({len(missing)} of the "
            f"{len(names)} files named by {named_by}); add the files or remove the "
            "entries"
        )
