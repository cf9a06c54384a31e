"""Reading image files with PIL: RGB pixels, or one line that says what is wrong."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# What PIL's decoders raise on damaged files; truncation is an OSError.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_image(path: Path) -> Image.Image:
    """Opens and fully decodes an image file, as stored (no EXIF rotation).

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is truncated, damaged or no image.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; check the path") from None
    except _DECODE_ERRORS as error:
        raise ValueError(
            f"{path}: cannot be decoded ({error}); copy or export the file again"
        ) from error
    return image


def read_rgb(path: Path, *, upright: bool = False) -> np.ndarray:
    """Image file -> uint8 [H, W, 3] RGB, pixels as stored.

    EXIF orientation is ignored unless `upright` is set: label maps are painted on
    the stored pixel grid (COCO's are), and turning the image alone would tear the
    two apart. For images without labels set it. Grayscale is repeated, alpha
    dropped, CMYK and palettes converted; 16-bit gray is scaled to 8 bits.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is damaged or its pixels are floating-point or 32-bit.
    """
    image = open_image(path)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"{path}: has 32-bit pixels; convert it to 8-bit RGB")
        gray = np.round(deep / 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if image.mode == "F":
        raise ValueError(f"{path}: has floating-point pixels; convert it to 8-bit RGB")
    if image.mode == "P":
        # Straight to RGB, PIL warns about palettes with transparency.
        image = image.convert("RGBA")
    try:
        return np.array(image.convert("RGB"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; convert it to 8-bit RGB") from error
