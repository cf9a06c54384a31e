"""Public numbers of tracks in a video of any length (ours).

A model has few instance ids, 15 to 255, and draws them again and again. Here every
object gets a number of its own that is never used twice, however long the video: an
id that was seen a few frames ago is the same object, one that comes back later is
another. (`id_reuse` does the same within the model's own ids, as STQ's files need it.)
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """What is known of the tracks of a video up to a frame.

    N is max_instances, times the number of classes where an id is one object of each
    (`IdRule.splits`).

    Attributes:
      number: [N] int64, the public number that each id bears; 0: none.
      last_frame: [N] int64, the last frame it was in; -1 for never.
      given: [N] bool, ids that ever bore a number.
      frame: number of the frames seen.
      count: public numbers given out by now, 1 ... count.
      reused: how often an id that bore a number got another one.
    """

    number: np.ndarray
    last_frame: np.ndarray
    given: np.ndarray
    frame: int = 0
    count: int = 0
    reused: int = 0

    @classmethod
    def start(cls, max_instances: int) -> "Tracks":
        """Before the first frame; ids are 0 ... max_instances - 1."""
        return cls(
            np.zeros(max_instances, np.int64),
            np.full(max_instances, -1),
            np.zeros(max_instances, bool),
        )


def advance(
    ids: np.ndarray,
    tracks: Tracks,
    *,
    retire_after: int,
    shown: np.ndarray | None = None,
) -> Tracks:
    """Numbers the instances of the next frame; `number[id]` of the result has them.

    Args:
      ids: [...] integers in [0, max_instances), as the model draws them and remembers;
        0 for no instance.
      tracks: of the frames before.
      retire_after: an id that was absent in more frames than this is another object
        when it comes back.
      shown: [...] those of the ids that are shown, say without the smallest; others
        keep a number but get no new one. None: all.
    Returns:
      The tracks with this frame.
    Raises:
      ValueError: an id is out of range, or `retire_after` negative.
    """
    size = len(tracks.number)
    if retire_after < 0:
        raise ValueError(f"retire_after must be >= 0, not {retire_after}")
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= size:
        raise ValueError(
            f"frame {tracks.frame}: ids must be in 0 ... {size - 1}, not "
            f"{int(ids.min())} ... {int(ids.max())}"
        )
    present = _occurs(ids, size)
    unknown = tracks.last_frame < 0
    absent = tracks.frame - tracks.last_frame - 1
    other = present & ~unknown & (absent > retire_after)
    number = np.where(other, 0, tracks.number)
    wanted = present if shown is None else present & _occurs(shown, size)
    new = wanted & (number == 0)
    number[new] = tracks.count + 1 + np.arange(new.sum())
    return Tracks(
        number=number,
        last_frame=np.where(present, tracks.frame, tracks.last_frame),
        given=tracks.given | new,
        frame=tracks.frame + 1,
        count=tracks.count + int(new.sum()),
        reused=tracks.reused + int((new & tracks.given).sum()),
    )


def _occurs(ids: np.ndarray, size: int) -> np.ndarray:
    """[size] bool, which ids but 0 are there."""
    found = np.bincount(ids.ravel(), minlength=size) > 0
    found[0] = False
    return found
