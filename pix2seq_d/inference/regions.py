"""Things told apart without instance ids: connected regions of a class (ours).

A network that has seen few examples knows classes long before ids.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from pix2seq_d.data.evaluation import content_of_mask
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import VOID

# What `by_region` makes: every segment has an id of its own, so nothing is to be split.
RULE = IdRule(stuff=False)

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
    for class_ in np.unique(semantic):
        if not is_thing[class_]:
            continue
        region, _ = ndimage.label(  # type: ignore[misc]
            semantic == class_, _EIGHT_NEIGHBOURS
        )
        number += np.where(region > 0, region + number.max(), 0).astype(np.int32)
    return number


def by_region(
    labels: np.ndarray,
    *,
    is_thing: np.ndarray,
    image_size: Sequence[int],
    unpadded: Sequence[int],
) -> np.ndarray:
    """Gives each connected region of a thing an id, and each stuff class one.

    What ids the labels have is of no matter, and what lies in the padding of the image
    connects nothing.

    Args:
      labels: [h, w, 2] int (semantic, instance).
      is_thing: [num_classes] bool.
      image_size: (height, width) of the network's input.
      unpadded: (height, width) of the content inside it.
    Returns:
      [h, w, 2] int32, numbered by `RULE`; void has id 0.
    """
    height, width = content_of_mask(
        labels.shape[:2], image_size=image_size, unpadded=unpadded
    )
    semantic = labels[..., 0].astype(np.int32)
    number = np.where(semantic == VOID, 0, semantic)
    region = number_regions(semantic[:height, :width], is_thing=is_thing)
    content = number[:height, :width]
    content[region > 0] = len(is_thing) + region[region > 0]
    return np.stack([semantic, number], -1)
