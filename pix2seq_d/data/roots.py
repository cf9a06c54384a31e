"""The folder of a dataset that a user names: is it there, and which splits are."""

from collections.abc import Iterable
from pathlib import Path

from pix2seq_d.files import Files, Folder
from pix2seq_d.zip_files import ZipFiles


def check_root(root: Path | str, split: str, *, layout: str) -> Path:
    """The root as a path, if it is a folder and a split is named.

    Args:
      root: what the user gave.
      split: what the user gave.
      layout: of the dataset, for messages.
    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: root or split is empty.
    """
    if not str(root):
        raise ValueError(
            f"the dataset's root is empty; set it to a folder in {layout} layout "
            "(--config.data.source.root=DIR)"
        )
    if not split:
        raise ValueError("the dataset's split is empty; name one, such as 'train'")
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: no such folder; set the dataset's root to a folder in {layout} "
            "layout"
        )
    return root


def no_split(
    root: Path, wanted: str, *, found: Iterable[str], layout: str
) -> FileNotFoundError:
    """The error for a split that is not in the root.

    Args:
      root: of the dataset.
      wanted: what was looked for, with the split in it.
      found: the splits that are there.
      layout: of the dataset.
    """
    names = ", ".join(sorted(found))
    if names:
        return FileNotFoundError(
            f"{root}: no {wanted}; splits found: {names}; name one of them"
        )
    return FileNotFoundError(
        f"{root}: no {wanted}, nor any other split; give a folder in {layout} layout"
    )


def folder_or_zip(place: Path, name: str, zip_name: str = "") -> Files | None:
    """The files below a folder, or in the zip file that has it packed.

    Args:
      place: where either is; the folder wins.
      name: of the folder, also inside of the zip file, if there is one.
      zip_name: by default the name with `.zip`.
    Returns:
      None where there is neither.
    """
    if (place / name).is_dir():
        return Folder(place / name)
    packed = place / (zip_name or f"{name}.zip")
    if packed.is_file():
        inside = name if name in ZipFiles(packed).folders() else ""
        return ZipFiles(packed, inside)
    return None
