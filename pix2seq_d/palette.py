"""Colours of classes that have none and of errors: apart for colour-blind readers."""

import functools
import itertools

import numpy as np

from pix2seq_d import color_vision

Color = tuple[int, int, int]

_FIRST: Color = (240, 120, 0)
# Kinds of error, in colours of Okabe and Ito's set, made for colour-blind readers.
ERROR_COLORS: dict[str, Color] = {
    "wrong_class": (204, 121, 167),
    "split": (86, 180, 233),
    "merged": (0, 114, 178),
    "low_overlap": (240, 228, 66),
    "missed": (213, 94, 0),
    "spurious": (230, 159, 0),
}
# OKLab: neither as dark as the hatching of void nor as light as paper.
_LIGHTNESS = (0.4, 0.93)


def distinct_colors(n: int) -> list[Color]:
    """N colours far apart, also with protanopia, deuteranopia or tritanopia.

    Each is the one of 5160 (every fifteenth value of each channel, neither dark nor
    pale) that is furthest from its nearest predecessor, where the distance is the
    least of the four visions, in OKLab. So the first n do not change with n. The
    least distance is 0.22 among 5, 0.12 among 10, 0.07 among 20 and 0.02, which can
    just be noticed, among 133: beyond 20 classes, trust outlines and names.

    Args:
      n: how many, from 0 on.
    Source: ours.
    """
    return list(_distinct_colors(n))


@functools.lru_cache
def _distinct_colors(n: int) -> tuple[Color, ...]:
    colors = np.array(list(itertools.product(range(0, 256, 15), repeat=3)))
    seen = color_vision.seen(colors)
    lowest, highest = _LIGHTNESS
    taken = (seen[0, :, 0] > lowest) & (seen[0, :, 0] < highest)
    colors, seen = colors[taken], seen[:, taken]
    chosen = (colors == _FIRST).all(-1).argmax()
    nearest = np.full(len(colors), np.inf)
    found: list[Color] = []
    while len(found) < n:
        red, green, blue = colors[chosen].tolist()
        found.append((red, green, blue))
        distance = np.linalg.norm(seen - seen[:, chosen, None], axis=-1)
        nearest = np.minimum(nearest, distance.min(0))
        chosen = nearest.argmax()
    return tuple(found)
