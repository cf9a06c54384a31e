"""The embedded videos: the toy scenes in motion, computed from (seed, split, index)."""

import functools

import numpy as np

from pix2seq_d.data.scene_motion import Shot, draw_shots, scene_at
from pix2seq_d.data.scene_render import FIRST_THING_ID, GROUND_ID, SKY_ID, render
from pix2seq_d.data.shapes import LABEL_SPACE, check_split_and_size, scene_segments
from pix2seq_d.data.source import DecodedExample, Video
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

# split: (first word of the seed, default number of videos); apart from `Shapes`.
_SPLITS = {"train": (3, 2_000), "val": (4, 40)}

NUM_FRAMES = 24
# Segment ids of a video: stuff has its category's, things count on through cuts.
_FIRST_TRACK = 1 + sum(not c.is_thing for c in LABEL_SPACE.categories)


class ShapesVideo:
    """Toy panoptic videos, drawn on the fly; implements `VideoSource`.

    Things fly straight or accelerated, cross, hide one another, enter, leave and
    come back; the camera may pan, and a fifth of the videos has a cut. A thing keeps
    its segment id, and its `instance` number from 1 on, through all of that. A video
    depends on nothing but the split, its index and, for `train`, the seed.

    Args:
      split: 'train', or 'val', which is the same for every seed.
      size: (H, W) of the frames; the scenes do not depend on it.
      num_videos: number of videos; None means 2 000 (train), 40 (val).
      num_frames: of every video.
      seed: which training set, >= 0.
    Attributes:
      videos: names and frames.
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
        num_videos: int | None = None,
        num_frames: int = NUM_FRAMES,
        seed: int = 0,
    ) -> None:
        check_split_and_size(split, size, _SPLITS)
        self._stream, default = _SPLITS[split]
        count = default if num_videos is None else num_videos
        if min(count, num_frames) < 1 or seed < 0:
            raise ValueError(
                f"num_videos {count}, num_frames {num_frames}, seed {seed}: must be at "
                "least 1, 1 and 0"
            )
        self.split, self.seed = split, seed
        self.size = (int(size[0]), int(size[1]))
        self.num_frames = num_frames
        self.videos = tuple(
            Video(f"shapes_{split}_{k:04d}", k * num_frames, (k + 1) * num_frames)
            for k in range(count)
        )

    def __len__(self) -> int:
        return len(self.videos) * self.num_frames

    def shots(self, video: int) -> tuple[Shot, ...]:
        """The shots of a video, before rendering."""
        seed = self.seed if self.split == "train" else 0
        return _shots(self._stream, seed, video, self.num_frames)

    def __getitem__(self, index: int) -> DecodedExample:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index}: {self.split} has {len(self)} frames")
        video, frame = divmod(int(index), self.num_frames)
        shots = self.shots(video)
        number = next(k for k, shot in enumerate(shots) if frame < shot.stop)
        scene = scene_at(shots[number], frame)
        image, ids = render(scene, size=self.size)
        segments = scene_segments(scene, ids)
        category = {s.id: s.category_id for s in segments}
        earlier = sum(len(shot.scene.things) for shot in shots[:number])
        id_of = np.zeros(FIRST_THING_ID + len(scene.things), np.int32)
        for stuff in (SKY_ID, GROUND_ID):
            id_of[stuff] = category.get(stuff, 0)
        id_of[FIRST_THING_ID:] = np.arange(len(scene.things)) + _FIRST_TRACK + earlier
        made = [
            Segment(
                id=int(id_of[s.id]),
                category_id=s.category_id,
                instance=max(0, int(id_of[s.id]) - _FIRST_TRACK + 1),
            )
            for s in segments
        ]
        return DecodedExample(
            image_id=int(index),
            file_name=f"{self.videos[video].name}/{frame:05d}.png",
            image=image,
            panoptic=PanopticMap(id_of[ids], tuple(made)),
        )


@functools.lru_cache(maxsize=64)
def _shots(stream: int, seed: int, video: int, num_frames: int) -> tuple[Shot, ...]:
    entropy = np.random.SeedSequence([stream, seed, video])
    return draw_shots(np.random.Generator(np.random.PCG64(entropy)), num_frames)
