"""J and F of one video: every proposal with every object, and who is whose.

Frames are taken one by one; what is kept of each is a small table.

Source: Caelles et al., "The 2019 DAVIS Challenge on VOS: Unsupervised Multi-Object
Segmentation"; spec 7.3; the choices of davis2017-evaluation.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from pix2seq_d.evaluation.boundary import f_measures
from pix2seq_d.evaluation.frame_pair import size
from pix2seq_d.evaluation.readers.davis_frames import MAX_PROPOSALS, VOID, Frame


class Measures(NamedTuple):
    """Mean, share of frames above one half, and fall from first to last quarter."""

    mean: float
    recall: float
    decay: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Measures":
        """The measures of the values [T] of an object's J or F.

        Decay is the mean of the first of four bins less that of the last; bin i is
        the frames b_i ... b_(i+1), both included, b_i = floor((T - 1) i / 4 + 1/2).
        The official code keeps b_i in eight bits, so it is wrong there above 256
        frames.
        """
        first, last = ((len(values) - 1 + 2) // 4, ((len(values) - 1) * 3 + 2) // 4)
        return cls(
            float(values.mean()),
            float((values > 0.5).mean()),
            float(values[: first + 1].mean() - values[last:].mean()),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceScore:
    """What a video adds to the result; can be pickled.

    Attributes:
      name: of the video.
      proposals: [O] int64, the proposal assigned to objects 1 ... O; 0 for an empty
        one that was added because there were fewer proposals than objects.
      num_proposals: the largest id of the prediction.
      j: [O, T] float64 in [0, 1], region similarity (IoU) in each frame.
      f: [O, T] float64 in [0, 1], boundary F in each frame.
      scores: [P, O] float64, (mean J + mean F) / 2 of each proposal, added ones
        included, with each object: what the assignment maximises.
    """

    name: str
    proposals: np.ndarray
    num_proposals: int
    j: np.ndarray
    f: np.ndarray
    scores: np.ndarray

    def per_object(self) -> dict[int, dict[str, Any]]:
        """Object id -> `proposal`, the seven measures, and both values per frame."""
        return {
            row + 1: {
                "proposal": int(self.proposals[row]) or None,
                **_named(Measures.of(self.j[row]), Measures.of(self.f[row])),
                "J_per_frame": self.j[row].tolist(),
                "F_per_frame": self.f[row].tolist(),
            }
            for row in range(len(self.proposals))
        }

    def to_json(self) -> dict[str, Any]:
        """The score as JSON types; `from_json` is the inverse."""
        return {
            "name": self.name,
            "num_proposals": self.num_proposals,
            **{k: getattr(self, k).tolist() for k in ("proposals", "j", "f", "scores")},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SequenceScore":
        """The score that `to_json` gave."""
        return cls(
            name=data["name"],
            num_proposals=data["num_proposals"],
            proposals=np.array(data["proposals"], np.int64),
            **{k: np.array(data[k], np.float64) for k in ("j", "f", "scores")},
        )


def mean_measures(objects: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Plain means over objects, the same bits in any order.

    Args:
      objects: at least one, as the values of `SequenceScore.per_object`.
    """
    rows = list(objects)

    def mean(key: str) -> float:
        return math.fsum(row[key] for row in rows) / len(rows)

    return _named(
        *(
            Measures(*(mean(f"{kind}-{name}") for name in ("Mean", "Recall", "Decay")))
            for kind in "JF"
        )
    )


def score_frames(name: str, frames: Iterable[Frame]) -> SequenceScore:
    """Scores a video.

    Objects are 1 ... the largest id of the first frame, void apart; ids above, in
    later frames, are background. Proposals are 1 ... the largest id of all frames,
    and empty ones are added where there are fewer than objects. Each object gets
    its own proposal so that the sum of (mean J + mean F) / 2 is largest.

    Args:
      name: of the video.
      frames: in order; read as they are needed.
    Raises:
      ValueError: no frame, sizes of frames differ, or no object in the first frame.
    """
    j, f = [], []
    first, num_objects, num_proposals = None, 0, 0
    for frame in frames:
        if first is None:
            first, num_objects = frame, _count_objects(frame)
        if frame.truth.shape != first.truth.shape:
            raise ValueError(
                f"{frame.truth_name}: has {size(frame.truth)} pixels, the first "
                f"frame {size(first.truth)} (width x height); bring all to one size"
            )
        truth, found = frame.truth, frame.found
        num_proposals = max(num_proposals, int(found.max()))
        sizes = {
            "num_objects": num_objects,
            "num_proposals": max(MAX_PROPOSALS, num_objects),
        }
        j.append(jaccards(truth, found, **sizes))
        # Ids of the truth above the objects', 255 too, have no contour of their own.
        found = np.where(truth == VOID, 0, found)
        f.append(f_measures(truth, found, **sizes))
    if not j:
        raise ValueError(f"{name}: has no frames; give at least one or leave it out")
    rows = max(num_proposals, num_objects)
    all_j, all_f = (np.stack(values, axis=-1)[:rows] for values in (j, f))
    scores = (all_j.mean(axis=-1) + all_f.mean(axis=-1)) / 2
    row, column = linear_sum_assignment(scores, maximize=True)
    assigned = row[np.argsort(column)]  # rows by object
    objects = np.arange(num_objects)
    return SequenceScore(
        name,
        np.where(assigned < num_proposals, assigned + 1, 0),
        num_proposals,
        all_j[assigned, objects],
        all_f[assigned, objects],
        scores,
    )


def jaccards(
    truth: np.ndarray, found: np.ndarray, *, num_objects: int, num_proposals: int
) -> np.ndarray:
    """Region similarity J = |g & p| / |g or p| outside void; 1 for an empty union.

    Args:
      truth: [H, W] integers in [0, 255]; ids above O are background, 255 is void.
      found: [H, W] integers in [0, P].
      num_objects: O.
      num_proposals: P.
    Returns:
      [P, O] float64 in [0, 1].
    """
    row = np.zeros(256, np.int32)
    row[: num_objects + 1] = np.arange(num_objects + 1)
    row[VOID] = num_objects + 1
    columns = num_proposals + 1
    joint = (row * columns)[truth] + found.astype(np.int32)
    counts = np.bincount(joint.ravel(), minlength=(num_objects + 2) * columns)
    shared = counts.reshape(-1, columns)[:-1]  # without void
    both = shared[1:, 1:].T
    union = shared.sum(axis=0)[1:, None] + shared.sum(axis=1)[1:] - both
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)


def _named(j: Measures, f: Measures) -> dict[str, float]:
    return {
        "J&F-Mean": (j.mean + f.mean) / 2,
        **{
            f"{kind}-{name}": value
            for kind, measures in (("J", j), ("F", f))
            for name, value in zip(("Mean", "Recall", "Decay"), measures, strict=True)
        },
    }


def _count_objects(first: Frame) -> int:
    number = int(first.truth.max(where=first.truth != VOID, initial=0))
    if not number:
        raise ValueError(
            f"{first.truth_name}: the first frame holds no object, and only those of "
            "the first frame count; leave the sequence out"
        )
    return number
