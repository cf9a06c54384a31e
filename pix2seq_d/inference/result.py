"""What is found in one image or frame."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
from PIL import Image

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import PanopticWriter, describe_segments
from pix2seq_d.visualize.overlay import overlay


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
    """

    id: int
    category_id: int
    name: str
    is_thing: bool
    instance: int
    area: int
    bbox: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The panoptic map of an image or frame.

    Attributes:
      image: [H, W, 3] uint8 RGB, as it was given.
      panoptic: the map; every thing's `instance` is its number.
      label_space: the classes.
      frame: number of the frame in its video, from 0; 0 for an image.
      steps: sampler steps that were taken.
    """

    image: np.ndarray
    panoptic: PanopticMap
    label_space: LabelSpace
    frame: int = 0
    steps: int = 0

    @functools.cached_property
    def semantic(self) -> np.ndarray:
        """[H, W] int32 category ids of the label space, 0 for void."""
        return self._of_segments({s.id: s.category_id for s in self.panoptic.segments})

    @functools.cached_property
    def instance(self) -> np.ndarray:
        """[H, W] int32 numbers of things, 0 elsewhere."""
        return self._of_segments({s.id: s.instance for s in self.segments})

    @functools.cached_property
    def segments(self) -> tuple[FoundSegment, ...]:
        """All segments, the largest first."""
        names = {c.id: c.name for c in self.label_space.categories}
        numbers = {s.id: s.instance or 0 for s in self.panoptic.segments}
        found = [
            FoundSegment(
                id=info["id"],
                category_id=info["category_id"],
                name=names[info["category_id"]],
                is_thing=bool(info["isthing"]),
                instance=numbers[info["id"]] if info["isthing"] else 0,
                area=info["area"],
                bbox=tuple(info["bbox"]),
            )
            for info in describe_segments(self.panoptic, self.label_space)
        ]
        return tuple(sorted(found, key=lambda s: (-s.area, s.id)))

    def overlay(self) -> np.ndarray:
        """The image with outlines, names and legend: uint8 [H', W', 3]."""
        return overlay(self.image, self.panoptic, self.label_space)

    def save(self, folder: str | Path, *, name: str | None = None) -> Path:
        """Writes <name>/panoptic.json, <name>/panoptic/*.png and <name>/overlay.png.

        A folder for each result: many of them do not disturb one another. For whole
        videos `launch.predict` makes one JSON.

        Args:
          folder: made if absent.
          name: of its folder there and of the PNG; None: the frame's number, `00012`.
        Returns:
          The JSON's path.
        """
        name = f"{self.frame:05d}" if name is None else name
        own = Path(folder) / name
        own.mkdir(parents=True, exist_ok=True)
        with PanopticWriter(own, self.label_space) as writer:
            writer.write(self.panoptic, image_id=1, file_name=f"{name}.png")
        Image.fromarray(self.overlay()).save(own / "overlay.png")
        return own / "panoptic.json"

    def __repr__(self) -> str:
        height, width = self.panoptic.ids.shape
        counts: dict[str, int] = {}
        for segment in self.segments:
            counts[segment.name] = counts.get(segment.name, 0) + 1
        parts = [name if n == 1 else f"{n} {name}" for name, n in counts.items()]
        return f"Result({width} x {height} px: {', '.join(parts) or 'nothing found'})"

    def _of_segments(self, values: dict[int, int]) -> np.ndarray:
        ids = np.array([0, *values], np.int64)
        order = np.argsort(ids)
        found = np.array([0, *values.values()], np.int32)[order]
        return found[np.searchsorted(ids[order], self.panoptic.ids)]
