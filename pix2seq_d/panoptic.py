"""Panoptic maps: ids and segments; from channels; PNG coding; resize."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from pix2seq_d.labels import VOID, LabelSpace


@dataclasses.dataclass(frozen=True)
class Segment:
    """One segment of a panoptic map.

    Attributes:
      id: in the map.
      category_id: of its class.
      is_crowd: a region of things that are not told apart.
      instance: its number in the dataset's own files, where they have one that
        means something, as a video's tracks; 0 where they say "no instance".
    """

    id: int
    category_id: int
    is_crowd: bool = False
    instance: int | None = None


@dataclasses.dataclass(frozen=True)
class PanopticMap:
    """A panoptic map as files hold it.

    Attributes:
      ids: [H, W] int32, segment id of each pixel, 0 = void.
      segments: description of every id in `ids` but 0.
    """

    ids: np.ndarray
    segments: tuple[Segment, ...]

    @functools.cached_property
    def areas(self) -> dict[int, int]:
        """Number of pixels of every id in the map, void included, by rising id."""
        present, counts = areas(self.ids)
        return dict(zip(present.tolist(), counts.tolist(), strict=True))


def rgb_to_ids(rgb: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> int32 [...]: id = R + 256 G + 65536 B (COCO panoptic)."""
    return packed_ids(rgb.astype(np.uint8, copy=False).tobytes(), rgb.shape[:-1])


def packed_ids(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """Bytes of RGB pixels, row after row -> int32 [*shape] ids, as `rgb_to_ids`."""
    # One pass over the bytes: four at a time, three apart, and the fourth cut off.
    count = len(data) // 3
    words = np.ndarray((count,), "<u4", data + b"\0", strides=(3,))
    return (words & 0xFFFFFF).view(np.int32).reshape(shape)


def runs(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and lengths of the runs of equal numbers in `ids`, row after row.

    A map of a million pixels has some thousand runs: what `np.unique` finds in them
    it finds fifty times faster than in the pixels. np.repeat is the inverse.

    Args:
      ids: [...] integers.
    Returns:
      values [R] of the same type, lengths [R] int64.
    """
    flat = ids.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([np.zeros(min(flat.size, 1), np.int64), starts])
    return flat[starts], np.diff(starts, append=flat.size)


def pair_runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal (semantic, instance) pixels, as `runs`.

    Args:
      labels: [..., 2] integers below 2**31.
    Returns:
      pairs [R, 2] int64, lengths [R] int64.
    """
    # Both numbers as one word: one comparison per pixel.
    words = np.ascontiguousarray(labels, np.int32).view(np.int64)
    values, lengths = runs(words)
    return values.view(np.int32).reshape(-1, 2).astype(np.int64), lengths


def areas(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers in `ids`, sorted, and how often each occurs (int64)."""
    values, lengths = runs(ids)
    present, inverse = np.unique(values, return_inverse=True)
    # bincount sums in float64, exact to 2**53.
    counts = np.bincount(inverse, weights=lengths, minlength=len(present))
    return present, counts.astype(np.int64)


def ids_to_rgb(ids: np.ndarray) -> np.ndarray:
    """int [...] in [0, 2**24) -> uint8 [..., 3], the inverse of `rgb_to_ids`."""
    return np.stack([(ids >> shift) & 255 for shift in (0, 8, 16)], -1).astype(np.uint8)


def from_channels(labels: np.ndarray, label_space: LabelSpace) -> PanopticMap:
    """(semantic, instance) channels -> panoptic map; ids are 1, 2, ... in file order.

    Pixels whose semantic or instance id is 0 become void (spec 6.1, step 5);
    every distinct (semantic, instance) pair is one segment.

    Args:
      labels: [H, W, 2] int, semantic id in [0, num_classes), instance id >= 0.
      label_space: the categories.
    """
    pairs, lengths = pair_runs(labels)
    semantic, instance = pairs.T
    key = np.where(
        (semantic == VOID) | (instance == VOID),
        0,
        semantic + label_space.num_classes * instance,
    )
    present, inverse = np.unique(key, return_inverse=True)
    ids = np.where(present > 0, np.cumsum(present > 0), 0).astype(np.int32)
    categories = [
        label_space.category_ids[v % label_space.num_classes] for v in present
    ]
    segments = tuple(
        Segment(id=int(i), category_id=int(c))
        for i, c in zip(ids, categories, strict=True)
        if i
    )
    return PanopticMap(
        np.repeat(ids[inverse], lengths).reshape(labels.shape[:-1]), segments
    )


def resize_nearest(x: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Nearest-neighbour resize of [H, W, ...] to [*size, ...], half-pixel centres.

    Source row of output row i is floor((i + 0.5) * H / size[0]), as TensorFlow
    2 does it (spec 5.3); halving takes rows 1, 3, 5, ...
    """
    rows = nearest_index(x.shape[0], size[0])
    cols = nearest_index(x.shape[1], size[1])
    return x[rows[:, None], cols[None, :]]


def nearest_index(old: int, new: int) -> np.ndarray:
    """[new] int, the row of `old` that `resize_nearest` takes for each."""
    # Integer arithmetic: floor((2 i + 1) old / (2 new)) without rounding error.
    return (2 * np.arange(new) + 1) * old // (2 * new)
