"""Ops that decode and resize to the same pixels, of which the cheapest counts."""

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from photo_files import SIZE
from PIL import Image

from pix2seq_d.data import transforms  # noqa: F401 - quietens TensorFlow
from pix2seq_d.data.source import EncodedExample

import tensorflow as tf  # isort: skip - after transforms, which quietens it

Op = Callable[[Any], Any]


def equal_ops(size: tuple[int, int]) -> dict[str, dict[str, Op]]:
    """Ways to the same pixels: of the JPEG, of the PNG, of the resized image.

    Args:
      size: that the image is resized to.
    """
    resize = functools.partial(tf.image.resize, size=size)
    resizes: dict[str, Op] = {
        "TensorFlow, antialiased": functools.partial(resize, antialias=True)
    }
    if size >= SIZE:  # then antialiasing does nothing
        resizes["TensorFlow, plain"] = resize
        resizes["TensorFlow, plain of float32"] = lambda x: resize(
            tf.cast(x, tf.float32)
        )
    return {
        "jpeg": {
            "PIL": by_pil,
            "TensorFlow": functools.partial(
                tf.io.decode_jpeg, channels=3, dct_method="INTEGER_ACCURATE"
            ),
        },
        "png": {
            "PIL": by_pil,
            "TensorFlow": functools.partial(tf.io.decode_png, channels=3),
        },
        "resize": resizes,
    }


def inputs_of(what: str, examples: list[EncodedExample]) -> list[Any]:
    """What the ops of `equal_ops` take."""
    match what:
        case "jpeg":
            return [e.image_file.data for e in examples]
        case "png":
            return [e.label_file.data for e in examples]
    return [tf.constant(e.image) for e in examples]


def by_pil(data: bytes) -> np.ndarray:
    """An image file, decoded by PIL."""
    return np.asarray(Image.open(io.BytesIO(data)))
