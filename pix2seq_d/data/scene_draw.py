"""Random scenes: what `Shapes` shows, drawn from a random generator alone."""

import colorsys
import math

import numpy as np

from pix2seq_d.data.scene import (
    GROUND_KINDS,
    THING_KINDS,
    Border,
    Color,
    Scene,
    Smudge,
    Stuff,
    Thing,
    pixel_centers,
    smudge_distance,
    thing_distance,
    thing_window,
)

# Colours (far, near): of the sky at the top and at the border, of the ground at
# the border and at the bottom.
_STUFF_COLORS: dict[str, tuple[tuple[Color, Color], ...]] = {
    "sky": (
        ((0.28, 0.50, 0.84), (0.74, 0.86, 0.96)),
        ((0.34, 0.36, 0.62), (0.96, 0.68, 0.50)),
        ((0.56, 0.62, 0.70), (0.84, 0.85, 0.86)),
        ((0.24, 0.55, 0.68), (0.90, 0.90, 0.74)),
    ),
    "grass": (
        ((0.36, 0.54, 0.26), (0.17, 0.38, 0.12)),
        ((0.54, 0.56, 0.28), (0.34, 0.42, 0.13)),
    ),
    "sand": (
        ((0.90, 0.81, 0.62), (0.80, 0.66, 0.42)),
        ((0.80, 0.64, 0.48), (0.68, 0.46, 0.30)),
    ),
    "water": (
        ((0.27, 0.50, 0.62), (0.05, 0.19, 0.36)),
        ((0.22, 0.52, 0.52), (0.04, 0.26, 0.30)),
    ),
}

_SMUDGE_SHARE = 0.1  # share of scenes with a smudge, so with void
_AREA = (0.022, 0.10)  # of a thing, in unit squares, before cropping by the frame
_MIN_VISIBLE = 0.015  # of the unit square, kept clear of the things in front
_MIN_VISIBLE_SHARE = 0.25  # of the thing's own area
_MIN_CONTRAST = 0.36  # Euclidean RGB distance to the stuff and the other things
_REFERENCE_SIZE = (64, 64)  # where visibility is counted


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draws a scene: sky over one ground, 1 to 6 things that can all be seen.

    Things are drawn from front to back; one of which too little would show is
    left out, so every thing of the scene has a visible part of at least 1.5% of
    the picture and a quarter of its own area. Colours do not depend on the kind.
    """
    sky = _draw_stuff(rng, "sky")
    ground = _draw_stuff(rng, GROUND_KINDS[rng.integers(len(GROUND_KINDS))])
    u = rng.random(9).tolist()
    border = Border(
        height=0.34 + 0.32 * u[0],
        tilt=0.5 * (u[1] - 0.5),
        bend=0.9 * (u[2] - 0.5),
        wave=0.05 * u[3],
        frequency=0.6 + 1.4 * u[4],
        phase=u[5],
    )
    smudge = _draw_smudge(rng) if u[6] < _SMUDGE_SHARE else None
    return Scene(
        sky=sky,
        ground=ground,
        border=border,
        things=_draw_things(rng, sky=sky, ground=ground, smudge=smudge),
        smudge=smudge,
        light_angle=math.pi * (0.15 + 0.7 * u[7]),
        light=0.1 + 0.3 * u[8],
        noise=rng.uniform(0.008, 0.03),
        noise_seed=int(rng.integers(2**62)),
    )


def _draw_stuff(rng: np.random.Generator, kind: str) -> Stuff:
    palettes = _STUFF_COLORS[kind]
    far, near = palettes[rng.integers(len(palettes))]
    shift = rng.uniform(-0.05, 0.05, 3)  # common to both, so the hue drifts
    return Stuff(
        kind=kind,
        far=_color(np.add(far, shift)),
        near=_color(np.add(near, shift)),
        texture_seed=int(rng.integers(2**62)),
    )


def _draw_smudge(rng: np.random.Generator) -> Smudge:
    u = rng.random(5).tolist()
    grey = 0.16 + 0.2 * u[4]
    return Smudge(
        center=(u[0], u[1]),
        radius=0.10 + 0.10 * u[2],
        angle=2 * math.pi * u[3],
        color=(grey, 0.95 * grey, 0.88 * grey),
    )


def _draw_things(
    rng: np.random.Generator, *, sky: Stuff, ground: Stuff, smudge: Smudge | None
) -> tuple[Thing, ...]:
    """The things of a scene, from back to front."""
    y, x = pixel_centers(_REFERENCE_SIZE)
    hidden = np.zeros(_REFERENCE_SIZE, bool)
    if smudge is not None:
        hidden |= smudge_distance(smudge, y, x) < 0
    avoid = [_middle(sky), _middle(ground), sky.near, ground.far]
    count = rng.integers(1, 7)
    things: list[Thing] = []
    attempts = 0
    while not things or (len(things) < count and attempts < 2 * count):
        attempts += 1
        thing = _draw_thing(rng, avoid=avoid)
        window = thing_window(thing, _REFERENCE_SIZE, margin=0.0)
        inside = thing_distance(thing, y[window[0]], x[:, window[1]]) < 0
        visible = np.count_nonzero(inside & ~hidden[window]) / hidden.size
        if visible < max(_MIN_VISIBLE, _MIN_VISIBLE_SHARE * thing.size**2):
            continue
        hidden[window] |= inside
        things.append(thing)
        avoid.append(thing.color)
    return tuple(reversed(things))


def _draw_thing(rng: np.random.Generator, *, avoid: list[Color]) -> Thing:
    u = rng.random(7).tolist()
    color = _draw_color(rng, avoid=avoid)
    toward = 0.0 if sum(color) > 1.5 else 1.0  # stripes darken light colours
    return Thing(
        kind=THING_KINDS[rng.integers(len(THING_KINDS))],
        center=(0.08 + 0.84 * u[0], 0.08 + 0.84 * u[1]),
        size=math.sqrt(_AREA[0] * (_AREA[1] / _AREA[0]) ** u[2]),
        angle=2 * math.pi * u[3],
        color=color,
        accent=_color(np.add(color, 0.35 * (toward - np.array(color)))),
        stripes=2.0 + 2.0 * u[4] if u[5] < 0.35 else 0.0,
    )


def _draw_color(rng: np.random.Generator, *, avoid: list[Color]) -> Color:
    """First of 10 random colours that is far from `avoid`, else the farthest."""
    best, best_gap = (0.0, 0.0, 0.0), -1.0
    for hue, saturation, value in rng.random((10, 3)).tolist():
        color = colorsys.hsv_to_rgb(hue, 0.35 + 0.65 * saturation, 0.25 + 0.75 * value)
        gap = min(math.dist(color, other) for other in avoid)
        if gap > best_gap:
            best, best_gap = color, gap
        if gap > _MIN_CONTRAST:
            break
    return best


def _middle(stuff: Stuff) -> Color:
    return _color(np.add(stuff.far, stuff.near) / 2)


def _color(rgb: np.ndarray) -> Color:
    # Python floats: NumPy's would turn float32 pictures into float64.
    red, green, blue = (min(max(c, 0.0), 1.0) for c in rgb.tolist())
    return red, green, blue
