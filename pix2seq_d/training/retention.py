"""Which checkpoints are kept: the latest, and the best beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from pix2seq_d import atomic_file

SCORES = "scores.json"


class LatestAndBest(ocp.checkpoint_managers.PreservationPolicy):
    """Keeps the latest `keep` and the `keep_best` with the highest scores.

    Scores come after a checkpoint is saved, so that nothing is lost if its evaluation
    is interrupted; they are read from `scores.json`. What is not kept is deleted when
    the next checkpoint is complete.

    Args:
      directory: of the checkpoints.
      keep: at least 1.
      keep_best: 0 for none.
    Raises:
      ValueError: `scores.json` cannot be read.
    """

    def __init__(self, directory: Path, *, keep: int, keep_best: int) -> None:
        self._path = directory / SCORES
        self._keep, self._keep_best = keep, keep_best
        self._scores = _read(self._path) if self._path.exists() else {}

    def score(self, step: int, value: float, *, steps: Sequence[int]) -> None:
        """Sets the score of a checkpoint; forgets those of all but `steps`."""
        scores = self._scores | {step: value}
        self._scores = {step: scores[step] for step in steps if step in scores}

    def write(self) -> None:
        """Writes `scores.json`."""
        atomic_file.replace_text(self._path, json.dumps(self._scores))

    def should_preserve(
        self, checkpoints: Sequence[Any], *, context: Any
    ) -> Sequence[bool]:
        """See Orbax; one answer for each checkpoint."""
        steps = sorted(info.step for info in checkpoints)
        scored = [(self._scores[step], step) for step in steps if step in self._scores]
        best = [step for _, step in sorted(scored, reverse=True)[: self._keep_best]]
        kept = {*steps[-self._keep :], *best}
        return [info.step in kept for info in checkpoints]


def _read(path: Path) -> dict[int, float]:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        return {int(step): float(score) for step, score in scores.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); delete it: the checkpoints there are "
            "then no longer kept for their scores"
        ) from error
