"""An antialiased resize as a matrix, for images on the device (spec 5.3)."""

import jax
import jax.numpy as jnp


def resize_matrix(
    width: int,
    *,
    old: jax.Array,
    new: jax.Array,
    at: jax.Array,
    method: str,
) -> jax.Array:
    """Weights of one axis: row i makes pixel `at[i]` of the resized image.

    Every row sums to 1; a kernel that reaches past the content is cut and normalised,
    as TensorFlow and Pillow do it. Shapes are fixed and sizes are data, so that one
    compiled program serves all sizes.

    Args:
      width: pixels of the axis as it is stored, W.
      old: [] int32, pixels of it that are content, the first ones.
      new: [] int32, pixels that the content is resized to.
      at: [N] int32 in [0, new).
      method: 'bilinear', or 'bicubic' for Keys' cubic.
    Returns:
      [N, W] float32.
    """
    # Distances are whole numbers over one denominator, rounded once: in float32 the
    # centre of a pixel of a large photo would be off by thousandths of a pixel.
    source = (2 * at[:, None] + 1) * old
    distance = jnp.abs((2 * jnp.arange(width) + 1) * new - source)
    distance = distance.astype(jnp.float32) / (2 * jnp.maximum(old, new))
    kernel = _triangle if method == "bilinear" else _cubic
    weights = kernel(distance) * (jnp.arange(width) < old)
    total = jnp.sum(weights, -1, keepdims=True)
    return weights / jnp.where(total == 0, 1.0, total)


def _triangle(d: jax.Array) -> jax.Array:
    return jnp.maximum(1 - d, 0)


def _cubic(d: jax.Array) -> jax.Array:
    """Keys' cubic, a = -0.5."""
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return jnp.where(d < 1, near, jnp.where(d < 2, far, 0.0))
