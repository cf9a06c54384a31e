"""Colours that stay apart for all readers, the colour-blind among them (ours)."""

import functools
import itertools

import numpy as np

Color = tuple[int, int, int]

# What dichromats see, on linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
_SIMULATED = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
VISIONS = ("normal", *_SIMULATED)

# Linear RGB -> cone responses -> OKLab (Ottosson 2020).
_TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_TO_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)

_FIRST = (68, 119, 170)  # a blue; the others follow from it
_LEVELS = range(0, 256, 17)
# Void is black and outlines are white: classes are neither.
_LIGHTNESS = (0.35, 0.92)


def oklab(colors: np.ndarray, *, vision: str = "normal") -> np.ndarray:
    """Perceptual coordinates: equal distances look about equally large.

    Args:
      colors: [..., 3] in [0, 255], sRGB.
      vision: of VISIONS, whose owner looks.
    Returns:
      [..., 3] float64: lightness in [0, 1], green to red, blue to yellow.
    """
    srgb = np.asarray(colors, float) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    if vision != "normal":
        linear = np.clip(linear @ np.array(_SIMULATED[vision]).T, 0, 1)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two colours are apart for the reader who tells them least: OKLab.

    Args:
      one: [..., 3] in [0, 255], sRGB.
      other: likewise.
    Returns:
      [...] float64, the least over VISIONS; black and white are 1 apart.
    """
    return np.min(
        [
            np.linalg.norm(oklab(one, vision=v) - oklab(other, vision=v), axis=-1)
            for v in VISIONS
        ],
        axis=0,
    )


@functools.cache
def distinct_colors(n: int) -> tuple[Color, ...]:
    """N colours, each as far from all before it as a colour can be (`distance`).

    The first k of them are the k colours: a class more changes no other's colour.
    """
    grid = np.array(list(itertools.product(_LEVELS, repeat=3)))
    lightness = oklab(grid)[:, 0]
    grid = grid[(lightness > _LIGHTNESS[0]) & (lightness < _LIGHTNESS[1])]
    chosen = [np.array(_FIRST)]
    nearest = np.full(len(grid), np.inf)
    while len(chosen) < n:
        nearest = np.minimum(nearest, distance(grid, chosen[-1]))
        chosen.append(grid[np.argmax(nearest)])
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen[:n])
