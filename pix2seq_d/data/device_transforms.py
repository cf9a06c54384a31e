"""The training transforms in JAX, for batches made on the device (spec 5.3).

Equal to `transforms` up to rounding; tested against it. Resize, crop, flip and
padding are one product with a row and a column matrix whose shapes are fixed, so
that one compiled program serves all draws.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from pix2seq_d.data.augment import ImageDraw, LabelDraw
from pix2seq_d.data.evaluation import PAD_VALUE
from pix2seq_d.data.resize_matrix import resize_matrix


def train_image(
    image: jax.Array,
    draw: ImageDraw,
    *,
    original: jax.Array,
    image_size: Sequence[int],
    resizes: bool,
    colors: bool,
    method: str = "bilinear",
) -> jax.Array:
    """All training transforms of an image; see `transforms.train_image`.

    Args:
      image: [H, W, 3] uint8, its content in the upper left corner.
      draw: for this example.
      original: [2] int32, (height, width) of the content.
      image_size: (H, W) of the network's input.
      resizes: False where every image has the network's size and none is scaled.
      colors: whether any image's colours change.
      method: `bilinear` or `bicubic`.

    Returns:
      [*image_size, 3], float32 in [0, 1], or uint8 where nothing but a flip can
      happen to it.
    """
    content = jnp.minimum(draw.size - draw.offset, jnp.array(image_size))
    if resizes:
        rows, cols = (
            resize_matrix(
                image.shape[axis],
                old=original[axis],
                new=draw.size[axis],
                at=_sources(image_size[axis], content[axis], draw, axis),
                method=method,
            )
            for axis in (0, 1)
        )
        x = image.astype(jnp.float32) / 255
        # Full precision: on accelerators the default would round pixels to bfloat16.
        x = jnp.einsum("oh,hwc->owc", rows, x, precision="highest")
        x = jnp.einsum("pw,owc->opc", cols, x, precision="highest")
    else:
        x = jnp.where(draw.flip, image[:, ::-1], image)
        x = x.astype(jnp.float32) / 255 if colors else x
    inside = _inside(image_size, content)
    if colors:
        x = _jitter_colors(x, inside, draw)
    return jnp.where(inside[..., None], x, PAD_VALUE) if resizes else x


def masks(labels: jax.Array, draw: LabelDraw) -> jax.Array:
    """Label maps [H, W, 2 (F + 1)] -> int32 [h, w, 2 (F + 1)] as a draw has them.

    See `reading.Arrays.masks`.
    """
    taken = labels[jnp.maximum(draw.rows, 0)[:, None], jnp.maximum(draw.cols, 0)]
    is_content = (draw.rows >= 0)[:, None] & (draw.cols >= 0)
    is_kept = jnp.repeat(jnp.concatenate([draw.keep, jnp.array([True])]), 2)
    taken = jnp.where(is_content[..., None] & is_kept, taken.astype(jnp.int32), 0)
    return taken.at[..., 1::2].set(jnp.asarray(draw.new_id)[taken[..., 1::2]])


def _inside(image_size: Sequence[int], content: jax.Array) -> jax.Array:
    """[*image_size] bool: not padding."""
    rows, cols = (jnp.arange(n) < content[axis] for axis, n in enumerate(image_size))
    return rows[:, None] & cols


def _sources(size: int, content: jax.Array, draw: ImageDraw, axis: int) -> jax.Array:
    """[size] int: where each pixel of the input lies in the resized image."""
    at = jnp.arange(size)
    if axis == 1:
        at = jnp.where(draw.flip, content - 1 - at, at)
    return at + draw.offset[axis]


def _jitter_colors(image: jax.Array, inside: jax.Array, draw: ImageDraw) -> jax.Array:
    """See `transforms.jitter_colors`; contrast is about the mean of the content."""
    mask = inside[..., None].astype(jnp.float32)

    def contrast(x: jax.Array) -> jax.Array:
        mean = jnp.sum(x * mask, (0, 1)) / jnp.maximum(jnp.sum(mask), 1)
        return (x - mean) * draw.factors[1] + mean

    changes = [
        lambda x: x * draw.factors[0],
        contrast,
        functools.partial(_hsv, saturation=draw.factors[2]),
        functools.partial(_hsv, hue=draw.factors[3]),
    ]
    x = image
    for k in range(4):
        x = jnp.clip(jax.lax.switch(draw.order[k], changes, x), 0, 1)
    x = jnp.where(draw.jitter, x, image)
    grey = x @ jnp.array([0.2989, 0.587, 0.114], jnp.float32)
    return jnp.clip(jnp.where(draw.grey, grey[..., None], x), 0, 1)


def _hsv(
    x: jax.Array, *, saturation: jax.Array | float = 1.0, hue: jax.Array | float = 0.0
) -> jax.Array:
    """Scales the saturation of [..., 3] RGB in [0, 1] and turns its hue."""
    high, low = jnp.max(x, -1), jnp.min(x, -1)
    span = high - low
    safe = jnp.where(span == 0, 1.0, span)
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    sector = jnp.where(
        high == red,
        (green - blue) / safe,
        jnp.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    s = span / jnp.where(high == 0, 1.0, high)
    s = jnp.clip(s * saturation, 0, 1)
    h = (sector / 6 + hue) % 1.0
    # value - value s max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6
    k = (jnp.array([5.0, 3.0, 1.0]) + 6 * h[..., None]) % 6
    value = high[..., None]
    return value - value * s[..., None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
