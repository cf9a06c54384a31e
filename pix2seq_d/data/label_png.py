"""Reading label maps whose pixel values are the labels: PNG files of one mode."""

from collections.abc import Collection

import numpy as np

from pix2seq_d.image_files import File, open_image, png_bit_depth

# Pillow spreads gray of 2 and 4 bits over 0..255.
_SPREAD = {2: 85, 4: 17}


def read_label_png(file: File, *, modes: Collection[str], cure: str) -> np.ndarray:
    """PNG -> its values as stored, [H, W] or [H, W, 3]; palettes give indices.

    Args:
      file: the PNG.
      modes: PIL modes that are right for the dataset, such as 'I;16'.
      cure: how such a file is written, for the message.
    Raises:
      ValueError: damaged, not a PNG, of another mode, or RGB of 16 bits.
    """
    image = open_image(file)
    if image.format != "PNG":
        raise ValueError(
            f"{file.where}: is a {image.format} file, which may alter labels; {cure}"
        )
    if image.mode not in modes:
        raise ValueError(f"{file.where}: has mode {image.mode}; {cure}")
    if image.mode == "RGB" and png_bit_depth(file) != 8:
        # Pillow drops the lower 8 bits without a word.
        raise ValueError(
            f"{file.where}: has {png_bit_depth(file)} bits per channel; {cure}"
        )
    values = np.asarray(image)
    spread = _SPREAD.get(png_bit_depth(file), 1) if image.mode == "L" else 1
    return values if spread == 1 else values // np.uint8(spread)
