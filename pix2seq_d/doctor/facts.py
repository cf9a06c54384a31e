"""What a labelled image is, as far as the counts and comparisons need it."""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from pix2seq_d.doctor.finding import Finding
from pix2seq_d.panoptic_index import ImageId

LOOK_SIZE = 8  # pixels, side of the miniature by which copies are known


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """Of an image's pixels.

    Attributes:
      size: (H, W).
      file_hash: of the encoded file; empty where there is none.
      pixel_hash: of the decoded RGB pixels.
      look: uint8 [192], the image shrunk to 8 x 8.
    """

    size: tuple[int, int]
    file_hash: str
    pixel_hash: str
    look: np.ndarray


@dataclasses.dataclass(frozen=True)
class MapFacts:
    """Of a panoptic map; segments without a pixel do not count.

    Attributes:
      segments: category id -> number of segments, crowds included.
      pixels: category id -> number of pixels.
      num_pixels: of the map.
      num_instances: segments of things, without crowds.
      crowd_pixels: pixels of crowds.
      void_pixels: pixels without a segment.
      num_numbered: segments that need an instance id.
      num_dropped: those that find no instance id, see `instance_ids.number`.
    """

    segments: dict[int, int]
    pixels: dict[int, int]
    num_pixels: int
    num_instances: int
    crowd_pixels: int
    void_pixels: int
    num_numbered: int
    num_dropped: int


@dataclasses.dataclass(frozen=True)
class Checked:
    """What the check of one example found.

    Attributes:
      where: the image file.
      name: the image's file name in the dataset.
      image_id: of the image.
      findings: what is wrong with it.
      image: None where it cannot be decoded.
      map: None where it cannot be decoded.
    """

    where: str
    name: str
    image_id: ImageId | None
    findings: tuple[Finding, ...]
    image: ImageFacts | None = None
    map: MapFacts | None = None


def image_facts(image: np.ndarray, data: bytes | None = None) -> ImageFacts:
    """Facts of uint8 [H, W, 3] pixels, and of the file they were decoded from."""
    height, width = image.shape[:2]
    pixels = hashlib.blake2b(f"{height} {width} ".encode(), digest_size=16)
    pixels.update(image.tobytes())
    small = Image.fromarray(image).resize((LOOK_SIZE, LOOK_SIZE), Image.Resampling.BOX)
    return ImageFacts(
        size=(height, width),
        file_hash=hashlib.blake2b(data, digest_size=16).hexdigest() if data else "",
        pixel_hash=pixels.hexdigest(),
        look=np.asarray(small).ravel(),
    )
