"""How sure the model is of what it shows: from bits to pixels to segments (ours)."""

import jax
import jax.numpy as jnp
import numpy as np


def of_bits(x0: jax.Array, *, bit_scale: float) -> jax.Array:
    """Probability that every bit of a pixel is as decoded: prod_k (1 + |x0_k| / b) / 2.

    An estimate of x0 is the mean of a bit's two values, b (2 p - 1), so that the factor
    is max(p, 1 - p). The bits are taken as independent, which they are not: it ranks,
    it is no calibrated probability.

    Args:
      x0: [..., h, w, K] float32 in [-bit_scale, bit_scale], analog bits.
      bit_scale: b.
    Returns:
      [..., h, w] float32 in [2**-K, 1].
    """
    return jnp.prod((1 + jnp.clip(jnp.abs(x0) / bit_scale, 0, 1)) / 2, axis=-1)


def of_segments(
    ids: np.ndarray, certainty: np.ndarray, segment_ids: np.ndarray
) -> np.ndarray:
    """Confidence of each segment: the mean certainty of its pixels.

    Args:
      ids: [H, W] int, segment of each pixel.
      certainty: [H, W] float32, 0 where the vote overruled the pixel.
      segment_ids: [S] int, all in `ids`.
    Returns:
      [S] float64 in [0, 1].
    """
    order = np.argsort(segment_ids)
    rows = np.searchsorted(segment_ids[order], ids)
    rows = np.minimum(rows, len(order) - 1)
    mine = segment_ids[order][rows] == ids
    sums = np.bincount(rows[mine], weights=certainty[mine], minlength=len(order))
    sizes = np.bincount(rows[mine], minlength=len(order))
    found = np.empty(len(order))
    found[order] = sums / sizes
    return found
