"""Reading semantic label maps: folders of gray PNGs, paired by their names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.readers.sequences import check_present
from pix2seq_d.files import Folder

_MODES = ("L", "P", "I;16", "I;16B", "I")
_CURE = "write gray PNGs (or palette PNGs) whose values are classes"
_TRAIN_IDS = "_gtFine_labelTrainIds"
_ENDINGS = (_TRAIN_IDS, "_gtFine_labelIds", "_leftImg8bit")


class SemanticFiles:
    """Label maps of images: the values of gray or palette PNGs are classes.

    Files are paired by their path below the two folders, such as
    `frankfurt/frankfurt_000000_000294.png`. Cityscapes' endings `_leftImg8bit`,
    `_gtFine_labelTrainIds` and `_gtFine_labelIds` do not matter; of a truth that has
    files of train ids, as gtFine has after createTrainIdLabelImgs.py, only these are
    taken. Predictions without truth are ignored. It can be pickled.

    Args:
      gt_root: the truth, with folders or without.
      pred_root: the predictions, with the same folders.
      ignore_label: the value of a missing prediction.
      allow_missing: score missing predictions, but not all, as ignore.
    Attributes:
      names: of the images, sorted; paths without suffix and ending.
      missing: those without a prediction, which count as ignore.
    Raises:
      FileNotFoundError: a folder, the truth, or a prediction is missing.
      ValueError: two files have one name.
    """

    def __init__(
        self,
        gt_root: Path | str,
        pred_root: Path | str,
        *,
        ignore_label: int,
        allow_missing: bool = False,
    ) -> None:
        for root in (gt_root, pred_root):
            if not Path(root).is_dir():
                raise FileNotFoundError(f"{root}: no such folder; check the path")
        self._ignore_label = ignore_label
        self._truth, self._found = Folder(gt_root), Folder(pred_root)
        truth = list(_walk(self._truth))
        train_ids = [path for path in truth if path.endswith(f"{_TRAIN_IDS}.png")]
        self._truth_paths = _by_name(self._truth, train_ids or truth)
        self._found_paths = _by_name(self._found, list(_walk(self._found)))
        self.names = tuple(sorted(self._truth_paths))
        if not self.names:
            raise FileNotFoundError(f"{gt_root}: holds no PNGs; check the path")
        missing = check_present(
            self.names,
            self._found_paths,
            place=str(pred_root),
            truth=str(gt_root),
            allow_missing=allow_missing,
        )
        self.missing = frozenset(missing)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, name: str) -> FramePair:
        """The two label maps of an image.

        Raises:
          FileNotFoundError: a file has vanished.
          ValueError: a file is damaged, no PNG, or in colours.
        """
        truth_path, found_path = self._truth_paths[name], self._found_paths.get(name)
        truth = _decode(self._truth, truth_path)
        if found_path is None:
            found = np.full(truth.shape, self._ignore_label, np.int64)
            return FramePair(truth, found, self._truth.where(truth_path))
        where = (
            f"{self._found.where(found_path)} (truth {self._truth.where(truth_path)})"
        )
        return FramePair(truth, _decode(self._found, found_path), where)


def _walk(files: Folder, folder: str = "") -> Iterator[str]:
    """Paths of all PNGs below a folder."""
    prefix = f"{folder}/" if folder else ""
    for name in files.names(folder):
        if name.lower().endswith(".png") and not name.startswith("."):
            yield prefix + name
    for name in files.folders(folder):
        if not name.startswith("."):
            yield from _walk(files, prefix + name)


def _by_name(files: Folder, paths: list[str]) -> dict[str, str]:
    """Name of an image -> path of its label map."""
    found: dict[str, str] = {}
    for path in paths:
        name = path[: -len(".png")]
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
        if name in found:
            raise ValueError(
                f"{files.where(path)}: is a second label map of {name} beside "
                f"{found[name]}; keep one of them in the folder"
            )
        found[name] = path
    return found


def _decode(files: Folder, path: str) -> np.ndarray:
    return read_label_png(files.read(path), modes=_MODES, cure=_CURE)
