"""The network's labels of an image -> its panoptic map."""

from collections.abc import Sequence

import numpy as np

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.inference import regions
from pix2seq_d.inference.postprocess import to_panoptic
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


def finish(
    labels: np.ndarray,
    label_space: LabelSpace,
    *,
    image_size: Sequence[int],
    unpadded: Sequence[int],
    original: Sequence[int],
    min_area: int,
    merge: bool,
    rule: IdRule,
    split_ids: bool,
    by_region: bool,
) -> PanopticMap:
    """Labels at mask size -> panoptic map at original size (spec 6.1).

    Args:
      labels: [h, w, 2] int (semantic, instance).
      label_space: the categories.
      image_size: (height, width) of the network's input.
      unpadded: (height, width) of the content inside it.
      original: (H, W) of the image as read.
      min_area: smallest segment in pixels of the original.
      merge: whether all segments of a stuff class become one.
      rule: of instance ids that the model was trained with.
      split_ids: whether an id of several classes is one object of each.
      by_region: whether a connected region of a thing's class is one, whatever its ids.
    """
    if by_region:
        labels = regions.by_region(
            labels,
            is_thing=label_space.is_thing,
            image_size=image_size,
            unpadded=unpadded,
        )
        rule, split_ids = regions.RULE, False
    restored = eval_data.restore(
        labels, image_size=image_size, unpadded=unpadded, original=original
    )
    return to_panoptic(
        restored,
        label_space,
        min_area=min_area,
        merge=merge,
        rule=rule,
        split_ids=split_ids,
        magnified=eval_data.magnification(
            labels.shape[:2],
            image_size=image_size,
            unpadded=unpadded,
            original=original,
        ),
    )
