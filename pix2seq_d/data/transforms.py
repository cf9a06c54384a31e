"""Training transforms of one image, with TensorFlow's ops (spec 5.3).

Each is a pure function of arrays; what chance decides comes in as an
`augment.ImageDraw`. Label maps need no TensorFlow: `reading.Arrays.masks`.
"""

import contextlib
import os
from collections.abc import Callable, Sequence

import numpy as np

from pix2seq_d.data.augment import ImageDraw
from pix2seq_d.data.evaluation import PAD_VALUE

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # announces itself otherwise

import tensorflow as tf  # after the two lines above, which quieten its import

# JAX owns the accelerators. TensorFlow refuses the setting once it has used one,
# and then it is too late anyway.
with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")


def train_image(
    image: np.ndarray,
    draw: ImageDraw,
    *,
    out: np.ndarray,
    colors: bool,
    method: str = "bilinear",
) -> None:
    """All training transforms of an image, in the order of spec 5.3.

    Args:
      image: [H, W, 3] uint8 of any size.
      draw: for this example.
      out: float32 [*image_size, 3], of the network's input; filled with [0, 1].
      colors: whether any image's colours change.
      method: of resizing; `bicubic` for clips, which overshoots and is not clipped,
        as in the reference.
    """
    height, width = np.minimum(draw.size - draw.offset, out.shape[:2])
    out[height:], out[:height, width:] = PAD_VALUE, PAD_VALUE
    inside = out[:height, :width]
    x = resize_and_crop(image, draw, image_size=out.shape[:2], method=method)
    scale = np.float32(1 / 255)
    if colors and (draw.jitter or draw.grey):
        x, scale = jitter_colors(x * scale, draw), np.float32(1)
    # x.numpy() would be a copy.
    made = memoryview(x)  # pyright: ignore[reportArgumentType]
    np.multiply(np.asarray(made), scale, out=inside)


def resize_and_crop(
    image: np.ndarray, draw: ImageDraw, *, image_size: Sequence[int], method: str
) -> tf.Tensor:
    """Steps 2 to 4 of an image: resize, crop, flip.

    With the op that tf.image.resize(antialias=True) calls, which can cut as well:
    pixels that the crop drops are never made. Where nothing is cut or made smaller,
    antialiasing does nothing, and the plain op is four times faster. Pixels are
    flipped where there are fewer of them.

    Args:
      image: [H, W, 3] uint8.
      draw: for this example.
      image_size: (H, W) of the network's input.
      method: `bilinear` or `bicubic`.

    Returns:
      float32 [h, w, 3] in [0, 255], at most `image_size`.
    """
    x = tf.convert_to_tensor(image)
    content = np.minimum(draw.size - draw.offset, image_size)
    is_whole = (content == draw.size).all()
    # TensorFlow's plain cubic is another one.
    if is_whole and (draw.size >= image.shape[:2]).all() and method == "bilinear":
        # Of float32 the op is faster than of uint8.
        x = tf.cast(_flipped(x, draw), tf.float32)
        if (draw.size == image.shape[:2]).all():
            return x
        return tf.raw_ops.ResizeBilinear(
            images=x[None], size=draw.size, half_pixel_centers=True
        )[0]
    x = tf.raw_ops.ScaleAndTranslate(
        images=x[None],
        size=content,
        scale=(draw.size / np.array(image.shape[:2])).astype(np.float32),
        translation=-draw.offset.astype(np.float32),
        kernel_type={"bilinear": "triangle", "bicubic": "keyscubic"}[method],
    )[0]
    return _flipped(x, draw)


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
    if draw.jitter:
        for k in draw.order:
            image = tf.clip_by_value(changes[k](image), 0.0, 1.0)
    if draw.grey:
        image = tf.tile(tf.image.rgb_to_grayscale(image), [1, 1, 3])
    return tf.clip_by_value(image, 0.0, 1.0)


def _flipped(image: tf.Tensor, draw: ImageDraw) -> tf.Tensor:
    return tf.reverse(image, [1]) if draw.flip else image
