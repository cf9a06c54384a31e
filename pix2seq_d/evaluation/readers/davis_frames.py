"""The frames of a DAVIS video: truth and proposals, from arrays or folders, checked.

A prediction's frames are those of the truth; further ones are ignored.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pix2seq_d.data.frames import by_stem
from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.evaluation.frame_pair import size
from pix2seq_d.files import Folder
from pix2seq_d.frame_order import by_number
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import list_some

VOID = 255  # of the truth
MAX_PROPOSALS = 20

_CURE = "write object ids as palette indices or 8-bit gray, as DAVIS's PNGs are"


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One frame, checked when made.

    Attributes:
      truth: [H, W] integers in [0, 255], objects 1 ... 254, 0 background, 255 void.
      found: [H, W] integers in [0, 20], proposals 1 ... 20, 0 background.
      truth_name: what to call the truth in a message.
      found_name: what to call the proposals.
    Raises:
      ValueError: a map is no [H, W] integers, holds another id, or sizes differ.
    """

    truth: np.ndarray
    found: np.ndarray
    truth_name: str
    found_name: str

    def __post_init__(self) -> None:
        _check_map(self.truth, self.truth_name)
        _check_map(self.found, self.found_name)
        if self.truth.dtype != np.uint8 and self.truth.max() > VOID:
            raise ValueError(
                f"{self.truth_name}: holds the id {self.truth.max()}; number objects "
                f"1 ... {VOID - 1}, {VOID} is void"
            )
        if self.found.shape != self.truth.shape:
            raise ValueError(
                f"{self.found_name}: has {size(self.found)} pixels, the truth "
                f"{size(self.truth)} (width x height); predict at the truth's size"
            )
        largest = int(self.found.max())
        if largest == VOID:
            raise ValueError(
                f"{self.found_name}: holds the id {VOID}, which is void in the truth "
                "only; write the background as 0, proposals as 1 ... 20"
            )
        if largest > MAX_PROPOSALS:
            raise ValueError(
                f"{self.found_name}: holds the id {largest}, but at most "
                f"{MAX_PROPOSALS} proposals are scored; keep the best and number them "
                f"1 ... {MAX_PROPOSALS}"
            )


def of_arrays(name: str, truth: np.ndarray, found: np.ndarray) -> Iterator[Frame]:
    """The frames of a video in memory.

    Args:
      name: of the video, for messages.
      truth: [T, H, W] integers.
      found: [T, H, W] integers.
    Raises:
      ValueError: the arrays differ in shape, or as `Frame`.
    """
    if truth.ndim != 3 or found.ndim != 3 or len(truth) != len(found):
        raise ValueError(
            f"{name}: the truth is {list(truth.shape)}, the prediction "
            f"{list(found.shape)}; give [T, H, W], with a prediction for each frame"
        )
    for t in range(len(truth)):
        names = (f"{name}, frame {t} of the {s}" for s in ("truth", "prediction"))
        yield Frame(truth[t], found[t], *names)


def of_folders(
    gt_dir: Path | str, pred_dir: Path | str, name: str, *, allow_missing: bool
) -> Iterator[Frame]:
    """The frames of a video in folders, each read when it is needed.

    Args:
      gt_dir: folder of the folders of truth.
      pred_dir: folder of the folders of proposals.
      name: of the video, which is its folder's.
      allow_missing: whether absent predictions are background.
    Raises:
      FileNotFoundError: as `list_frames`.
      ValueError: a file is damaged, or neither palette nor 8-bit gray; as `Frame`.
    """
    for truth_path, found_path in list_frames(
        gt_dir, pred_dir, name, allow_missing=allow_missing
    ):
        truth = _read(truth_path)
        found = np.zeros_like(truth) if found_path is None else _read(found_path)
        yield Frame(truth, found, str(truth_path), str(found_path))


def list_frames(
    gt_dir: Path | str, pred_dir: Path | str, name: str, *, allow_missing: bool
) -> list[tuple[Path, Path | None]]:
    """The two files of each frame of the truth, in order; None if not predicted.

    Args:
      gt_dir: folder of the folders of truth.
      pred_dir: folder of the folders of proposals.
      name: of the video.
      allow_missing: whether predictions may be absent.
    Raises:
      FileNotFoundError: no truth, or no prediction for a frame.
    """
    truth, found = (by_stem(Folder(d), name, (".png",)) for d in (gt_dir, pred_dir))
    if not truth:
        raise FileNotFoundError(
            f"{Path(gt_dir) / name}: holds no PNGs; put the truth of {name} there or "
            "leave the sequence out"
        )
    missing = sorted(Path(truth[stem]).name for stem in truth.keys() - found.keys())
    if missing and not allow_missing:
        raise FileNotFoundError(
            f"{Path(pred_dir) / name}: lacks {list_some(missing)} ({len(missing)} of "
            f"the {len(truth)} frames of {Path(gt_dir) / name}); predict them, or "
            "score them as background with allow_missing"
        )
    return [
        (
            Path(gt_dir) / truth[stem],
            Path(pred_dir) / found[stem] if stem in found else None,
        )
        for stem in sorted(truth, key=by_number)
    ]


def _read(path: Path) -> np.ndarray:
    return read_label_png(File.read(path), modes=("P", "L"), cure=_CURE)


def _check_map(labels: np.ndarray, name: str) -> None:
    if labels.dtype.kind not in "iu" or labels.ndim != 2 or not labels.size:
        raise ValueError(
            f"{name}: is {labels.dtype} {list(labels.shape)}; give object ids as "
            "integers [H, W]"
        )
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise ValueError(
            f"{name}: holds the id {labels.min()}; number objects from 1, with 0 for "
            "the background"
        )
