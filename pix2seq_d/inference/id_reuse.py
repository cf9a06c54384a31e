"""Instance ids that come back after a gap in a video get a new number (spec 6.3).

The model sees the last predicted frames only, two in the paper. An id that is in none
of them and is drawn again is, as a rule, another object: under its old number both
would be one track, which STQ punishes. Frame after frame, of one video:

* an id that never occurred keeps its number;
* one that occurred in one of the frames that the model sees keeps the number it had;
* any other gets the smallest number that is neither in use by then nor an id of
  this frame, or 0 where there is none.

0 is background and stays 0. Known limit, as in the reference: where a number was
handed out and the model then draws that very id for the first time, both objects
bear it from there on.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class IdHistory:
    """What is known of the ids of a video up to a frame; N is max_instances.

    Attributes:
      number: [N] int32 in [0, N), the number each id bears now.
      last_frame: [N] int64, the last frame it occurred in; -1 for never.
      used: [N] bool, numbers that were borne by now.
      frame: number of the frames seen.
    """

    number: np.ndarray
    last_frame: np.ndarray
    used: np.ndarray
    frame: int

    @classmethod
    def start(cls, max_instances: int) -> "IdHistory":
        """Before the first frame; ids are 0 ... max_instances - 1."""
        ids = np.arange(max_instances, dtype=np.int32)
        return cls(ids, np.full(max_instances, -1), ids == 0, 0)


def repair(
    ids: np.ndarray, history: IdHistory, *, memory: int = 2
) -> tuple[np.ndarray, IdHistory]:
    """Renumbers the ids of the next frame.

    The reference's code forgets an id that got 0, and gives it its own number again
    in the next frame, in the midst of its track; here it stays 0 while it is seen.

    Args:
      ids: [...] integers in [0, max_instances), as the model draws them.
      history: of the frames before.
      memory: number of past frames that the model sees, `model.num_cond_frames`.
    Returns:
      ids: of the same shape, int32 in [0, max_instances).
      history: with this frame.
    Raises:
      ValueError: an id is out of range.
    Source: spec 6.3.
    """
    size = len(history.number)
    lowest, highest = int(ids.min(initial=0)), int(ids.max(initial=0))
    if lowest < 0 or highest >= size:
        raise ValueError(
            f"frame {history.frame}: the id {lowest if lowest < 0 else highest} is "
            f"not in 0 ... {size - 1}; start with a larger max_instances"
        )
    present = np.bincount(ids.ravel(), minlength=size) > 0
    new = present & (history.last_frame < 0)
    gap = history.frame - history.last_frame
    back = np.flatnonzero(present & ~new & (gap > memory))
    back = back[back != 0]
    free = np.flatnonzero(~history.used & ~present)[: len(back)]
    number = history.number.copy()
    number[back] = 0
    number[back[: len(free)]] = free
    used = history.used | new
    used[free] = True
    last_frame = np.where(present, history.frame, history.last_frame)
    made = IdHistory(number, last_frame, used, history.frame + 1)
    return number[ids], made
