"""One image of the page: photo, truth, prediction and errors, and what is hovered."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.html_page import jpeg_url, png_url
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, ids_to_rgb, resize_nearest
from pix2seq_d.report.error_map import Verdict, error_map
from pix2seq_d.visualize.colors import Color, segment_colors
from pix2seq_d.visualize.panels import check_image, resize_photo
from pix2seq_d.visualize.track_colors import track_colors, track_name, tracks_in

_QUALITY = 85  # of the photos


@dataclasses.dataclass(frozen=True)
class ShownSegment:
    """A segment as the page names it.

    Attributes:
      name: class and number.
      color: RGB.
      pixels: in the map.
      verdict: what became of it.
    """

    name: str
    color: Color
    pixels: int
    verdict: Verdict


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """An image, or a frame of a video, with its layers.

    Attributes:
      photo: [H, W, 3] uint8.
      truth_rows: [H, W] int64, k + 1 for `truth[k]`, 0 for void.
      found_rows: [H, W] int64, likewise.
      outcome: [H, W] uint8, positions in OUTCOMES.
      truth: the segments of the truth; scaling may have left one no pixel.
      found: the predicted segments.
      number: of a video's frame, from 0; 0 of an image.
    """

    photo: np.ndarray
    truth_rows: np.ndarray
    found_rows: np.ndarray
    outcome: np.ndarray
    truth: tuple[ShownSegment, ...]
    found: tuple[ShownSegment, ...]
    number: int = 0

    def photo_url(self) -> str:
        """The photo as a `data:` URL."""
        return jpeg_url(self.photo, quality=_QUALITY)

    def to_json(self) -> dict[str, Any]:
        """What `report.js` reads: maps as PNGs, row = R + 256 G + 65536 B."""
        return {
            "number": self.number,
            "truth": png_url(ids_to_rgb(self.truth_rows)),
            "found": png_url(ids_to_rgb(self.found_rows)),
            "outcome": png_url(self.outcome),
            "truthSegments": [_line(s) for s in self.truth],
            "foundSegments": [_line(s) for s in self.found],
        }


def image_frame(
    image: np.ndarray,
    truth: PanopticMap,
    prediction: PanopticMap,
    label_space: LabelSpace,
    *,
    longest: int,
) -> Frame:
    """The layers of an image; things are numbered in their class, the largest first.

    Args:
      image: [H, W, 3] uint8 RGB.
      truth: ids [H, W] int.
      prediction: ids [H, W] int.
      label_space: of both.
      longest: larger images are scaled to this long side, pixels.
    Raises:
      ValueError: sizes differ, or a map is inconsistent.
    """
    truth_named = (
        truth,
        numbered_names(truth, label_space),
        segment_colors(truth, label_space),
    )
    found_named = (
        prediction,
        numbered_names(prediction, label_space),
        segment_colors(prediction, label_space, reference=truth),
    )
    return _frame(
        image, truth_named, found_named, label_space, longest=longest, number=0
    )


def video_frame(
    image: np.ndarray,
    truth: PanopticMap,
    prediction: PanopticMap,
    label_space: LabelSpace,
    *,
    longest: int,
    number: int,
) -> Frame:
    """The layers of a frame: as `image_frame`, named and coloured by track numbers.

    Args:
      image: [H, W, 3] uint8 RGB.
      truth: ids [H, W] int, track numbers in `Segment.instance`.
      prediction: likewise.
      label_space: of both.
      longest: larger frames are scaled to this long side, pixels.
      number: of the frame in its video.
    Raises:
      ValueError: sizes differ, or a map is inconsistent.
    """
    truth_named, found_named = (
        (m, track_names(m, label_space), track_colors(m, label_space))
        for m in (truth, prediction)
    )
    return _frame(
        image, truth_named, found_named, label_space, longest=longest, number=number
    )


def numbered_names(panoptic: PanopticMap, label_space: LabelSpace) -> dict[int, str]:
    """Segment id -> class, of things with a number in it: the largest has 1."""
    sizes = panoptic.areas
    order = sorted(panoptic.segments, key=lambda s: (-sizes.get(s.id, 0), s.id))
    counts: dict[int, int] = {}
    names = {}
    for segment in order:
        semantic = label_space.semantic_of[segment.category_id]
        name = label_space.names()[semantic]
        if segment.is_crowd:
            name = f"{name} (crowd)"
        elif label_space.is_thing[semantic]:
            counts[semantic] = counts.get(semantic, 0) + 1
            name = f"{name} {counts[semantic]}"
        names[segment.id] = name
    return names


def track_names(panoptic: PanopticMap, label_space: LabelSpace) -> dict[int, str]:
    """Segment id -> class, of a track with its number."""
    return {
        segment_id: track_name(label_space, semantic, number)
        for segment_id, (semantic, number) in tracks_in(panoptic, label_space).items()
    }


_Named = tuple[PanopticMap, Mapping[int, str], Mapping[int, Color]]


def _frame(
    image: np.ndarray,
    truth: _Named,
    found: _Named,
    label_space: LabelSpace,
    *,
    longest: int,
    number: int,
) -> Frame:
    check_image(image, truth[0])
    errors = error_map(truth[0], found[0], Categories.of(label_space))
    height, width = image.shape[:2]
    factor = min(1.0, longest / max(height, width))
    size = max(1, round(factor * height)), max(1, round(factor * width))
    return Frame(
        photo=resize_photo(image, size),
        truth_rows=resize_nearest(errors.truth_rows, size),
        found_rows=resize_nearest(errors.found_rows, size),
        outcome=resize_nearest(errors.outcome, size),
        truth=_shown(*truth, errors.truth),
        found=_shown(*found, errors.found),
        number=number,
    )


def _shown(
    panoptic: PanopticMap,
    names: Mapping[int, str],
    colors: Mapping[int, Color],
    verdicts: tuple[Verdict, ...],
) -> tuple[ShownSegment, ...]:
    return tuple(
        ShownSegment(
            # A segment without a pixel has neither, and is never hovered.
            name=names.get(segment.id, ""),
            color=colors.get(segment.id, (0, 0, 0)),
            pixels=panoptic.areas.get(segment.id, 0),
            verdict=verdict,
        )
        for segment, verdict in zip(panoptic.segments, verdicts, strict=True)
    )


def _line(segment: ShownSegment) -> list[Any]:
    iou = segment.verdict.iou
    color = "#{:02x}{:02x}{:02x}".format(*segment.color)
    outcome = segment.verdict.outcome
    return [segment.name, color, outcome, None if iou is None else round(iou, 3)]
