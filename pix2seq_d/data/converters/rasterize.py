"""Polygons and run lengths -> masks, as the official COCO tools draw them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

_MAX_COORDINATE = 1e6  # pixels; the official code counts them in 32 bits


def segmentation_mask(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """The `segmentation` of an instance annotation -> bool [H, W].

    Args:
      segmentation: a list of polygons [x, y, x, y, ...], or run lengths
        {"size": [H, W], "counts": list or compressed text}.
      size: (H, W) of the image.
    Raises:
      ValueError: neither of them, or inconsistent; the message says why.
    """
    if isinstance(segmentation, dict):
        return rle_mask(segmentation, size)
    if isinstance(segmentation, list):
        return polygons_mask(segmentation, size)
    raise ValueError(
        f"segmentation is a {type(segmentation).__name__}; give polygons or run lengths"
    )


def polygons_mask(polygons: Sequence[Any], size: tuple[int, int]) -> np.ndarray:
    """Union of polygons -> bool [H, W]; those of less than 3 points are empty.

    Args:
      polygons: lists [x, y, x, y, ...] in pixels; pixel (0, 0) is [0, 1) x [0, 1).
      size: (H, W).
    Raises:
      ValueError: a polygon is no list of finite numbers in pairs.
    """
    height, width = size
    for k, polygon in enumerate(polygons):
        if not isinstance(polygon, list) or not all(map(_is_coordinate, polygon)):
            raise ValueError(
                f"polygon {k} is no list of coordinates in pixels; correct it"
            )
        if len(polygon) % 2:
            raise ValueError(
                f"polygon {k} has {len(polygon)} coordinates, an odd number; give x, y "
                "in pairs"
            )
    # Shorter lists would be taken for boxes.
    drawn: Any = [[float(v) for v in p] for p in polygons if len(p) >= 6]
    if not drawn:
        return np.zeros(size, bool)
    parts = coco_mask.frPyObjects(drawn, height, width)
    # Its own decoder warns on NumPy 2.
    return rle_mask(dict(coco_mask.merge(parts)), size)


def rle_mask(rle: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """COCO run lengths, as a list or compressed, -> bool [H, W].

    They are checked here: the official code reads past the end of damaged ones.

    Raises:
      ValueError: of another size, or the runs do not fill it.
    """
    height, width = size
    if rle.get("size") != [height, width]:
        raise ValueError(
            f"run lengths have size {rle.get('size')}, the image [{height}, {width}] "
            "(height, width); export them again"
        )
    counts = rle.get("counts")
    if isinstance(counts, str | bytes):
        runs = _decompress(counts)
    elif isinstance(counts, list) and all(type(c) is int for c in counts):
        # So many that they cannot fill the image, in 64 bits.
        runs = np.array([min(max(c, -1), height * width + 1) for c in counts], np.int64)
    else:
        raise ValueError("run lengths without counts; give a list or compressed text")
    if not runs.size or runs.min() < 0 or runs.sum() != height * width:
        raise ValueError(
            f"run lengths do not fill the {height * width} pixels of the image; export "
            "them again"
        )
    # Column by column, beginning with zeros.
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def _decompress(text: str | bytes) -> np.ndarray:
    """Compressed counts -> int64 [N].

    Each number is written in groups of 5 bits, lowest first, as characters from
    '0' on; bit 5 of a group says that another follows, bit 4 of the last is the
    sign. From the fourth number on, it is the difference to the last but one.
    """
    damaged = ValueError("compressed run lengths are damaged; export them again")
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise damaged from None
    groups = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if not groups.size or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise damaged
    ends = np.flatnonzero(groups & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # more than 32 bits
        raise damaged
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((groups & 31) << 5 * place, starts)
    numbers -= np.where(groups[ends] & 16, 1 << 5 * lengths, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _is_coordinate(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and abs(value) <= _MAX_COORDINATE
