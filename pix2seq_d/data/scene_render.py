"""Scenes to pixels: a shaded, anti-aliased picture and crisp segment ids."""

import dataclasses
import functools
import math

import numpy as np

from pix2seq_d.data.scene import (
    Scene,
    Smudge,
    Stuff,
    Thing,
    pixel_centers,
    smudge_distance,
    thing_distance,
    thing_window,
)

SKY_ID, GROUND_ID, FIRST_THING_ID = 1, 2, 3

_SHADOW_OFFSET = 0.022  # unit squares
_SHADOW_BLUR = 0.02
_SHADOW_DEPTH = 0.42
_WHITE = np.ones((3, 1, 1), np.float32)
_ONE_THREAD = 1 << 18  # multiplications of a product; OpenBLAS takes one thread


def render(scene: Scene, *, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene, back to front; the label of a pixel is that of its centre.

    Args:
      scene: what to draw.
      size: (H, W); the unit square is stretched over it.
    Returns:
      image: [H, W, 3] uint8 RGB, anti-aliased.
      ids: [H, W] int32: 1 sky, 2 ground, 3 + k thing k, 0 void (the smudge).
    """
    y, x = pixel_centers(size)
    # Planes of colour, [3, H, W]: NumPy is faster with long inner axes.
    image, ids = _background(scene, y, x)
    for k, thing in enumerate(scene.things):
        _paint_thing(image, ids, thing, y, x, scene.light_angle, FIRST_THING_ID + k)
    if scene.smudge is not None:
        _paint_smudge(image, ids, scene.smudge, y, x)
    return _expose(image, scene, y, x), ids


def _background(
    scene: Scene, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    border = scene.border.y(x)
    below = y - border  # [H, W]
    slope = np.gradient(border[0]) / (x[0, 1] - x[0, 0]) if x.size > 1 else 0.0
    distance = below / np.sqrt(1 + np.square(slope)).astype(np.float32)
    sky = _sky(scene.sky, below / (border + 0.05))
    ground = _ground(scene.ground, y, x, border, below)
    # A soft dark foot of the horizon on the ground's side.
    ground *= 1 - 0.22 * np.exp(-np.maximum(distance, 0) * 28)
    image = _mix(sky, ground, _coverage(-distance, y))
    return image, np.where(below > 0, GROUND_ID, SKY_ID).astype(np.int32)


def _sky(stuff: Stuff, below: np.ndarray) -> np.ndarray:
    size = below.shape
    rng = np.random.default_rng(stuff.texture_seed)
    clouds = _noise(rng, None, size, 2.5, 6)
    clouds += 0.5 * _noise(rng, None, size, 6, 13)
    clouds += 0.25 * _noise(rng, None, size, 14, 24)
    clouds = _clip(1.1 * clouds - 0.15 + 0.2 * rng.standard_normal())
    image = _mix(_plane(stuff.near), _plane(stuff.far), _clip(-below))
    return _mix(image, 0.5 * _plane(stuff.near) + 0.5 * _WHITE, 0.75 * clouds)


def _ground(
    stuff: Stuff, y: np.ndarray, x: np.ndarray, border: np.ndarray, below: np.ndarray
) -> np.ndarray:
    size = below.shape
    rng = np.random.default_rng(stuff.texture_seed)
    top = border.min()
    # Perspective: texture is finer near the horizon; depth is 0 at its top.
    depth = np.sqrt(np.maximum(y - top, 0) / (1 - top) + np.float32(0.02))
    near = _clip(below / (1.05 - border))
    image = _mix(_plane(stuff.far), _plane(stuff.near), near)
    patches = _noise(rng, depth, size, 5, 4)
    match stuff.kind:
        case "grass":
            blades = _noise(rng, depth, size, 40, 13) + 0.6 * _noise(
                rng, depth, size, 90, 24
            )
            image *= 1 + 0.16 * patches + (0.18 + 0.16 * near) * blades
        case "sand":
            grain = _noise(rng, depth, size, 60, 48)
            dunes = np.sin(70 * depth + 9 * (rng.random() - 0.5) * x + 5 * patches)
            image *= 1 + 0.05 * patches + 0.07 * dunes + 0.10 * grain
        case "water":
            ripples = _noise(rng, depth, size, 7, 26) + 0.6 * _noise(
                rng, depth, size, 14, 44
            )
            image *= 1 + 0.10 * patches + 0.22 * ripples
            glints = _clip(1.3 * ripples - 0.75)
            image = _mix(image, 0.9 * _WHITE, 0.8 * glints)
        case _:
            raise ValueError(f"ground kind {stuff.kind!r}: no texture is known for it")
    return image


def _paint_thing(
    image: np.ndarray,
    ids: np.ndarray,
    thing: Thing,
    y: np.ndarray,
    x: np.ndarray,
    light_angle: float,
    segment_id: int,
) -> None:
    """Adds a thing and its shadow to `image` [3, H, W] and `ids` [H, W], in place."""
    rows, cols = thing_window(
        thing, ids.shape, margin=_SHADOW_OFFSET + 1.5 * _SHADOW_BLUR
    )
    y, x = y[rows], x[:, cols]
    if y.size == 0 or x.size == 0:
        return
    light_x, light_y = math.cos(light_angle), math.sin(light_angle)
    cx, cy = thing.center
    shadow_of = dataclasses.replace(
        thing, center=(cx + _SHADOW_OFFSET * light_x, cy + _SHADOW_OFFSET * light_y)
    )
    distance = thing_distance(thing, y, x)
    shadow_distance = thing_distance(shadow_of, y, x)
    view = image[:, rows, cols]
    shadow = _clip(0.5 - shadow_distance / (2 * _SHADOW_BLUR))
    view *= 1 - _SHADOW_DEPTH * shadow

    body = _plane(thing.color)
    if thing.stripes:
        turn = thing.angle + 0.6
        along = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
        wave = np.sin(along * (2 * math.pi * thing.stripes / thing.size))
        body = _mix(body, _plane(thing.accent), _clip(0.5 + 2 * wave))
    # Directional derivative of the distance = outline normal times light: the
    # rim facing the light is bright, the other one dark.
    normal = (distance - shadow_distance) / _SHADOW_OFFSET
    rim = _clip(1 + distance / (0.12 * thing.size))
    slant = ((x - cx) * light_x + (y - cy) * light_y) / thing.size
    body = np.minimum(body * (1.02 - 0.3 * rim * normal - 0.22 * slant), 1)
    view[:] = _mix(view, body, _coverage(distance, image[0]))
    ids[rows, cols][distance < 0] = segment_id


def _paint_smudge(
    image: np.ndarray, ids: np.ndarray, smudge: Smudge, y: np.ndarray, x: np.ndarray
) -> None:
    distance = smudge_distance(smudge, y, x)
    opacity = _clip(0.5 - distance / 0.05)
    image[:] = _mix(image, _plane(smudge.color), 0.94 * opacity)
    ids[distance < 0] = 0


def _expose(
    image: np.ndarray, scene: Scene, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Light gradient, vignette and sensor noise; [3, H, W] -> [H, W, 3] uint8."""
    dx, dy = x - 0.5, y - 0.5
    light = 1 - scene.light * (
        math.cos(scene.light_angle) * dx + math.sin(scene.light_angle) * dy
    )
    light -= 0.28 * (dx * dx + dy * dy)
    image *= 255 * light
    rng = np.random.default_rng(scene.noise_seed)
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= 255 * scene.noise
    image += noise
    np.clip(image, 0, 255, out=image)
    image += 0.5  # astype rounds down
    return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))


def _noise(
    rng: np.random.Generator,
    depth: np.ndarray | None,
    size: tuple[int, int],
    columns: float,
    rows: float,
) -> np.ndarray:
    """Smooth noise of zero mean and about unit range: splines on a random lattice.

    Args:
      rng: draws the lattice, so the noise is the same at every size.
      depth: [H, 1] float32 in [0, 1.02], height of each row in the texture; None
        spreads the rows evenly.
      size: (H, W).
      columns: cells across.
      rows: cells down.
    Returns:
      [H, W] float32.
    """
    across = _even_weights(columns, size[1])
    if depth is None:
        down = _even_weights(rows, size[0])
    else:
        down = _spline_weights(depth[:, 0] * np.float32(rows), _knots(rows))
    lattice = rng.standard_normal((down.shape[1], across.shape[1]), np.float32)
    return _product(_product(down, lattice), across.T)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b, a block of rows at a time, too small for OpenBLAS to wake threads for.

    They are waited for, long where other threads or programs have the cores.
    """
    rows = max(1, _ONE_THREAD // b.size)
    blocks = [a[k : k + rows] @ b for k in range(0, len(a), rows)]
    return np.concatenate(blocks)


@functools.lru_cache(maxsize=64)
def _even_weights(cells: float, pixels: int) -> np.ndarray:
    """`_spline_weights` of `pixels` pixel centres spread over `cells` cells."""
    position = (np.arange(pixels, dtype=np.float32) + 0.5) * np.float32(cells / pixels)
    return _spline_weights(position, _knots(cells))


def _knots(cells: float) -> int:
    return math.ceil(1.02 * cells) + 3


def _spline_weights(position: np.ndarray, n: int) -> np.ndarray:
    """Cubic B-spline weights [len(position), n] of knots -1, 0, ..., n - 2."""
    t = np.abs(position[:, None] - np.arange(-1, n - 1, dtype=np.float32))
    outer = np.maximum(2 - t, 0)
    inner = np.maximum(1 - t, 0)
    # The B-spline as a difference of cubes; 1.5 brings the noise to unit range.
    return (outer * outer * outer - 4 * inner * inner * inner) * np.float32(1.5 / 6)


def _coverage(distance: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Share of a pixel inside an outline at signed `distance`, [H, W] float32."""
    return _clip(0.5 - distance * len(like))


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(1 - weight) a + weight b."""
    return a + weight * (b - a)


def _clip(a: np.ndarray) -> np.ndarray:
    """A float array cut to [0, 1]; much faster than np.clip on small arrays."""
    return np.minimum(np.maximum(a, 0), 1)


def _plane(color: tuple[float, float, float]) -> np.ndarray:
    return np.array(color, np.float32)[:, None, None]
