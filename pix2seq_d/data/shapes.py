"""The embedded dataset: panoptic toy scenes computed from (seed, split, index)."""

from collections.abc import Collection, Sequence

import numpy as np

from pix2seq_d.data.scene import STUFF_KINDS, THING_KINDS, Scene
from pix2seq_d.data.scene_draw import draw_scene
from pix2seq_d.data.scene_render import FIRST_THING_ID, GROUND_ID, SKY_ID, render
from pix2seq_d.data.source import DecodedExample
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

# split: (first word of the seed, default number of examples)
_SPLITS = {"train": (1, 50_000), "val": (2, 1_000)}

# Hues after Paul Tol's "muted" and "bright" schemes, moved until any two are at least
# 0.11 apart in OKLab for colour-blind readers, too.
_COLORS = {
    "sky": (136, 204, 238),
    "grass": (0, 112, 0),
    "sand": (221, 204, 119),
    "water": (33, 27, 167),
    "disc": (208, 43, 90),
    "square": (238, 119, 51),
    "triangle": (158, 77, 161),
    "ring": (238, 238, 238),
    "bar": (66, 177, 160),
}

LABEL_SPACE = LabelSpace(
    tuple(
        Category(id=k, name=name, is_thing=name in THING_KINDS, color=_COLORS[name])
        for k, name in enumerate((*STUFF_KINDS, *THING_KINDS), start=1)
    )
)
_CATEGORY_ID = {c.name: c.id for c in LABEL_SPACE.categories}


class Shapes:
    """Toy panoptic scenes, drawn on the fly; implements `Source`.

    9 categories (4 stuff, 5 things) and at most 8 segments, so semantic and
    instance ids fit 4 bits each. A scene depends on nothing but the split, the
    index and, for `train`, the seed; splits never share a random stream.

    Args:
      split: 'train', or 'val', which is the same for every seed.
      size: (H, W) of the pictures; the scenes do not depend on it.
      num_examples: number of examples; None means 50 000 (train), 1 000 (val).
      seed: which training set, >= 0.
    Raises:
      ValueError: unknown split, or a bad size, number or seed.
    Source: ours.
    """

    label_space: LabelSpace = LABEL_SPACE

    def __init__(
        self,
        split: str = "train",
        *,
        size: tuple[int, int] = (64, 64),
        num_examples: int | None = None,
        seed: int = 0,
    ) -> None:
        check_split_and_size(split, size, _SPLITS)
        if num_examples is not None and num_examples < 1:
            raise ValueError(f"num_examples {num_examples}: must be at least 1")
        if seed < 0:
            raise ValueError(f"seed {seed}: must be 0 or more")
        self.split = split
        self.size = (int(size[0]), int(size[1]))
        self.seed = seed
        self._stream, default = _SPLITS[split]
        self._num_examples = default if num_examples is None else num_examples

    def __len__(self) -> int:
        return self._num_examples

    def scene(self, index: int) -> Scene:
        """The scene of an example, before rendering.

        Raises:
          IndexError: index outside [0, len(self)).
        """
        if not 0 <= index < len(self):
            raise IndexError(f"index {index}: {self.split} has {len(self)} examples")
        seed = self.seed if self.split == "train" else 0
        entropy = np.random.SeedSequence([self._stream, seed, int(index)])
        return draw_scene(np.random.Generator(np.random.PCG64(entropy)))

    def __getitem__(self, index: int) -> DecodedExample:
        scene = self.scene(index)
        image, ids = render(scene, size=self.size)
        return DecodedExample(
            image_id=int(index),
            file_name=f"shapes_{self.split}_{index:06d}.png",
            image=image,
            panoptic=PanopticMap(ids, scene_segments(scene, ids)),
        )


def check_split_and_size(
    split: str, size: Sequence[int], splits: Collection[str]
) -> None:
    """Raises ValueError where the split is unknown or the size no (H, W) from 2 on."""
    if split not in splits:
        raise ValueError(f"split {split!r}: must be one of {sorted(splits)}")
    if len(size) != 2 or min(size) < 2:
        raise ValueError(f"size {size}: give (height, width), both at least 2")


def scene_segments(scene: Scene, ids: np.ndarray) -> tuple[Segment, ...]:
    """Segments of the ids ([H, W] int32) that `render` made of a scene.

    At very small sizes a thing can miss every pixel centre; it has no segment.
    """
    kinds = {SKY_ID: scene.sky.kind, GROUND_ID: scene.ground.kind}
    kinds |= {FIRST_THING_ID + k: thing.kind for k, thing in enumerate(scene.things)}
    present = np.bincount(ids.ravel(), minlength=FIRST_THING_ID + len(scene.things))
    return tuple(
        Segment(id=i, category_id=_CATEGORY_ID[kind])
        for i, kind in kinds.items()
        if present[i]
    )
