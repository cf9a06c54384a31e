"""A split of a COCO-panoptic folder, in the memory of the device."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pix2seq_d.image_files import read_rgb
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import PanopticIndex, read_index

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Split:
    """A split in memory.

    Attributes:
      ids: of the images, in the order of the arrays.
      names: their file names.
      images: [N, 3, H, W] uint8.
      numbers: [N, H, W] int64, each pixel's segment counted from 1, 0 for void.
      labels: [N, M + 1] int64, class from 0 of each segment of an image.
    """

    ids: list[Any]
    names: list[str]
    images: "Tensor"
    numbers: "Tensor"
    labels: "Tensor"


def read_split_index(root: Path, split: str) -> PanopticIndex:
    """The JSON of a split."""
    required = ("images", "annotations", "categories")
    return read_index(root / f"panoptic_{split}.json", required=required)


def load_split(
    root: Path, split: str, label_space: LabelSpace, device: "torch.device"
) -> Split:
    """Reads a split and moves it to the device; crowd regions become void."""
    import torch

    index = read_split_index(root, split)
    ids, images, numbers, labels = list(index.rows), [], [], []
    if not ids:
        raise ValueError(f"{root}: split {split} has no images")
    for image_id in ids:
        images.append(read_rgb(root / "images" / split / index.images[image_id]))
        panoptic = read_map(index, root / f"panoptic_{split}", image_id)
        number, classes = numbered(panoptic, label_space)
        numbers.append(number)
        labels.append(classes)
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1 or any(side % 32 for side in sizes.pop()):
        raise ValueError(f"{root}: give images of one size, of multiples of 32")
    return Split(
        ids,
        [index.images[image_id] for image_id in ids],
        torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()).to(device),
        torch.from_numpy(np.stack(numbers)).to(device),
        torch.from_numpy(padded(labels)).to(device),
    )


def numbered(
    panoptic: PanopticMap, label_space: LabelSpace
) -> tuple[np.ndarray, list[int]]:
    """Counts the segments of a map; a crowd region is void.

    Returns:
      [H, W] int64, number of each pixel's segment from 1, 0 for void; their classes
      from 0.
    """
    segments = [s for s in panoptic.segments if not s.is_crowd]
    number = np.zeros(panoptic.ids.shape, np.int64)
    for k, segment in enumerate(segments, start=1):
        number[panoptic.ids == segment.id] = k
    return number, [label_space.semantic_of[s.category_id] - 1 for s in segments]


def padded(labels: list[list[int]]) -> np.ndarray:
    """Classes of the segments of N images -> [N, M + 1] int64; column 0 is void's."""
    made = np.zeros((len(labels), 1 + max(map(len, labels))), np.int64)
    for row, found in enumerate(labels):
        made[row, 1 : 1 + len(found)] = found
    return made
