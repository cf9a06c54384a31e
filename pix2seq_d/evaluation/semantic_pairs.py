"""Classes of COCO panoptic files, for mIoU: each segment is its category."""

import numpy as np

from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs


def class_overlap(pairs: CocoPairs, row: int) -> LabelOverlap:
    """The pixels that each pair of classes shares in an image.

    Class k is `pairs.categories.ids[k]`; void is class `len(pairs.categories)`, the
    `ignore_label` for `MeanIoU`. Crowd of the truth counts as its category.

    Args:
      pairs: all images.
      row: of the image, in [0, len(pairs)).
    Raises:
      FileNotFoundError, ValueError: as `CocoPairs.overlap`.
    """
    overlap = pairs.overlap(row)
    void = [overlap.num_categories]
    rows, columns = overlap.pixels.nonzero()
    table = LabelOverlap(
        np.concatenate([void, overlap.truth_class])[rows],
        np.concatenate([void, overlap.found_class])[columns],
        overlap.pixels[rows, columns],
    )
    return LabelOverlap.total([table])
