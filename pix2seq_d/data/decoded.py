"""Examples that leave the host decoded, with what the device is to do to them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pix2seq_d.data import transforms
from pix2seq_d.data.augment import ImageDraw


def parts(room: Sequence[int]) -> dict[str, tuple[tuple[int, ...], npt.DTypeLike]]:
    """Shape and type of each part of such an example, by name.

    Args:
      room: (H, W) of the padded image.

    Returns:
      `image`, in its upper left corner; `original`, (height, width) of the image;
      the fields of an `ImageDraw`.
    """
    return {
        "image": ((*room, 3), np.uint8),
        "original": ((2,), np.int32),
        "size": ((2,), np.int32),
        "offset": ((2,), np.int32),
        "flip": ((), np.bool_),
        "jitter": ((), np.bool_),
        "order": ((4,), np.int32),
        "factors": ((4,), np.float32),
        "grey": ((), np.bool_),
    }


def put(
    image: np.ndarray,
    draw: ImageDraw,
    *,
    out: dict[str, np.ndarray],
    image_size: Sequence[int],
    method: str,
) -> None:
    """Fills the parts of an example.

    An image larger than its room is resized, cropped and flipped here, to whole
    levels, and the draw says that no more is to be done but colours and padding.

    Args:
      image: [H, W, 3] uint8 of any size.
      draw: for this example.
      out: as of `parts`, with room for `image_size` at least; the padding of its
        image is left as it is.
      image_size: (H, W) of the network's input.
      method: `bilinear` or `bicubic`.
    """
    if (np.array(image.shape) > out["image"].shape).any():
        x = transforms.resize_and_crop(
            image, draw, image_size=image_size, method=method
        )
        image = np.rint(x.numpy()).clip(0, 255)
        draw = draw._replace(
            size=np.array(image.shape[:2]), offset=np.zeros(2), flip=np.array(False)
        )
    height, width = image.shape[:2]
    out["image"][:height, :width] = image
    out["original"][:] = height, width
    for name, value in draw._asdict().items():
        out[name][...] = value
