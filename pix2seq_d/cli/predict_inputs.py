"""The images that `predict` is given: which files, and what to call them."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pix2seq_d.cli import app

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")


def find(pattern: str) -> tuple[list[Path], list[Path]]:
    """The images that `--input` means, and the other files there, both sorted.

    A single file is taken whatever its name ends with.

    Raises:
      FileNotFoundError: no such file or folder, or no image in it.
    """
    path = Path(pattern)
    if path.is_file():
        return [path], []
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and p.name[0] != "."]
        nothing = f"no image in this folder ({', '.join(SUFFIXES)})"
    else:
        # Several `**` give a file several times.
        matches = set(glob.glob(pattern, recursive=True))
        found = [path for path in map(Path, matches) if path.is_file()]
        nothing = (
            "no such image, folder or video; give one, or a glob of images in quotes"
        )
    images = sorted(p for p in found if p.suffix.lower() in SUFFIXES)
    if not images:
        raise FileNotFoundError(f"--input={pattern}: {nothing}")
    return images, sorted(set(found) - set(images))


def check_apart(paths: Sequence[Path], output: Path, folders: Sequence[str]) -> None:
    """Raises UsageError if an image lies in a folder of results."""
    written = {(output / name).resolve() for name in folders}
    for path in paths:
        if path.parent.resolve() in written:
            raise app.UsageError(
                f"--output={output}: results would be written over what lies there, "
                f"such as {path}; give another folder, or an --input without it"
            )


def names(paths: Sequence[Path]) -> list[str]:
    """What to call images: their names, with folders where two have the same one."""
    found = [path.name for path in paths]
    if len(set(found)) == len(found):
        return found
    whole = [Path(os.path.abspath(path)) for path in paths]
    top = os.path.commonpath([path.parent for path in whole])
    return [path.relative_to(top).as_posix() for path in whole]
