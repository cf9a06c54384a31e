"""PNGs of other depths than 8 bits, by hand: Pillow reads but cannot write them."""

import struct
import zlib

import numpy as np

_GRAY, _RGB, _PALETTE = 0, 2, 3


def deep_png(pixels):
    """Integers [H, W, 3] in [0, 65536) -> bytes of a 16-bit RGB PNG."""
    rows = pixels.astype(">u2").reshape(len(pixels), -1)
    return _png(pixels.shape[:2], 16, _RGB, rows)


def shallow_png(values, *, bits, palette=False):
    """Integers [H, W] in [0, 2**bits) -> bytes of a PNG of 1, 2 or 4 bits.

    Gray, or indices of a palette of 4 colours.
    """
    digits = (values[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(digits.reshape(len(values), -1), axis=1)
    kind, extra = (_PALETTE, [(b"PLTE", bytes(12))]) if palette else (_GRAY, [])
    return _png(values.shape, bits, kind, rows, *extra)


def _png(size, bits, kind, rows, *extra):
    height, width = size
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    file = b"\x89PNG\r\n\x1a\n"
    for name, content in (
        *((b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")),
    ):
        crc = struct.pack(">I", zlib.crc32(name + content))
        file += struct.pack(">I", len(content)) + name + content + crc
    return file
