"""Toy scenes as data: two stuff regions, things in depth order, an optional smudge.

Coordinates are those of the unit square, x to the right and y downwards, so one
scene can be rendered at any size; a video is the same scene with moved things.
"""

import dataclasses
import math

import numpy as np

GROUND_KINDS = ("grass", "sand", "water")
STUFF_KINDS = ("sky", *GROUND_KINDS)
# Radius of the circle around each thing, for area 1.
THING_RADIUS = {
    "disc": 0.5642,
    "square": 0.7072,
    "triangle": 0.8774,
    "ring": 0.6394,
    "bar": 1.1430,
}
THING_KINDS = tuple(THING_RADIUS)

Color = tuple[float, float, float]  # RGB in [0, 1]


@dataclasses.dataclass(frozen=True)
class Stuff:
    """A background region: its kind, its colours and the seed of its texture.

    Attributes:
      kind: one of `STUFF_KINDS`.
      far: colour at the top (sky) or at the border (ground).
      near: colour at the border (sky) or at the bottom (ground).
      texture_seed: seed of the texture lattice.
    """

    kind: str
    far: Color
    near: Color
    texture_seed: int


@dataclasses.dataclass(frozen=True)
class Border:
    """Line between sky and ground.

    y(x) = height + tilt (x - 1/2) + bend (x - 1/2)^2
           + wave sin(2 pi (frequency x + phase)).
    """

    height: float
    tilt: float = 0.0
    bend: float = 0.0
    wave: float = 0.0
    frequency: float = 1.0
    phase: float = 0.0

    def y(self, x: np.ndarray) -> np.ndarray:
        """Height of the border at each x; same shape and dtype as x."""
        centered = x - 0.5
        ripple = np.sin(2 * np.pi * (self.frequency * x + self.phase))
        return (
            self.height
            + self.tilt * centered
            + self.bend * centered**2
            + self.wave * ripple
        )


@dataclasses.dataclass(frozen=True)
class Thing:
    """A flat solid with a lit rim.

    Attributes:
      kind: one of `THING_KINDS`.
      center: (x, y) in the unit square.
      size: square root of the area; every kind of one size covers as much.
      angle: rotation in radians, clockwise on the picture.
      color: body colour.
      accent: colour of the stripes.
      stripes: stripes per `size`; 0 paints the body plain.
    """

    kind: str
    center: tuple[float, float]
    size: float
    angle: float = 0.0
    color: Color = (0.8, 0.2, 0.2)
    accent: Color = (0.6, 0.1, 0.1)
    stripes: float = 0.0


@dataclasses.dataclass(frozen=True)
class Smudge:
    """Dirt on the lens, in front of everything and labelled void."""

    center: tuple[float, float]
    radius: float
    angle: float
    color: Color


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything there is to draw.

    Attributes:
      sky: region above the border, segment id 1.
      ground: region below the border, segment id 2.
      border: line between them.
      things: from back to front; thing k has segment id 3 + k.
      smudge: void patch, if any.
      light_angle: direction the light goes, radians in the picture plane.
      light: relative change of brightness across the picture.
      noise: standard deviation of the sensor noise, in [0, 1] colour units.
      noise_seed: seed of the sensor noise.
    """

    sky: Stuff
    ground: Stuff
    border: Border
    things: tuple[Thing, ...]
    smudge: Smudge | None = None
    light_angle: float = 0.8
    light: float = 0.2
    noise: float = 0.015
    noise_seed: int = 0


def pixel_centers(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres of an [H, W] picture: y [H, 1] and x [1, W] float32 in (0, 1)."""
    height, width = size
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    return y[:, None], x[None, :]


def thing_distance(thing: Thing, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Signed distance to a thing's outline, negative inside (ours).

    Exact inside the outline; outside, corners are sharp instead of round.

    Args:
      thing: the thing.
      y: [h, 1] float32.
      x: [1, w] float32.
    Returns:
      [h, w] float32 in units of the unit square.
    Raises:
      ValueError: unknown kind.
    """
    cos, sin = math.cos(thing.angle) / thing.size, math.sin(thing.angle) / thing.size
    dx, dy = x - thing.center[0], y - thing.center[1]
    u = cos * dx + sin * dy
    v = cos * dy - sin * dx
    match thing.kind:  # each has area 1
        case "disc":
            distance = np.sqrt(u * u + v * v) - 0.5642
        case "square":
            distance = np.maximum(np.abs(u), np.abs(v)) - 0.5
        case "triangle":
            distance = np.maximum(v, 0.8660 * np.abs(u) - 0.5 * v) - 0.4387
        case "ring":
            distance = np.abs(np.sqrt(u * u + v * v) - 0.4702) - 0.1692
        case "bar":
            beyond = np.maximum(np.abs(u) - 0.9144, 0)
            distance = np.sqrt(beyond * beyond + v * v) - 0.2286
        case _:
            raise ValueError(f"thing kind {thing.kind!r}: must be one of {THING_KINDS}")
    return distance * thing.size


def smudge_distance(smudge: Smudge, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rough signed distance to a smudge's lobed outline; shapes as `thing_distance`."""
    dx, dy = x - smudge.center[0], y - smudge.center[1]
    around = np.arctan2(dy, dx) + smudge.angle
    lobes = 1 + 0.16 * np.sin(2 * around) + 0.08 * np.sin(5 * around + 1)
    return np.sqrt(dx * dx + dy * dy) - smudge.radius * lobes


def thing_window(
    thing: Thing, size: tuple[int, int], *, margin: float
) -> tuple[slice, slice]:
    """Rows and columns that hold a thing and `margin` (unit square) around it."""
    radius = thing.size * THING_RADIUS[thing.kind] + margin
    spans = []
    for center, n in zip(thing.center[::-1], size, strict=True):
        low = max(0, math.floor((center - radius) * n))
        high = max(low, min(n, math.ceil((center + radius) * n)))
        spans.append(slice(low, high))
    return spans[0], spans[1]
