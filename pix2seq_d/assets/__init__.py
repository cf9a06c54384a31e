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
    `./shapes` is a path, and so is every `Path`, which does not tell it from `shapes`.
    """
    is_name = isinstance(path, str) and path in names() and not Path(path).exists()
    return file_of(str(path)) if is_name else Path(path)


def settled(path: str) -> str:
    """A path that is right in any folder; a shipped model's name, and '', as it is."""
    if not path or find(path) != Path(path):
        return path
    return str(Path(path).resolve())
