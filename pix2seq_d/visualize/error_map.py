"""A picture of what is wrong where: kinds of error over a grey photo, and its legend.

Colours are those of Okabe and Ito; every kind has a pattern as well, so that a reader
with any vision, or of a grey print, tells them apart.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from pix2seq_d.evaluation.error_map import CORRECT, OUTCOMES
from pix2seq_d.palette import ERROR_COLORS, Color
from pix2seq_d.panoptic import resize_nearest
from pix2seq_d.visualize.colors import contrasting
from pix2seq_d.visualize.legend import VOID_DARK, LegendEntry
from pix2seq_d.visualize.panels import grey, resize_photo

_LINE = 0.7  # weight of a pattern's lines
_FADE = 0.5  # share of white over the photo, below the colours


def _plain(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (y + x) < 0


def _rising(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (y + x) % 8 < 2


def _falling(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (y - x) % 8 < 2


def _level(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(y % 6 < 2, np.broadcast_shapes(y.shape, x.shape))


def _upright(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _level(x, y)


def _crossed(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _rising(y, x) | _falling(y, x)


def _dotted(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (y % 6 < 2) & (x % 6 < 2)


@dataclasses.dataclass(frozen=True)
class _Look:
    """How an outcome is drawn: colour, weight against the photo, pattern of lines."""

    color: Color
    weight: float = 0.75
    pattern: Callable[[np.ndarray, np.ndarray], np.ndarray] = _plain


_LOOKS = {
    "ignored": _Look(VOID_DARK, 0.85, _falling),
    "correct": _Look((255, 255, 255), 0),
    "inexact": _Look((130, 134, 140), 0.9),
} | {
    kind: _Look(ERROR_COLORS[kind], pattern=pattern)
    for kind, pattern in {
        "wrong_class": _rising,
        "split": _upright,
        "merged": _level,
        "low_overlap": _dotted,
        "missed": _crossed,
        "spurious": _falling,
    }.items()
}


def error_panel(
    image: np.ndarray, outcomes: np.ndarray, *, size: tuple[int, int]
) -> np.ndarray:
    """Draws an error map over its photo: faded grey where all is right.

    Args:
      image: [H, W, 3] uint8.
      outcomes: [h, w] uint8 of `evaluation.error_map`; nearest-neighbour resized.
      size: (height, width) of the result.
    Returns:
      [*size, 3] uint8.
    Source: ours.
    """
    photo = grey(resize_photo(image, size))[..., None]
    pixels = np.repeat(_FADE * 255 + (1 - _FADE) * photo, 3, axis=-1)
    outcomes = resize_nearest(outcomes, size)
    for code in np.unique(outcomes).tolist():
        look, where = _LOOKS[OUTCOMES[code]], outcomes == code
        pixels[where] *= 1 - look.weight
        pixels[where] += look.weight * _fill(look, *size)[where]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def error_legend(maps: Sequence[np.ndarray]) -> list[LegendEntry]:
    """Entries of the outcomes in some maps, `correct` left out, in their order."""
    shown = set(np.unique(np.concatenate([m.ravel() for m in maps])).tolist())
    return [
        LegendEntry(
            name.replace("_", " "), (), pixels=functools.partial(_fill, _LOOKS[name])
        )
        for code, name in enumerate(OUTCOMES)
        if code in shown and name != CORRECT
    ]


def _fill(look: _Look, height: int, width: int) -> np.ndarray:
    """[height, width, 3] uint8, the colour with its pattern."""
    y, x = np.ogrid[:height, :width]
    color = np.array(look.color, np.float32)
    line = (1 - _LINE) * color + _LINE * np.array(contrasting(look.color), np.float32)
    lines = look.pattern(y, x)[..., None]
    return np.where(lines, line, color).astype(np.uint8)
