"""Trained models that are installed with the package; docs/models.md."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent
SUFFIX = ".safetensors"


def names() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def file_of(name: str) -> Path:
    """Where the file of a shipped model lies, or would."""
    return FOLDER / f"{name}{SUFFIX}"


def find(path: str | os.PathLike[str]) -> Path:
    """The file of a shipped model if `path` is its name; else the path itself.

    A folder or file of that name that is there wins: it may be somebody's training.
    `./shapes` is a path.
    """
    name = os.fspath(path)
    is_name = name in names() and not Path(name).exists()
    return file_of(name) if is_name else Path(name)
