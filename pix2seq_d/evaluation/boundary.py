"""Boundary F of DAVIS: how well contours agree, up to a few pixels.

    F = 2 P R / (P + R)

P is the share of a proposal's contour pixels that lie within the tolerance of a
contour pixel of the object; R is the same share of the object's contour.

All masks of a label map are handled together and nothing is computed away from
contours: what depends on one mask alone, the band around its contour, is made once,
so that comparing P proposals with O objects only looks pixels up.

Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation" (CVPR 2016); spec 7.3; the choices of davis2017-evaluation.
"""

import dataclasses
import math

import numpy as np

_TOLERANCE = 0.008  # of the image's diagonal
_BLOCK = 2**14  # intervals marked at once: few enough to stay in the cache


def tolerance(height: int, width: int) -> int:
    """Tolerance in pixels, the radius of a disk: ceil(0.008 sqrt(H^2 + W^2))."""
    return math.ceil(_TOLERANCE * math.hypot(height, width))


@dataclasses.dataclass(frozen=True, eq=False)
class Contours:
    """Contour pixels of the masks of a label map; mask k is where the map is k + 1.

    Attributes:
      num_masks: M, those without a pixel included.
      mask: [N] int32 in [0, M), whose contour each pixel belongs to. A pixel
        between two masks is there once for each.
      row: [N] int32.
      column: [N] int32.
    """

    num_masks: int
    mask: np.ndarray
    row: np.ndarray
    column: np.ndarray

    def lengths(self) -> np.ndarray:
        """[M] int64, number of contour pixels of each mask."""
        return np.bincount(self.mask, minlength=self.num_masks)


def contours(labels: np.ndarray, *, num_masks: int) -> Contours:
    """Finds the contours of all masks of a label map.

    A contour pixel of a mask is one that differs, in being inside the mask, from
    its right, lower or lower-right neighbour. So it lies inside or just outside.
    In the last row only the right neighbour counts, in the last column only the
    lower one, and the last corner is no contour.

    Args:
      labels: [H, W] integers >= 0; 0 and ids above `num_masks` are background.
      num_masks: M, the masks are 1 ... M.
    """
    # A copy of the last row and column says just that about the neighbours.
    padded = np.pad(labels, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    differs = (labels != right) | (labels != below) | (labels != diagonal)
    row, column = np.divmod(np.flatnonzero(differs), labels.shape[1])
    width = padded.shape[1]
    at, flat = row * width + column, padded.ravel()
    # The pixel is on the contour of each of the up to four masks that meet in it.
    here, right, below, diagonal = (flat[at + k] for k in (0, 1, width, width + 1))
    met = (
        (here, np.ones_like(here, bool)),
        (right, right != here),
        (below, (below != here) & (below != right)),
        (diagonal, (diagonal != here) & (diagonal != right) & (diagonal != below)),
    )
    found = [
        (ids, np.flatnonzero(new & (ids > 0) & (ids <= num_masks))) for ids, new in met
    ]
    which = np.concatenate([keep for _, keep in found])
    mask = np.concatenate([ids[keep] for ids, keep in found]).astype(np.int32) - 1
    row, column = row.astype(np.int32), column.astype(np.int32)
    return Contours(num_masks, mask, row[which], column[which])


def hits(of: Contours, near: Contours, *, radius: int) -> np.ndarray:
    """Counts the contour pixels of one map's masks that are near another's contours.

    Near: at a Euclidean distance of at most `radius` from a contour pixel.

    Args:
      of: contours of M masks, whose pixels are counted.
      near: contours of K masks of a map of the same size.
      radius: in pixels.
    Returns:
      [M, K] int64.
    """
    # One mask at a time, so that the memory is that of the contours and of one box.
    counts = np.zeros((of.num_masks, near.num_masks), np.int64)
    for k in np.flatnonzero(near.lengths()).tolist():
        own = np.flatnonzero(near.mask == k)
        band, top, left = _band(near.row[own], near.column[own], radius)
        # A row or column before the box is one beyond its end, as it is unsigned.
        row, column = (of.row - top).view(np.uint32), (of.column - left).view(np.uint32)
        inside = np.flatnonzero((row < band.shape[0]) & (column < band.shape[1]))
        hit = inside[band[row[inside], column[inside]]]
        counts[:, k] = np.bincount(of.mask[hit], minlength=of.num_masks)
    return counts


def f_measures(
    truth: np.ndarray, found: np.ndarray, *, num_objects: int, num_proposals: int
) -> np.ndarray:
    """Boundary F of every proposal with every object of a frame.

    1 where both contours are empty, 0 where one is or P + R = 0.

    Args:
      truth: [H, W] integers, objects 1 ... O; other ids are background.
      found: [H, W] integers, proposals 1 ... P; other ids are background.
      num_objects: O.
      num_proposals: P.
    Returns:
      [P, O] float64 in [0, 1].
    Raises:
      ValueError: the sizes differ.
    """
    if truth.shape != found.shape:
        raise ValueError(
            f"the maps have sizes {truth.shape} and {found.shape}; give equal ones"
        )
    radius = tolerance(*truth.shape)
    objects = contours(truth, num_masks=num_objects)
    proposals = contours(found, num_masks=num_proposals)
    lengths = proposals.lengths()[:, None], objects.lengths()[None, :]
    precision = hits(proposals, objects, radius=radius) / np.maximum(lengths[0], 1)
    recall = hits(objects, proposals, radius=radius).T / np.maximum(lengths[1], 1)
    total = precision + recall
    f = 2 * precision * recall / np.where(total > 0, total, 1)
    return np.where((lengths[0] == 0) & (lengths[1] == 0), 1.0, f)


def _band(
    row: np.ndarray, column: np.ndarray, radius: int
) -> tuple[np.ndarray, int, int]:
    """All pixels at a distance of at most `radius` from one of some pixels.

    Args:
      row: [N] int32, N > 0.
      column: [N] int32.
      radius: in pixels.
    Returns:
      band: [h, w] bool, the pixels in a box that holds them all.
      top, left: row and column of the box's first pixel; may be negative.
    """
    top, left = int(row.min()), int(column.min())
    height = int(row.max()) - top + 1 + 2 * radius
    # One column more than the box has, for the ends of its intervals.
    width = int(column.max()) - left + 2 + 2 * radius
    # A disk is an interval in each row. All intervals of all disks are marked by +1
    # where they begin and -1 after their end, and summed up along the rows.
    dy = np.arange(-radius, radius + 1)
    half = np.array([math.isqrt(radius**2 - d**2) for d in dy.tolist()])
    middle = (radius + dy) * width + radius  # of a disk around the first pixel
    at = (row - top).astype(np.intp) * width + (column - left)
    marks = np.zeros(height * width, np.int32)
    step = max(_BLOCK // len(dy), 1)
    for first in range(0, len(at), step):
        some = at[first : first + step]
        np.add.at(marks, np.add.outer(middle - half, some).ravel(), np.int32(1))
        np.add.at(marks, np.add.outer(middle + half + 1, some).ravel(), np.int32(-1))
    np.cumsum(marks, out=marks)
    return marks.reshape(height, width) > 0, top - radius, left - radius
