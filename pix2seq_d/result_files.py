"""Results as files of the common layouts: COCO panoptic, two channels, RLE, LabelMe."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from pix2seq_d.atomic_file import WrittenWhole, replace_text
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import PanopticWriter, free_stem

if TYPE_CHECKING:  # which saves itself by this module
    from pix2seq_d.inference.result import Result

FORMATS = ("panoptic", "overlay", "two_channel", "instances", "labelme")
FOLDERS = ("overlay", "two_channel", "labelme")  # formats of a file for each image

_LABELME_VERSION = "5.4.1"  # the first field of its files; readers only look for it


class ResultWriter(WrittenWhole):
    """Writes results of images into a folder, in each of the formats asked for.

    A context manager: the JSONs over all images appear when it is closed, after an
    error not at all.

    * panoptic: `panoptic.json` with `panoptic/*.png` (COCO panoptic; `score` of each
      segment is its confidence).
    * overlay: `overlay/*.png`, to look at.
    * two_channel: `two_channel/*.png`, R = category id, G = 1, 2, ... for things and 0
      for stuff, B = 0: panopticapi's "2 channels" format.
    * instances: `instances.json`, COCO's detection results: a run-length mask, box,
      category and score of every thing.
    * labelme: `labelme/*.json`, one mask for each segment, the image inside.

    Args:
      output: made if absent.
      label_space: the categories.
      formats: of `FORMATS`.
    Raises:
      ValueError: an unknown format.
      OSError: nothing can be written there.
    """

    def __init__(
        self, output: Path | str, label_space: LabelSpace, *, formats: Sequence[str]
    ) -> None:
        unknown = [name for name in formats if name not in FORMATS]
        if unknown or not formats:
            raise ValueError(
                f"formats: {unknown[0] if unknown else 'none'!r} is unknown; choose "
                f"some of {', '.join(FORMATS)}"
            )
        self.output = Path(output)
        self._formats = tuple(formats)
        self._instances: list[dict[str, Any]] = []
        self.output.mkdir(parents=True, exist_ok=True)
        for name in FOLDERS:
            if name in formats:
                (self.output / name).mkdir(exist_ok=True)
        self._panoptic = None
        if "panoptic" in formats:
            self._panoptic = PanopticWriter(self.output, label_space)
        self._taken: set[str] = set()

    def write(self, result: "Result", *, image_id: int, file_name: str) -> str:
        """Writes one result; returns the stem of its files, unique in the folder.

        Args:
          result: of an image.
          image_id: unique.
          file_name: the image's file name.
        Raises:
          ValueError: ids that a format cannot hold.
        """
        stem = free_stem(Path(file_name).stem, self._taken)
        if self._panoptic is not None:
            self._panoptic.write(
                result.panoptic,
                image_id=image_id,
                file_name=file_name,
                segments_info=[_rounded(info) for info in result.segments_info],
            )
        if "overlay" in self._formats:
            picture = Image.fromarray(result.overlay())
            # A fifth of the time of the usual level, for a tenth more bytes.
            picture.save(self.output / "overlay" / f"{stem}.png", compress_level=1)
        if "two_channel" in self._formats:
            picture = Image.fromarray(two_channel(result))
            picture.save(self.output / "two_channel" / f"{stem}.png")
        if "instances" in self._formats:
            self._instances += coco_results(result, image_id=image_id)
        if "labelme" in self._formats:
            text = json.dumps(labelme(result, file_name=f"{stem}.png"))
            replace_text(self.output / "labelme" / f"{stem}.json", text)
        return stem

    def close(self) -> None:
        """Writes the JSONs over all images."""
        if self._panoptic is not None:
            self._panoptic.close()
        if "instances" in self._formats:
            path = self.output / "instances.json"
            replace_text(path, json.dumps(self._instances))


def _rounded(info: dict[str, Any]) -> dict[str, Any]:
    return info | {"score": round(info["score"], 6)} if "score" in info else info


def two_channel(result: "Result") -> np.ndarray:
    """The map of category ids and instance numbers: uint8 [H, W, 3].

    R is the category id, 0 for void; G counts the things of the image from 1, the
    largest first, 0 for stuff; B is 0.

    Raises:
      ValueError: a category id, or the number of things, is above 255, or a category
        has the id of void.
    """
    if result.label_space.void_id:
        raise ValueError(
            "two_channel: category id 0 stands for void there, but a category has it; "
            "leave this format out"
        )
    things = [s.id for s in result.segments if s.is_thing]
    highest = max((s.category_id for s in result.segments), default=0)
    for what, number in (("category id", highest), ("number of things", len(things))):
        if number > 255:
            raise ValueError(
                f"two_channel: {what} {number} does not fit 8 bits; leave this format "
                "out"
            )
    ids = result.panoptic.ids
    number = np.zeros(max(int(ids.max()), 0) + 1, np.uint8)
    number[things] = np.arange(1, len(things) + 1)
    return np.stack(
        [result.semantic.astype(np.uint8), number[ids], np.zeros(ids.shape, np.uint8)],
        -1,
    )


def coco_results(result: "Result", *, image_id: int) -> list[dict[str, Any]]:
    """Things as COCO's detection results, masks as compressed run lengths.

    Args:
      result: of an image.
      image_id: goes into every entry.
    Returns:
      Entries with image_id, category_id, segmentation {size, counts}, bbox, area, and
      score where the confidence is known.
    """
    found = []
    for segment in result.segments:
        if not segment.is_thing:
            continue
        mask = result.panoptic.ids == segment.id
        counts: Any = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
        entry = {
            "image_id": image_id,
            "category_id": segment.category_id,
            "segmentation": {
                "size": list(mask.shape),
                "counts": counts.decode("ascii"),
            },
            "bbox": list(segment.bbox),
            "area": segment.area,
        }
        if segment.confidence is not None:
            entry["score"] = round(segment.confidence, 6)
        found.append(entry)
    return found


def labelme(result: "Result", *, file_name: str) -> dict[str, Any]:
    """A LabelMe file: the image and one shape of type `mask` for each segment.

    Masks, for polygons would lose holes and pixels. `launch.doctor` makes COCO panoptic
    of such files.

    Args:
      result: of an image.
      file_name: `imagePath`.
    """
    height, width = result.panoptic.ids.shape
    shapes = []
    for segment in result.segments:
        left, top, box_width, box_height = segment.bbox
        box = result.panoptic.ids[top : top + box_height, left : left + box_width]
        sure = segment.confidence
        shapes.append(
            {
                "label": segment.name,
                # First and last pixel.
                "points": [
                    [left, top],
                    [left + box_width - 1, top + box_height - 1],
                ],
                "group_id": None,
                "description": "" if sure is None else f"confidence {sure:.3f}",
                "shape_type": "mask",
                "flags": {},
                "mask": _png(box == segment.id),
            }
        )
    return {
        "version": _LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": file_name,
        "imageData": _png(result.image),
        "imageHeight": height,
        "imageWidth": width,
    }


def _png(pixels: np.ndarray) -> str:
    """A picture as PNG in base64."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode("ascii")
