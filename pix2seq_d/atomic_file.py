"""Small files that are whole or not there, whatever happens while they are written."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Writes a text file (temporary file, to the disk, then rename).

    Raises:
      OSError: it cannot be written; the message names the file and the cure.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # Else a machine that fails may leave the name without the text.
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> OSError:
    """The same error, in words that name the file and the cure."""
    return OSError(
        f"{path} cannot be written ({error.strerror or error}); free space or mend the "
        "folder, and start the same command again"
    )
