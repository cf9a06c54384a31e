"""Things told apart without instance ids: connected regions of a class (ours).

A network that has seen few examples knows classes long before ids.
"""

import numpy as np
from scipy import ndimage

from pix2seq_d.labels import VOID

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def number_regions(semantic: np.ndarray, *, is_thing: np.ndarray) -> np.ndarray:
    """Numbers the connected regions of every thing class; diagonals connect.

    Args:
      semantic: [h, w] int in [0, num_classes).
      is_thing: [num_classes] bool.
    Returns:
      [h, w] int32: 1, 2, ..., none given twice; 0 where there is no thing.
    """
    number = np.zeros(semantic.shape, np.int32)
    for class_ in np.flatnonzero(is_thing):
        region, _ = ndimage.label(  # type: ignore[misc]
            semantic == class_, _EIGHT_NEIGHBOURS
        )
        number += np.where(region > 0, region + number.max(), 0).astype(np.int32)
    return number


def by_region(
    labels: np.ndarray, *, is_thing: np.ndarray, inside: tuple[int, int]
) -> np.ndarray:
    """Gives each connected region of a thing an id, and each stuff class one.

    What ids the labels have is of no matter.

    Args:
      labels: [h, w, 2] int (semantic, instance).
      is_thing: [num_classes] bool.
      inside: rows and columns of the mask, from the first, that are of the image; what
        lies in its padding connects nothing.
    Returns:
      [h, w, 2] int32; void has id 0.
    """
    height, width = inside
    semantic = labels[..., 0].astype(np.int32)
    number = np.where(semantic == VOID, 0, semantic)
    region = number_regions(semantic[:height, :width], is_thing=is_thing)
    content = number[:height, :width]
    content[region > 0] = len(is_thing) + region[region > 0]
    return np.stack([semantic, number], -1)
