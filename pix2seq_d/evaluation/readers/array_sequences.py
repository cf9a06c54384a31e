"""Reading videos as NumPy files: `<sequence>.npy`, or `<sequence>.npz`."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from pix2seq_d.evaluation.frame_pair import FramePair, split_frames
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers.sequences import Sequences, check_present
from pix2seq_d.panoptic_index import list_some

_SUFFIXES = (".npy", ".npz")
_READ_ERRORS = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


class ArraySequences(Sequences):
    """Arrays [T, H, W] of integer labels, one file for each sequence.

    An .npz holds the truth as `gt` and the prediction as `pred`, or is a file of one
    array; both may be in one file, then the two folders are the same. An .npy is
    read frame by frame. Predictions without truth are ignored.

    Args:
      gt_root: folder of the truth.
      pred_root: folder of the predictions.
      coding: of the labels.
      allow_missing: score missing predictions, but not all, as void.
    Raises:
      FileNotFoundError: a folder, the truth, or a prediction is missing.
      ValueError: a sequence has two files.
    """

    def __init__(
        self,
        gt_root: Path | str,
        pred_root: Path | str,
        *,
        coding: LabelCoding,
        allow_missing: bool = False,
    ) -> None:
        self.coding = coding
        self._truth, self._found = _files(Path(gt_root)), _files(Path(pred_root))
        self.names = tuple(sorted(self._truth))
        if not self.names:
            raise FileNotFoundError(
                f"{gt_root}: holds no <sequence>.npy or .npz; give the folder of the "
                "sequences"
            )
        missing = check_present(
            self.names,
            self._found,
            place=str(pred_root),
            truth=str(gt_root),
            allow_missing=allow_missing,
        )
        lost = (_read(self._truth[name], "gt") for name in missing)
        self.num_missing = sum(len(x) if x.ndim == 3 else 1 for x in lost)

    def frames(self, name: str) -> Iterator[FramePair]:
        """See `Sequences`."""
        path = self._truth[name]
        truth, place = _read(path, "gt"), str(path)
        if name in self._found:
            found = _read(self._found[name], "pred")
            place = f"{self._found[name]} (truth {path})"
        else:
            found = np.broadcast_to(self.coding.void_label, truth.shape)
        yield from split_frames(f"{name} of {place}", truth, found)


def _files(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; check the path")
    found: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        if path.suffix in _SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise ValueError(
                    f"{path}: sequence {path.stem} also has {found[path.stem].name}; "
                    "remove one"
                )
            found[path.stem] = path
    return found


def _read(path: Path, key: str) -> np.ndarray:
    """The array of an .npy, or that of an .npz with the name, or its only one."""
    try:
        if path.suffix == ".npy":
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file, NpzFile(file) as arrays:
            names = list(arrays)
            if key not in names and len(names) == 1:
                key = names[0]
            if key in names:
                return arrays[key]
    except _READ_ERRORS as error:
        raise ValueError(
            f"{path}: cannot be read ({error}); save it again with numpy.save or "
            "numpy.savez"
        ) from error
    raise ValueError(
        f"{path}: holds arrays {list_some(names)}, not {key!r}; name it so, or save "
        "one array only"
    )
