"""Label PNGs of other tools: a category id or an object's number in each pixel."""

import numpy as np

from pix2seq_d.data.label_png import read_label_png
from pix2seq_d.image_files import File, image_size
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic_index import list_some

VOID_VALUES = (0, 255)  # unlabelled, unless a category has this id

_CURE = "export labels as 8- or 16-bit gray PNG, or with palette indices"


def read_numbers(file: File, image: File | np.ndarray) -> np.ndarray:
    """PNG -> int32 [H, W]: gray value or palette index, as stored.

    Args:
      file: the PNG.
      image: its image, for the size.
    Raises:
      ValueError: damaged, no PNG, coloured, or not of the image's size.
    """
    modes = ("1", "L", "P", "I", "I;16")
    values = read_label_png(file, modes=modes, cure=_CURE).astype(np.int32)
    check_size(file.where, values.shape, image)
    return values


def check_size(where: str, size: tuple[int, ...], image: File | np.ndarray) -> None:
    """Raises ValueError if labels are not of their image's size.

    Args:
      where: the labels, for the message.
      size: (H, W) of the labels.
      image: the file, or [H, W, 3].
    """
    of_image = size_of(image)
    if size != of_image:
        name = f"its image {image.where}" if isinstance(image, File) else "its image"
        raise ValueError(
            f"{where}: is for {size[1]}x{size[0]} pixels, {name} has "
            f"{of_image[1]}x{of_image[0]} (width x height); scale one of them (labels: "
            "nearest neighbour), or save the image turned, without EXIF"
        )


def size_of(image: File | np.ndarray) -> tuple[int, int]:
    """(H, W) of an image file or of pixels, [H, W, 3]."""
    if isinstance(image, File):
        return image_size(image)
    return image.shape[0], image.shape[1]


def to_semantic(values: np.ndarray, label_space: LabelSpace, where: str) -> np.ndarray:
    """Category ids -> semantic ids; 0 and 255 become void unless they are categories.

    Args:
      values: int [H, W], category id of each pixel.
      label_space: the categories.
      where: the file, for the message.
    Returns:
      [H, W] int32 in [0, num_classes).
    Raises:
      ValueError: an id is no category.
    """
    present, inverse = np.unique(values, return_inverse=True)
    known = label_space.semantic_of
    unknown = [v for v in present.tolist() if v not in known and v not in VOID_VALUES]
    if unknown:
        raise ValueError(
            f"{where}: values {list_some(unknown)} are no category ids (0 and 255 are "
            "void); add the categories or correct the file"
        )
    table = np.array([known.get(v, VOID) for v in present.tolist()], np.int32)
    return table[inverse.reshape(values.shape)]
