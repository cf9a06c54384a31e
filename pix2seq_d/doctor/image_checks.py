"""Checks of an image file: readable, of which pixels, turned, thin or huge."""

import numpy as np
from PIL import Image

from pix2seq_d.data import sizes
from pix2seq_d.doctor.finding import Finding, from_error
from pix2seq_d.image_files import File, open_image, orientation, png_bit_depth, to_rgb
from pix2seq_d.panoptic_index import ImageId

HUGE_PX = 50_000_000
_TURNED = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored upside down",
    5: "mirrored and turned",
    6: "turned by 90 degrees clockwise",
    7: "mirrored and turned",
    8: "turned by 90 degrees counterclockwise",
}
_MODES = {
    "1": ("is black and white", "repeated to RGB"),
    "L": ("is gray", "repeated to RGB"),
    "LA": ("is gray with alpha", "repeated to RGB without alpha"),
    "P": ("has a palette", "converted to RGB"),
    "PA": ("has a palette with alpha", "converted to RGB without alpha"),
    "RGBA": ("has an alpha channel", "read without it"),
    "CMYK": ("is CMYK", "converted to RGB without a colour profile"),
    "I": ("has deep pixels", "scaled to 8 bits and repeated to RGB"),
}


def check_image(
    file: File, image_id: ImageId | None
) -> tuple[list[Finding], np.ndarray | None]:
    """Decodes an image as training does.

    Returns:
      findings: about the file.
      image: [H, W, 3] uint8; None where it cannot be decoded.
    """
    try:
        image = open_image(file)
        pixels = to_rgb(image, file.where)
    except ValueError as error:
        return [from_error(error, "unreadable_image", file.where, image_id)], None
    findings = _format(file, image, image_id)
    findings += check_size(pixels.shape, file.where, image_id)
    return findings, pixels


def check_size(
    shape: tuple[int, ...], where: str, image_id: ImageId | None
) -> list[Finding]:
    """Remarks on an unusual size [H, W, ...]."""
    height, width = shape[:2]
    if 1 in (height, width):
        message = f"has {width}x{height} pixels (width x height), hardly an image"
        cure = "export it again or remove it"
        return [Finding("thin_image", where, message, cure, image_id)]
    if height * width > HUGE_PX:
        megapixels = height * width / 1e6
        message = f"has {width}x{height} pixels, {megapixels:.0f} megapixels"
        cure = "scale it and its labels down, or cut them, to train faster"
        return [Finding("huge_image", where, message, cure, image_id)]
    return []


def compare_sizes(
    image_file: File | None,
    image: tuple[int, ...],
    labels: tuple[int, ...],
    *,
    where: str,
    image_id: ImageId | None,
) -> list[Finding]:
    """Whether a label map [h, w] lies on its image [H, W, ...].

    Args:
      image_file: the readable image file, if there is one.
      image: shape.
      labels: shape.
      where: the label file.
      image_id: of the image.
    """
    wrong = sizes.compare(image, labels, image_file=image_file)
    if not wrong:
        return []
    kind = "exif_mismatch" if wrong.is_turned else "size_mismatch"
    return [Finding(kind, where, wrong.message, wrong.cure, image_id)]


def _format(file: File, image: Image.Image, image_id: ImageId | None) -> list[Finding]:
    mode, findings = image.mode, []
    described = _MODES.get(mode.partition(";")[0])
    if described is None and mode != "RGB":
        described = f"has pixels of mode {mode}", "converted to RGB"
    if described is None and image.format == "PNG" and png_bit_depth(file) == 16:
        described = "has 16 bits per channel", "read with 8"
    if described:
        what, done = described
        cure = f"it is {done}; store it as 8-bit RGB if that looks wrong"
        findings.append(Finding("pixel_format", file.where, what, cure, image_id))
    turned = _TURNED.get(orientation(image))
    if turned:
        message = f"viewers show it {turned} by its EXIF orientation, training does not"
        cure = "see that its labels lie on the stored pixels"
        findings.append(Finding("exif", file.where, message, cure, image_id))
    return findings
