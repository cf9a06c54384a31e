"""How far apart two colours look, to readers with and without colour blindness."""

import numpy as np

# sRGB (linear) as a reader without one kind of cones sees it: Machado, Oliveira and
# Fernandes, IEEE TVCG 15(6), 2009, severity 1.
_SEEN = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
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
VISIONS = tuple(_SEEN)
_SIMULATIONS = np.array(list(_SEEN.values()))

# OKLab: Ottosson, "A perceptual color space for image processing", 2020.
_LMS = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)


def linear(rgb: np.ndarray) -> np.ndarray:
    """sRGB [..., 3] in 0..255 -> linear light in [0, 1]."""
    value = np.asarray(rgb, np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance [...] in [0, 1] of sRGB [..., 3] in 0..255 (WCAG 2.1)."""
    return linear(rgb) @ (0.2126, 0.7152, 0.0722)


def seen(rgb: np.ndarray) -> np.ndarray:
    """Where colours lie in OKLab for each of VISIONS.

    Args:
      rgb: [..., 3] in 0..255.
    Returns:
      [4, ..., 3] float64: lightness in [0, 1], green to red, blue to yellow. A
      distance of 0.02 can just be noticed.
    """
    light = np.einsum("vij,...j->v...i", _SIMULATIONS, linear(rgb))
    return _oklab(np.clip(light, 0, 1))


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance in OKLab for each of VISIONS: [4, ...] of [..., 3] and [..., 3]."""
    a, b = np.broadcast_arrays(a, b)
    return np.linalg.norm(seen(a) - seen(b), axis=-1)


def with_lightness(rgb: np.ndarray, lightness: float) -> np.ndarray:
    """The colour of this lightness and the same hue, as colourful as sRGB allows.

    Args:
      rgb: [3] in 0..255.
      lightness: of OKLab, in [0, 1].
    Returns:
      [3] uint8; its chroma is that of `rgb` or less.
    """
    _, a, b = _oklab(linear(rgb))
    # The last share of the chroma that sRGB has; none, a grey, it always has.
    lab = np.linspace(0, 1, 101)[:, None] * (0, a, b) + (lightness, 0, 0)
    light = (lab @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_LMS).T
    within = ((light >= -1e-4) & (light <= 1 + 1e-4)).all(-1)
    light = np.clip(light[np.flatnonzero(within)[-1]], 0, 1)
    value = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    return np.round(255 * value).astype(np.uint8)


def _oklab(light: np.ndarray) -> np.ndarray:
    """Linear sRGB [..., 3] in [0, 1] -> OKLab [..., 3]."""
    return np.cbrt(light @ _LMS.T) @ _LAB.T
