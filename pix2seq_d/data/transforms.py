"""Training transforms of one image, in TensorFlow (spec 5.3).

Each is a pure function of arrays; what chance decides comes in as an
`augment.ImageDraw`. Label maps need no TensorFlow: `reading.Arrays.masks`.
"""

import os
from collections.abc import Callable, Sequence

from pix2seq_d.data.augment import ImageDraw
from pix2seq_d.data.evaluation import PAD_VALUE

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # announces itself otherwise

import tensorflow as tf  # after the two lines above, which quieten its import


def train_image(
    image: tf.Tensor,
    draw: ImageDraw,
    *,
    image_size: Sequence[int],
    colors: bool,
    method: str = "bilinear",
) -> tf.Tensor:
    """All training transforms of an image, in the order of spec 5.3.

    Args:
      image: [H, W, 3] uint8 of any size.
      draw: for this example, as tensors.
      image_size: (H, W) of the network's input.
      colors: whether any image's colours change.
      method: of resizing; `bicubic` for clips.

    Returns:
      float32 [*image_size, 3] in [0, 1].
    """
    x = resize_image(image, draw.size, method=method)
    x = flip(crop(x, draw.offset, image_size=image_size), draw.flip)
    if colors:
        x = jitter_colors(x, draw)
    x = pad(x, image_size=image_size, value=PAD_VALUE)
    return tf.ensure_shape(x, (*image_size, 3))


def resize_image(image: tf.Tensor, size: tf.Tensor, *, method: str) -> tf.Tensor:
    """uint8 [H, W, 3] -> float32 [*size, 3], antialiased (step 2).

    In [0, 1]; a cubic overshoots, and is not clipped, as in the reference.
    """
    return tf.image.resize(image, size, method=method, antialias=True) / 255.0


def crop(x: tf.Tensor, offset: tf.Tensor, *, image_size: Sequence[int]) -> tf.Tensor:
    """Cuts [H, W, C] at offset to at most `image_size` (step 3)."""
    size = tf.minimum(tf.shape(x)[:2] - offset, tf.constant(image_size))
    return tf.slice(x, [offset[0], offset[1], 0], [size[0], size[1], x.shape[2] or -1])


def flip(x: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
    """Mirrors [H, W, C] horizontally where `flipped` (step 4)."""
    return tf.cond(flipped, lambda: tf.reverse(x, [1]), lambda: x)


def jitter_colors(image: tf.Tensor, draw: ImageDraw) -> tf.Tensor:
    """Four colour changes in the drawn order, then grey, each where drawn (step 5).

    Brightness times a factor; contrast about the mean of each channel and
    saturation (HSV) times one; hue plus a part of the circle. Every change is
    clipped to [0, 1].
    """
    changes: list[Callable[[tf.Tensor], tf.Tensor]] = [
        lambda x: x * draw.factors[0],
        lambda x: tf.image.adjust_contrast(x, draw.factors[1]),
        lambda x: tf.image.adjust_saturation(x, draw.factors[2]),
        lambda x: tf.image.adjust_hue(x, draw.factors[3]),
    ]

    def jitter(image: tf.Tensor) -> tf.Tensor:
        for k in range(len(changes)):
            branches = [lambda x=image, change=change: change(x) for change in changes]
            image = tf.switch_case(draw.order[k], branches)
            image = tf.clip_by_value(image, 0.0, 1.0)
        return image

    def grey(image: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.image.rgb_to_grayscale(image), [1, 1, 3])

    image = tf.cond(draw.jitter, lambda x=image: jitter(x), lambda x=image: x)
    image = tf.cond(draw.grey, lambda x=image: grey(x), lambda x=image: x)
    return tf.clip_by_value(image, 0.0, 1.0)


def pad(x: tf.Tensor, *, image_size: Sequence[int], value: float) -> tf.Tensor:
    """Pads [H, W, C] below and right to `image_size` (step 6)."""
    missing = tf.constant(image_size) - tf.shape(x)[:2]
    paddings = tf.pad(missing[:, None], [[0, 1], [1, 0]])
    return tf.pad(x, paddings, constant_values=value)
