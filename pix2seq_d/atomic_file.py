"""Files that are whole or not there, whatever happens while they are written."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self


class WrittenWhole:
    """A context manager of files that are complete once it is closed.

    It closes itself, after an error not at all.
    """

    def close(self) -> None:
        """Completes the files."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when all is written and on the disk.

    It has the name `<name>.part` until then; after an error there is none.

    Raises:
      OSError: it cannot be written; the message names the file and the cure.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            # Else a machine that fails may leave the name without the content.
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def replace_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def link(source: Path, target: Path) -> None:
    """Gives a whole file another name too; a copy where the file system has no links.

    Args:
      source: the file.
      target: replaced if it is there.
    """
    # A link of an earlier run is to that run's file.
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def cannot_write(path: Path, error: OSError) -> OSError:
    """The same error, in words that name the file and the cure."""
    return OSError(
        f"{path} cannot be written ({error.strerror or error}); free space or mend the "
        "folder, and start the same command again"
    )
