"""Sinusoidal codes of time and of positions (spec 4.7)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

_FULL_TURN = 6.2831852  # grid coordinates are scaled to [0, this] (spec 4.7)


def sinusoid(u: jax.Array, dim: int) -> jax.Array:
    """[sin(u r_0), sin(u r_2), ...] ++ [cos(u r_1), ...], r_i = 1e4^(-2 floor(i/2)/d).

    Args:
      u: [...] float32 coordinate.
      dim: width d of the code, even.
    Returns:
      [..., dim] float32: all sines first, then all cosines.
    Source: spec 4.7.
    """
    angles = u[..., None] * _rates(dim)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


@functools.cache
def grid_codes(height: int, width: int, dim: int) -> np.ndarray:
    """Position codes of a grid, rows in the first half of the channels.

    Coordinates are (index / (size - 1)) 2 pi; a grid with a side of 1 uses the
    one-dimensional code over its length.

    Args:
      height: rows of the grid.
      width: columns of the grid.
      dim: width of the code, a multiple of 4.
    Returns:
      [height * width, dim] float32, row-major.
    Source: spec 4.7.
    """
    if height == 1 or width == 1:
        return _line_codes(height * width, dim)
    rows = np.repeat(_line_codes(height, dim // 2), width, axis=0)
    cols = np.tile(_line_codes(width, dim // 2), (height, 1))
    return np.concatenate([rows, cols], -1)


def _line_codes(length: int, dim: int) -> np.ndarray:
    u = np.arange(length, dtype=np.float64) / max(length - 1, 1) * _FULL_TURN
    angles = u[:, None] * _rates(dim)
    return np.concatenate([np.sin(angles), np.cos(angles)], -1).astype(np.float32)


def _rates(dim: int) -> np.ndarray:
    if dim % 2:
        raise ValueError(f"a sinusoidal code needs an even width, not {dim}")
    # rate_i depends on floor(i / 2): even and odd channels share their rates.
    return (1e4 ** (-2.0 * np.arange(dim // 2) / dim)).astype(np.float32)
