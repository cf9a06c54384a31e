"""Reading videos in the layout of KITTI-STEP: `<sequence>/<frame>.png`, RGB."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers.sequences import Sequences, check_present, void_like
from pix2seq_d.files import Folder
from pix2seq_d.frame_order import by_number
from pix2seq_d.image_files import File

DIVISOR = 1 << 16  # two bytes hold the instance

_CURE = "write 8-bit RGB, R = class, 256 G + B = instance, as KITTI-STEP's PNGs are"


class StepSequences(Sequences):
    """Folders of frames, one for each sequence; R = class, 256 G + B = instance.

    The truth decides which sequences and frames there are; other predictions are
    ignored, as by the official tools. A prediction has its truth's name, such as
    `0002/000000.png`. KITTI-STEP has 19 classes, things 11 and 13, void 255.

    Args:
      gt_root: the truth, such as `panoptic_maps/val`.
      pred_root: the predictions.
      num_classes: classes are 0 ... num_classes - 1.
      things: classes that are tracked.
      ignore_label: class of pixels that do not count.
      allow_missing: score missing predictions, but not all, as void.
    Raises:
      FileNotFoundError: a folder, the truth, or a prediction is missing.
      ValueError: a number is out of range.
    """

    def __init__(
        self,
        gt_root: Path | str,
        pred_root: Path | str,
        *,
        num_classes: int,
        things: Sequence[int],
        ignore_label: int,
        allow_missing: bool = False,
    ) -> None:
        self.coding = LabelCoding(num_classes, tuple(things), ignore_label, DIVISOR)
        self._truth, self._found = Folder(gt_root), Folder(pred_root)
        for root in (gt_root, pred_root):
            if not Path(root).is_dir():
                raise FileNotFoundError(f"{root}: no such folder; check the path")
        self._frames = {
            name: [f"{name}/{png}" for png in _pngs(self._truth, name)]
            for name in self._truth.folders()
            if not name.startswith(".")
        }
        self.names = tuple(name for name, pngs in self._frames.items() if pngs)
        if not self.names:
            raise FileNotFoundError(
                f"{gt_root}: holds no frames <sequence>/<frame>.png, such as "
                "0002/000000.png; give the folder of the sequences"
            )
        wanted = [png for name in self.names for png in self._frames[name]]
        self._present = {
            f"{name}/{png}" for name in self.names for png in _pngs(self._found, name)
        }
        missing = check_present(
            wanted,
            self._present,
            place=str(pred_root),
            truth=str(gt_root),
            allow_missing=allow_missing,
        )
        self.num_missing = len(missing)

    def frames(self, name: str) -> Iterator[FramePair]:
        """See `Sequences`."""
        for png in self._frames[name]:
            truth = _decode(self._truth.read(png))
            where = f"{self._found.where(png)} (truth {self._truth.where(png)})"
            if png in self._present:
                found = _decode(self._found.read(png))
            else:
                found = void_like(truth, self.coding)
            yield FramePair(truth, found, where)


def _pngs(files: Folder, name: str) -> list[str]:
    pngs = (
        png
        for png in files.names(name)
        if png.lower().endswith(".png") and not png.startswith(".")
    )
    return sorted(pngs, key=lambda png: by_number(PurePosixPath(png).stem))


def _decode(file: File) -> np.ndarray:
    """KITTI-STEP PNG -> int32 [H, W] labels, class * 65536 + instance."""
    rgb = read_label_png(file, modes=("RGB",), cure=_CURE).astype(np.int32)
    return rgb[..., 0] * DIVISOR + rgb[..., 1] * 256 + rgb[..., 2]
