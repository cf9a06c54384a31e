"""The score of one image, and the results over many.

Scores are whole numbers: the results are the same bits in whatever order, and by
however many processes, images were scored.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pix2seq_d.evaluation import diagnosis
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts, summary
from pix2seq_d.evaluation.diagnosis import Diagnosis


@dataclasses.dataclass(frozen=True)
class Report:
    """Results over all images.

    Attributes:
      pq: as `PanopticQuality.result` gives it.
      oracle: the same for the truth sent through mask size.
      images: position in the source -> the image's own mean PQ, in order.
      diagnosis: what each kind of error costs, as `Diagnosis.result`.
    """

    pq: dict[str, dict[Any, Any]]
    oracle: dict[str, dict[Any, Any]]
    images: dict[int, float]
    diagnosis: dict[str, dict[Any, Any]]

    @property
    def num_images(self) -> int:
        """Number of images evaluated."""
        return len(self.images)


class IncompleteEvaluation(RuntimeError):
    """Not every image or video was evaluated exactly once."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImageScore:
    """What is counted of one image.

    Attributes:
      oracle: counts of the truth sent through mask size.
      found: errors of each prediction; one, or one for each rung of a ladder.
    """

    oracle: Counts
    found: tuple[Diagnosis, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON types, categories without any count left out."""
        tables = [self.oracle.table(), *(found.table() for found in self.found)]
        table = np.concatenate(tables, axis=1)
        present = np.flatnonzero(table.any(axis=1))
        shape = list(table.shape)
        return {
            "shape": shape,
            "present": present.tolist(),
            "rows": table[present].tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ImageScore":
        """The score that `to_json` gave."""
        categories, columns = data["shape"]
        table = np.zeros((categories, columns), np.int64)
        if data["present"]:
            table[data["present"]] = data["rows"]
        parts = np.split(table[:, 5:], (columns - 5) // diagnosis.COLUMNS, axis=1)
        found = (Diagnosis.of_table(part) for part in parts)
        return cls(Counts.of_table(table[:, :5]), tuple(found))


def reports(
    scored: Iterable[tuple[int, ImageScore]], categories: Categories
) -> list[Report]:
    """Results over images, for each of their predictions.

    Args:
      scored: (position in the source, score) of each image, in any order; they have
        equally many predictions.
      categories: that are counted.
    """
    zeros = Diagnosis.zeros(len(categories))
    oracle = zeros.counts
    totals: list[Diagnosis] = []
    images: list[dict[int, float]] = []
    for position, score in scored:
        oracle += score.oracle
        totals = totals or [zeros for _ in score.found]
        images = images or [{} for _ in score.found]
        for k, found in enumerate(score.found):
            totals[k] += found
            images[k][position] = found.counts.mean_pq()
    kinds = {"is_thing": categories.is_thing, "ids": categories.ids}
    return [
        Report(
            pq=summary(total.counts, **kinds),
            oracle=summary(oracle, **kinds),
            images=dict(sorted(own.items())),
            diagnosis=total.result(categories),
        )
        for total, own in zip(totals, images, strict=True)
    ]


def check_once(done: Sequence[int], positions: Sequence[int], *, what: str) -> None:
    """Raises IncompleteEvaluation unless each position is done exactly once.

    Args:
      done: positions that all processes have scored.
      positions: those to score.
      what: images or videos.
    """
    if sorted(done) != sorted(positions):
        raise IncompleteEvaluation(
            f"{len(set(done))} of {len(positions)} {what} were evaluated, in "
            f"{len(done)} turns; evaluate each once, in as many processes as share them"
        )
