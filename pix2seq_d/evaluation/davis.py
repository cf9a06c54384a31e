"""DAVIS 2017, unsupervised multi-object segmentation: J&F over videos.

Global values are plain means over all objects of all videos, not over videos.

Source: spec 7.3; davis2017-evaluation. `davis_sequence` scores one video.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pix2seq_d.data.davis import sequences_of
from pix2seq_d.evaluation.davis_sequence import (
    SequenceScore,
    mean_measures,
    score_frames,
)
from pix2seq_d.evaluation.readers import davis_frames
from pix2seq_d.evaluation.readers.sequences import check_present
from pix2seq_d.files import Folder
from pix2seq_d.panoptic_index import list_some

__all__ = ["JAndF", "SequenceScore", "check", "evaluate", "score", "sequences_of"]


class JAndF:
    """Accumulates J and F over videos; every video is scored on its own."""

    def __init__(self) -> None:
        self._scores: dict[str, SequenceScore] = {}

    def update(self, name: str, gt: np.ndarray, pred: np.ndarray) -> SequenceScore:
        """Adds one video and returns its own score.

        Args:
          name: of the video.
          gt: [T, H, W] integers in [0, 255], 0 background, 255 void.
          pred: [T, H, W] integers in [0, 20], 0 background.
        Raises:
          ValueError: the arrays differ in size, or as `score_frames` and `add`.
        """
        made = score_frames(name, davis_frames.of_arrays(name, gt, pred))
        self.add(made)
        return made

    def add(self, score: SequenceScore) -> None:
        """Adds a video that was scored elsewhere.

        Raises:
          ValueError: a video of that name is in already.
        """
        if score.name in self._scores:
            raise ValueError(f"{score.name}: is scored twice; give each sequence once")
        self._scores[score.name] = score

    def merge(self, other: "JAndF") -> None:
        """Adds the videos of another accumulator; ValueError if they share one."""
        both = sorted(self._scores.keys() & other._scores.keys())
        if both:
            raise ValueError(
                f"{list_some(both)}: scored by both accumulators; give each sequence "
                "to one"
            )
        self._scores |= other._scores

    def result(self) -> dict[str, Any]:
        """J&F as fractions; the same bits in whatever order videos were added.

        Returns:
          `J&F-Mean`, `J-Mean`, `J-Recall`, `J-Decay`, `F-Mean`, `F-Recall`,
          `F-Decay`: means over all objects.
          `per_sequence`: name -> the same over its objects, and the numbers of
          `frames`, `objects` and `proposals`.
          `per_object`: name -> object id -> the same of the object, `proposal` (the
          id assigned to it; None for an added empty one), `J_per_frame`,
          `F_per_frame`.
        Raises:
          ValueError: no video was added.
        """
        if not self._scores:
            raise ValueError("no sequence is scored; add at least one")
        scores = [self._scores[name] for name in sorted(self._scores)]
        per_object = {score.name: score.per_object() for score in scores}
        every = [row for rows in per_object.values() for row in rows.values()]
        return {
            **mean_measures(every),
            "per_sequence": {
                score.name: {
                    **mean_measures(per_object[score.name].values()),
                    "frames": score.j.shape[1],
                    "objects": score.j.shape[0],
                    "proposals": score.num_proposals,
                }
                for score in scores
            },
            "per_object": per_object,
        }

    def to_json(self) -> dict[str, Any]:
        """The accumulator as JSON types; `from_json` is the inverse."""
        return {"sequences": [self._scores[n].to_json() for n in sorted(self._scores)]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "JAndF":
        """The accumulator that `to_json` gave."""
        made = cls()
        for entry in data["sequences"]:
            made.add(SequenceScore.from_json(entry))
        return made


def evaluate(
    gt_dir: Path | str,
    pred_dir: Path | str,
    sequences: Iterable[str] | None = None,
    *,
    allow_missing: bool = False,
) -> dict[str, Any]:
    """J&F of folders of palette PNGs, `<sequence>/00000.png` and so on.

    The frames of the truth are scored, the first and the last included; further
    predicted frames and sequences are ignored.

    Args:
      gt_dir: folders of truth, such as `Annotations_unsupervised/480p`.
      pred_dir: folders of proposals.
      sequences: names of those scored; by default all folders of `gt_dir`.
      allow_missing: whether absent predictions are scored as background.
    Returns:
      As `JAndF.result`.
    Raises:
      FileNotFoundError, ValueError: as `check` and `score`.
    """
    names, _ = check(gt_dir, pred_dir, sequences, allow_missing=allow_missing)
    total = JAndF()
    for name in names:
        total.add(score(gt_dir, pred_dir, name, allow_missing=allow_missing))
    return total.result()


def check(
    gt_dir: Path | str,
    pred_dir: Path | str,
    sequences: Iterable[str] | None = None,
    *,
    allow_missing: bool = False,
) -> tuple[list[str], int]:
    """Checks that all files are there, before any is read.

    Args:
      gt_dir: folders of truth.
      pred_dir: folders of proposals.
      sequences: names of those scored; by default all folders of `gt_dir`.
      allow_missing: whether predictions, but not all, may be absent.
    Returns:
      The names of the sequences, and how many of their frames have no prediction.
    Raises:
      FileNotFoundError: no such folder, an unknown sequence, a missing frame.
      ValueError: no sequence, or one twice.
    """
    for folder in (gt_dir, pred_dir):
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; check the path")
    if sequences is None:
        names = [n for n in Folder(gt_dir).folders() if not n.startswith(".")]
    else:
        names = list(sequences)
    if not names:
        raise ValueError(
            f"{gt_dir}: no sequence to score; give the folder that holds one folder "
            "of PNGs for each sequence, and name at least one"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{list_some(twice)}: named twice; name each sequence once")
    frames = {
        f"{name}/{truth.name}": found
        for name in names
        for truth, found in davis_frames.list_frames(
            gt_dir, pred_dir, name, allow_missing=True
        )
    }
    missing = check_present(
        list(frames),
        {frame for frame, found in frames.items() if found},
        place=str(pred_dir),
        truth=str(gt_dir),
        allow_missing=allow_missing,
        scored_as="background",
    )
    return names, len(missing)


def score(
    gt_dir: Path | str, pred_dir: Path | str, name: str, *, allow_missing: bool = False
) -> SequenceScore:
    """Scores one sequence of two folders, frame by frame; for a pool of processes.

    Args:
      gt_dir: folders of truth.
      pred_dir: folders of proposals.
      name: of the sequence.
      allow_missing: whether absent predictions are scored as background.
    Raises:
      FileNotFoundError: an unknown sequence, or a missing frame.
      ValueError: a file is damaged or neither palette nor 8-bit gray, or as
        `score_frames`.
    """
    frames = davis_frames.of_folders(
        gt_dir, pred_dir, name, allow_missing=allow_missing
    )
    return score_frames(name, frames)
