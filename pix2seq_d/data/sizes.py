"""Whether a label map lies on its image; where it does not, why, and what to do."""

from typing import NamedTuple

from pix2seq_d.image_files import File, open_image, orientation


class Mismatch(NamedTuple):
    """A label map of another size than its image.

    Attributes:
      message: the two sizes.
      cure: what to do.
      is_turned: the labels fit the image as its EXIF orientation shows it.
    """

    message: str
    cure: str
    is_turned: bool


def compare(
    image: tuple[int, ...],
    labels: tuple[int, ...],
    *,
    image_file: File | None = None,
    called: str = "its image",
) -> Mismatch | None:
    """Compares the shapes of an image [H, W, ...] and a label map [h, w, ...].

    Args:
      image: shape.
      labels: shape.
      image_file: the readable image file, if there is one.
      called: what the image is to the labels, for the message.
    Returns:
      None where both have one size.
    """
    if labels[:2] == image[:2]:
        return None
    if image_file is not None:
        called += f" {image_file.where}"
    message = (
        f"has {labels[1]}x{labels[0]} pixels, {called} {image[1]}x{image[0]} "
        "(width x height)"
    )
    turned = image_file is not None and orientation(open_image(image_file)) > 4
    if turned and labels[:2] == image[1::-1]:
        message += ", as the image is shown by its EXIF orientation"
        return Mismatch(message, "save the image turned, without EXIF", True)
    return Mismatch(message, "scale one of them (labels: nearest neighbour)", False)
