"""Decoding image files with PIL: RGB pixels, or one line that says what is wrong."""

import dataclasses
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

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

_ORIENTATION = 0x0112  # EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class File:
    """An encoded file: what to call it in a message, and its bytes."""

    where: str
    data: bytes

    @classmethod
    def read(cls, path: Path | str) -> "File":
        """Reads a file.

        Raises:
          FileNotFoundError: no such file.
          ValueError: it cannot be read.
        """
        try:
            return cls(str(path), Path(path).read_bytes())
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no such file; check the path") from None
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror})") from error


def open_image(file: File | Path) -> Image.Image:
    """Fully decodes an image file, as stored (no EXIF rotation).

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is truncated, damaged or no image.
    """
    file = file if isinstance(file, File) else File.read(file)
    if not file.data:
        raise ValueError(f"{file.where}: is empty; copy or export the file again")
    try:
        with Image.open(io.BytesIO(file.data)) as image:
            image.load()
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{file.where}: is too large to open ({str(error).partition(',')[0]}); "
            "scale it and its labels down, or cut them into parts"
        ) from error
    except _DECODE_ERRORS as error:
        # PIL names the buffer, not the file.
        reason = str(error).replace(repr(getattr(error, "filename", "")), "it")
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "no known image format"
        raise ValueError(
            f"{file.where}: cannot be decoded ({reason}); copy or export the file again"
        ) from error
    return image


def image_size(file: File) -> tuple[int, int]:
    """(H, W) from the file's header, without decoding; errors as `open_image`."""
    try:
        with Image.open(io.BytesIO(file.data)) as image:
            return image.height, image.width
    except _DECODE_ERRORS:
        image = open_image(file)  # raises with the file's name
        return image.height, image.width


def is_animated(file: File) -> bool:
    """Whether a readable image file holds several pictures, as a GIF may."""
    with Image.open(io.BytesIO(file.data)) as image:
        try:
            return getattr(image, "n_frames", 1) > 1
        except Exception:  # of many kinds: what follows the first picture is damaged
            return True


def orientation(image: Image.Image) -> int:
    """EXIF orientation of a decoded image, 1 ... 8; 1 where there is none."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of many kinds: the block is damaged, the pixels are whole
        return 1
    return value if value in range(1, 9) else 1


def turned_by_exif(image: Image.Image) -> Image.Image:
    """A decoded image as viewers show it: turned by its EXIF orientation."""
    # ImageOps.exif_transpose would write the block anew, and fail with damaged ones.
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def png_bit_depth(file: File) -> int:
    """Bits of a channel, from the header of a readable PNG file."""
    return file.data[24]


def read_rgb(file: File | Path, *, upright: bool = False) -> np.ndarray:
    """Image file -> uint8 [H, W, 3] RGB, pixels as stored.

    EXIF orientation is ignored unless `upright` is set: label maps are painted on
    the stored pixel grid (COCO's are), and turning the image alone would tear the
    two apart. For images without labels set it. Grayscale is repeated, alpha
    dropped, CMYK and palettes converted; 16-bit gray is scaled to 8 bits.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is damaged or its pixels are floating-point or 32-bit.
    """
    file = file if isinstance(file, File) else File.read(file)
    image = open_image(file)
    return to_rgb(turned_by_exif(image) if upright else image, file.where)


def to_rgb(image: Image.Image, where: str) -> np.ndarray:
    """Decoded image -> uint8 [H, W, 3] RGB; ValueError names the file as `where`."""
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"{where}: has 32-bit pixels; convert it to 8-bit RGB")
        gray = np.round(deep / 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if image.mode == "F":
        raise ValueError(f"{where}: has floating-point pixels; convert it to 8-bit RGB")
    if image.mode == "P":
        # Straight to RGB, PIL warns about palettes with transparency.
        image = image.convert("RGBA")
    try:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    except ValueError as error:
        raise ValueError(f"{where}: {error}; convert it to 8-bit RGB") from error
