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
      method: of resizing; `bicubic` for clips, which overshoots and is not clipped,
        as in the reference.

    Returns:
      float32 [*image_size, 3] in [0, 1].
    """
    image = tf.cond(draw.flip, lambda: tf.reverse(image, [1]), lambda: image)
    x = resize_and_crop(image, draw, image_size=image_size, method=method) / 255.0
    if colors:
        x = jitter_colors(x, draw)
    missing = tf.constant(image_size) - tf.shape(x)[:2]
    paddings = tf.pad(missing[:, None], [[0, 1], [1, 0]])
    x = tf.pad(x, paddings, constant_values=PAD_VALUE)
    return tf.ensure_shape(x, (*image_size, 3))


def resize_and_crop(
    image: tf.Tensor, draw: ImageDraw, *, image_size: Sequence[int], method: str
) -> tf.Tensor:
    """Steps 2 and 3 of an image that is flipped already, where that is cheap.

    With the op that tf.image.resize(antialias=True) calls, which can cut as well:
    pixels that the crop drops are never made. Where nothing is cut or made smaller,
    antialiasing does nothing, and the plain op is four times faster.

    Args:
      image: [H, W, 3] uint8.
      draw: for this example, as tensors.
      image_size: (H, W) of the network's input.
      method: `bilinear` or `bicubic`.

    Returns:
      float32 [h, w, 3] in [0, 255], at most `image_size`.
    """
    content = tf.minimum(draw.size - draw.offset, tf.constant(image_size))
    mirrored = draw.size[1] - draw.offset[1] - content[1]
    left = tf.where(draw.flip, mirrored, draw.offset[1])
    offset = tf.cast(tf.stack([draw.offset[0], left]), tf.float32)
    shape = tf.shape(image)[:2]

    def cut() -> tf.Tensor:
        return tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=content,
            scale=tf.cast(draw.size, tf.float32) / tf.cast(shape, tf.float32),
            translation=-offset,
            kernel_type={"bilinear": "triangle", "bicubic": "keyscubic"}[method],
        )[0]

    if method != "bilinear":  # TensorFlow's plain cubic is another one
        return cut()
    is_whole_and_larger = tf.reduce_all(content == draw.size) & tf.reduce_all(
        draw.size >= shape
    )
    return tf.cond(is_whole_and_larger, lambda: tf.image.resize(image, draw.size), cut)


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
