"""Scenes in motion: what moves how, and the scene of any frame."""

import dataclasses
import math

import numpy as np

from pix2seq_d.data.scene import Border, Scene, Thing
from pix2seq_d.data.scene_draw import draw_scene

_SPEED = 0.05  # unit squares a frame, the fastest start
_ACCELERATION = 0.003  # of half of the things, unit squares a frame and frame
_SPIN = 0.12  # radians a frame
_PAN = 0.012  # unit squares a frame, of half of the shots
_CUT_SHARE = 0.2  # share of videos that are cut to another scene


@dataclasses.dataclass(frozen=True)
class Motion:
    """How a thing moves; per frame, in unit squares and radians.

    Attributes:
      velocity: (x, y) at the frame of the drawn scene.
      acceleration: (x, y).
      spin: change of the angle.
    """

    velocity: tuple[float, float]
    acceleration: tuple[float, float] = (0.0, 0.0)
    spin: float = 0.0


@dataclasses.dataclass(frozen=True)
class Shot:
    """Frames between two cuts.

    Attributes:
      start: first frame.
      stop: the frame after the last.
      scene: as it is at frame `still`.
      still: a frame of the shot, so that things enter before and leave after it.
      motions: of the scene's things.
      pan: how far the camera turns to the right, a frame.
    """

    start: int
    stop: int
    scene: Scene
    still: int
    motions: tuple[Motion, ...]
    pan: float = 0.0


def scene_at(shot: Shot, frame: int) -> Scene:
    """The scene of a frame; things keep their place, colours and order in depth.

    A thing may be out of the picture, and come back. The smudge is on the lens, and
    the texture of the ground is the picture's, not the world's: neither pans.
    """
    t = frame - shot.still
    shift = -shot.pan * t
    moved = zip(shot.scene.things, shot.motions, strict=True)
    return dataclasses.replace(
        shot.scene,
        border=_panned(shot.scene.border, -shift),
        things=tuple(_moved(thing, motion, t, shift) for thing, motion in moved),
        noise_seed=shot.scene.noise_seed + frame,
    )


def draw_shots(rng: np.random.Generator, num_frames: int) -> tuple[Shot, ...]:
    """Draws a video: one shot, or two with a cut between them.

    Every shot is a scene of `draw_scene` at one of its frames. Half of the things
    fly straight, half are accelerated; half of the shots pan.
    """
    cut = num_frames
    if num_frames > 3 and rng.random() < _CUT_SHARE:
        cut = int(rng.integers(num_frames // 3, num_frames - num_frames // 3 + 1))
    spans = [(0, cut), (cut, num_frames)] if cut < num_frames else [(0, num_frames)]
    return tuple(_draw_shot(rng, start, stop) for start, stop in spans)


def _draw_shot(rng: np.random.Generator, start: int, stop: int) -> Shot:
    scene = draw_scene(rng)
    u = rng.random(3).tolist()
    return Shot(
        start=start,
        stop=stop,
        scene=scene,
        still=start + int(u[0] * (stop - start)),
        motions=tuple(_draw_motion(rng) for _ in scene.things),
        pan=_PAN * (2 * u[1] - 1) if u[2] < 0.5 else 0.0,
    )


def _draw_motion(rng: np.random.Generator) -> Motion:
    u = rng.random(6).tolist()
    speed, way = _SPEED * u[0], 2 * math.pi * u[1]
    push = _ACCELERATION * u[2] if u[3] < 0.5 else 0.0
    turn = 2 * math.pi * u[4]
    return Motion(
        velocity=(speed * math.cos(way), speed * math.sin(way)),
        acceleration=(push * math.cos(turn), push * math.sin(turn)),
        spin=_SPIN * (2 * u[5] - 1),
    )


def _moved(thing: Thing, motion: Motion, t: int, shift: float) -> Thing:
    x, y = (
        c + v * t + a * t * t / 2
        for c, v, a in zip(
            thing.center, motion.velocity, motion.acceleration, strict=True
        )
    )
    return dataclasses.replace(
        thing, center=(x + shift, y), angle=thing.angle + motion.spin * t
    )


def _panned(border: Border, right: float) -> Border:
    """The border seen from `right` further to the right: y(x + right)."""
    return dataclasses.replace(
        border,
        height=border.height + border.tilt * right + border.bend * right**2,
        tilt=border.tilt + 2 * border.bend * right,
        phase=border.phase + border.frequency * right,
    )
