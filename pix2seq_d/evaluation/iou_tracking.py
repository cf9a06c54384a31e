"""Tracking by overlap: the baseline that makes an image model a video model.

Every thing of a frame gets the id of the thing of its class in the frame before that
it overlaps, all together so that the sum of the IoUs is largest. Others get new ids.
The memory is one frame: what is hidden in one is another object afterwards.

Source: ours; the matching is that of SORT (Bewley et al., 2016) without motion.
"""

import dataclasses

import numpy as np
from scipy.optimize import linear_sum_assignment

from pix2seq_d.evaluation.label_overlap import LabelOverlap


@dataclasses.dataclass(frozen=True, eq=False)
class Linked:
    """A frame whose things have ids, and what is known of the ids by then.

    Attributes:
      labels: [h, w, 2] int32 (semantic, instance), instance 0 where no thing is;
        None before the first frame.
      last_frame: [N] int64, the last frame each id was borne in, -1 for never; N is
        max_instances, 0 included.
      frame: number of the frames seen.
      reused: how often a new thing got an id that another had borne, none being left.
      dropped: how many things got no id, for all were borne in their frame.
    """

    labels: np.ndarray | None
    last_frame: np.ndarray
    frame: int = 0
    reused: int = 0
    dropped: int = 0

    @classmethod
    def start(cls, max_instances: int) -> "Linked":
        """Before the first frame; ids are 1 ... max_instances - 1."""
        return cls(None, np.full(max_instances, -1))


def link(
    previous: Linked,
    current: np.ndarray,
    *,
    is_thing: np.ndarray,
    threshold: float = 0.5,
) -> Linked:
    """Gives the things of a frame the ids of those of the frame before.

    A thing without match takes the lowest id that was never borne; if there is none,
    the one not seen for longest that this frame does not bear; if there is none, 0,
    the smallest things first.

    Args:
      previous: the frame before, or `Linked.start`.
      current: [h, w, 2] integers (semantic, instance) of an image model; a thing is
        the pixels of a thing class with one instance number above 0.
      is_thing: [num_classes] bool.
      threshold: a match has an IoU above this, in [0, 1).
    Returns:
      The frame with its ids; pixels outside things have instance 0.
    Raises:
      ValueError: the sizes of the frames differ, or the threshold is out of range.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is {threshold}; give a number in [0, 1)")
    before = previous.labels
    if before is not None and before.shape != current.shape:
        raise ValueError(
            f"frame {previous.frame} is {list(current.shape)}, the one before "
            f"{list(before.shape)}; give all frames of a video one size"
        )
    segment, classes, areas = _things(current, is_thing)
    ids = np.zeros(len(classes), np.int64)  # row 0 stands for all that is no thing
    if before is not None:
        earlier, earlier_classes, _ = _things(before, is_thing)
        rows, columns = _assign(
            _ious(earlier, segment, (len(earlier_classes), len(classes))),
            earlier_classes[:, None] == classes,
            threshold,
        )
        id_of = np.zeros(len(earlier_classes), np.int64)
        id_of[earlier] = before[..., 1]
        ids[columns] = id_of[rows]
    new = 1 + np.argsort(-areas[1:], kind="stable")
    new = new[ids[new] == 0]
    order = _by_last_use(previous.last_frame, borne=ids)[: len(new)]
    ids[new[: len(order)]] = order
    last_frame = previous.last_frame.copy()
    last_frame[ids[ids > 0]] = previous.frame
    labels = np.stack([current[..., 0], ids[segment]], -1).astype(np.int32)
    return Linked(
        labels,
        last_frame,
        previous.frame + 1,
        previous.reused + int((previous.last_frame[order] >= 0).sum()),
        previous.dropped + len(new) - len(order),
    )


def _things(
    labels: np.ndarray, is_thing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The things of a frame, from row 1 on; row 0 is the rest.

    Returns:
      row of each pixel [h, w], and of each row class [S] and area [S]; the class of
      row 0 is -1.
    """
    semantic, instance = (labels[..., k].astype(np.int64) for k in (0, 1))
    is_member = is_thing[semantic] & (instance > 0)
    key = np.where(is_member, semantic + len(is_thing) * instance, -1)
    # The rest is in front, even where there is none.
    present, rows, areas = np.unique(
        np.append(key, -1), return_inverse=True, return_counts=True
    )
    classes = np.where(present < 0, -1, present % len(is_thing))
    return rows[:-1].reshape(key.shape), classes, areas


def _ious(
    earlier: np.ndarray, current: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """[P, S] float64, IoU of each pair of rows."""
    table = LabelOverlap.of(earlier, current)
    shared = np.zeros(shape, np.int64)
    shared[table.truth, table.found] = table.pixels
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    return shared / np.maximum(union, 1)


def _assign(
    iou: np.ndarray, is_allowed: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs of things that belong together."""
    is_allowed = is_allowed & (iou > threshold)
    is_allowed[0] = is_allowed[:, 0] = False
    # What is too small must not take part: it could displace a match.
    rows, columns = linear_sum_assignment(np.where(is_allowed, iou, 0), maximize=True)
    is_match = is_allowed[rows, columns]
    return rows[is_match], columns[is_match]


def _by_last_use(last_frame: np.ndarray, *, borne: np.ndarray) -> np.ndarray:
    """The free ids: those never borne first, by number, then the longest unseen."""
    free = np.setdiff1d(np.arange(1, len(last_frame)), borne)
    return free[np.argsort(last_frame[free], kind="stable")]
