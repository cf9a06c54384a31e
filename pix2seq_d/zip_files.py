"""Files in a zip file, as it was downloaded."""

import lzma
import os
import struct
import sys
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pix2seq_d.image_files import File

# What `zipfile` raises on damaged files; encryption and unknown ways to compress are
# RuntimeErrors.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)


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
            for block in _blocks(outer, info, made._path):
                inner.write(block)
            made._zip = _open(inner, made._path)
        except (ValueError, OSError):
            inner.close()
            raise
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
        except _ZIP_ERRORS as error:
            raise ValueError(_damage(where, error)) from error

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
    except _ZIP_ERRORS as error:
        raise ValueError(
            f"{name}: cannot be read as a zip file ({error}); download it again"
        ) from error


def _blocks(
    packed: zipfile.ZipFile, info: zipfile.ZipInfo, where: str
) -> Iterator[bytes]:
    """The member of a zip file, unpacked."""
    try:
        with packed.open(info) as member:
            while block := member.read(1 << 22):
                yield block
    except _ZIP_ERRORS as error:
        raise ValueError(_damage(where, error)) from error


def _damage(where: str, error: Exception) -> str:
    """The message about a member of a zip file that cannot be unpacked."""
    reason = " ".join(str(error).split()) or type(error).__name__
    cure = "download the zip again"
    if isinstance(error, RuntimeError):
        cure += ", or unpack it into a folder"
    return f"{where}: {reason}; {cure}"
