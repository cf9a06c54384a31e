"""What is found in one image or frame."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pix2seq_d.inference import certainty
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import describe_segments
from pix2seq_d.result_files import ResultWriter
from pix2seq_d.visualize.overlay import overlay
from pix2seq_d.visualize.track_video import draw_tracks


@dataclasses.dataclass(frozen=True)
class FoundSegment:
    """One segment of a result.

    Attributes:
      id: of its pixels in the panoptic map.
      category_id: of its class in the label space.
      name: of its class.
      is_thing: whether the class is countable.
      instance: number of the thing, in a video of its track; 0 for stuff.
      area: pixels.
      bbox: (left, top, width, height) in pixels.
      centroid: (x, y), the mean of its pixels' middles, in pixels.
      confidence: mean certainty of its pixels in [0, 1] (`inference.certainty`), which
        ranks segments but is no calibrated probability; None where it is not known.
    """

    id: int
    category_id: int
    name: str
    is_thing: bool
    instance: int
    area: int
    bbox: tuple[int, int, int, int]
    centroid: tuple[float, float]
    confidence: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The panoptic map of an image or frame.

    Attributes:
      image: [H, W, 3] uint8 RGB, as it was given.
      panoptic: the map; every thing's `instance` is its number.
      label_space: the classes.
      frame: number of the frame in its video, from 0; None for an image.
      steps: sampler steps that were taken.
      certainty: [H, W] float32 in [0, 1], how sure each pixel is; None in a video.
    """

    image: np.ndarray
    panoptic: PanopticMap
    label_space: LabelSpace
    frame: int | None = None
    steps: int = 0
    certainty: np.ndarray | None = None

    @functools.cached_property
    def semantic(self) -> np.ndarray:
        """[H, W] int32 category ids of the label space, its `void_id` for void."""
        return self._of_segments(
            {s.id: s.category_id for s in self.panoptic.segments},
            void=self.label_space.void_id,
        )

    @functools.cached_property
    def instance(self) -> np.ndarray:
        """[H, W] int32 numbers of things, 0 elsewhere."""
        return self._of_segments({s.id: s.instance for s in self.segments})

    @functools.cached_property
    def segments_info(self) -> list[dict[str, Any]]:
        """As COCO panoptic files have it; `score` is the confidence if it is known."""
        infos = describe_segments(self.panoptic, self.label_space)
        if self.certainty is not None and infos:
            ids = np.array([info["id"] for info in infos], np.int64)
            found = certainty.of_segments(self.panoptic.ids, self.certainty, ids)
            for info, score in zip(infos, found.tolist(), strict=True):
                info["score"] = score
        return infos

    @functools.cached_property
    def segments(self) -> tuple[FoundSegment, ...]:
        """All segments, the largest first."""
        names = {c.id: c.name for c in self.label_space.categories}
        numbers = {s.id: s.instance or 0 for s in self.panoptic.segments}
        segments = [
            FoundSegment(
                id=info["id"],
                category_id=info["category_id"],
                name=names[info["category_id"]],
                is_thing=bool(info["isthing"]),
                instance=numbers[info["id"]] if info["isthing"] else 0,
                area=info["area"],
                bbox=tuple(info["bbox"]),
                centroid=self._centroid(info["id"], info["bbox"]),
                confidence=info.get("score"),
            )
            for info in self.segments_info
        ]
        return tuple(sorted(segments, key=lambda s: (-s.area, s.id)))

    def overlay(self) -> np.ndarray:
        """The image with outlines, names and legend: uint8 [H', W', 3].

        Of a video: with tags that bear the tracks' numbers, in the tracks' colours.
        """
        if self.frame is not None:
            return draw_tracks(self.image, self.panoptic, self.label_space)
        return overlay(self.image, self.panoptic, self.label_space)

    def save(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        formats: Sequence[str] = ("panoptic", "overlay"),
    ) -> Path:
        """Writes the files of `result_files.ResultWriter` into <folder>/<name>.

        A folder for each result: many of them do not disturb one another. For folders
        of images and whole videos `launch.predict` makes one JSON.

        Args:
          folder: made if absent.
          name: of its folder there and of its files; None: the frame's number,
            `00012`, or `image`.
          formats: of `result_files.FORMATS`.
        Returns:
          Its folder.
        Raises:
          ValueError: an unknown format, or ids that a format cannot hold.
        """
        if name is None:
            name = "image" if self.frame is None else f"{self.frame:05d}"
        own = Path(folder) / name
        with ResultWriter(own, self.label_space, formats=formats) as writer:
            writer.write(self, image_id=1, file_name=f"{name}.png")
        return own

    def __repr__(self) -> str:
        height, width = self.panoptic.ids.shape
        counts: dict[str, int] = {}
        for segment in self.segments:
            counts[segment.name] = counts.get(segment.name, 0) + 1
        parts = [name if n == 1 else f"{n} {name}" for name, n in counts.items()]
        return f"Result({width} x {height} px: {', '.join(parts) or 'nothing found'})"

    def _of_segments(self, values: dict[int, int], *, void: int = 0) -> np.ndarray:
        ids = np.array([0, *values], np.int64)
        order = np.argsort(ids)
        found = np.array([void, *values.values()], np.int32)[order]
        return found[np.searchsorted(ids[order], self.panoptic.ids)]

    def _centroid(self, segment_id: int, bbox: Sequence[int]) -> tuple[float, float]:
        left, top, width, height = bbox
        box = self.panoptic.ids[top : top + height, left : left + width]
        mask = box == segment_id
        columns, rows = mask.sum(axis=0), mask.sum(axis=1)
        x = columns @ np.arange(width) / columns.sum() + left + 0.5
        y = rows @ np.arange(height) / rows.sum() + top + 0.5
        return float(x), float(y)
