"""Segment colours: stuff in its class colour, things in shades that tell apart."""

import functools

import numpy as np
from scipy import ndimage

from pix2seq_d import color_vision
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.palette import Color
from pix2seq_d.panoptic import PanopticMap, resize_nearest

# Lightness is what readers with any vision see.
_LIGHTNESS_STEP = 0.04  # OKLab, twice what can just be noticed
_RANGE = (0.28, 0.97)  # from the dark of void to paper
NUM_SHADES = 5


@functools.cache
def shades_of(color: Color) -> tuple[Color, ...]:
    """The colour and `NUM_SHADES` - 1 of its hue, apart in lightness (OKLab).

    Steps of 0.04, two up and two down where sRGB has them, else more to the other
    side; those in a row are two steps or more apart where that can be. Most are
    nearer to their class than to any other, with colour blindness, too; among 10
    `distinct_colors` 85 % or more, among those of `shapes` 77 %.

    Source: ours.
    """
    lightness = color_vision.seen(np.array(color))[0, 0]
    lightness = float(np.clip(lightness, *_RANGE))
    room = lightness - _RANGE[0], _RANGE[1] - lightness
    down, up = (min(2, int(r / _LIGHTNESS_STEP + 1e-6)) for r in room)
    if down < 2:
        up = NUM_SHADES - 1 - down
    down = NUM_SHADES - 1 - up
    left, made = [step for step in range(-down, up + 1) if step], [0]
    while left:
        step = max(left, key=lambda k: (min(abs(k - old) for old in made), k))
        made.append(step)
        left.remove(step)
    result = [color]
    for step in made[1:]:
        target = lightness + step * _LIGHTNESS_STEP
        red, green, blue = color_vision.with_lightness(np.array(color), target).tolist()
        result.append((red, green, blue))
    return tuple(result)


def shade(color: Color, index: int) -> Color:
    """Shade number `index` (modulo `NUM_SHADES`) of a colour; shade 0 is the colour."""
    return shades_of(color)[index % NUM_SHADES]


def contrasting(color: Color) -> Color:
    """White, or black where white has a contrast below 3 (WCAG 2.1, 1.4.11)."""
    is_bright = 1.05 / (color_vision.luminance(np.array(color)) + 0.05) < 3
    return (0, 0, 0) if is_bright else (255, 255, 255)


def segment_semantics(
    panoptic: PanopticMap, label_space: LabelSpace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which segments a map shows, their classes, and the segment of each pixel.

    Args:
      panoptic: ids [H, W] int, 0 = void.
      label_space: the categories.
    Returns:
      present: [N] int, ids in the map, ascending, void included if it occurs.
      semantic: [N] int32, semantic id of each, 0 for void.
      index: [H, W] int, position in `present` of each pixel's id.
    Raises:
      ValueError: an id without a segment, or an unknown category.
    """
    categories = {VOID: 0} | {s.id: s.category_id for s in panoptic.segments}
    # Much faster on large photos than np.unique, which sorts the pixels.
    known = np.array(sorted(categories))
    index = np.searchsorted(known, panoptic.ids)
    index = np.minimum(index, len(known) - 1)
    wrong = known[index] != panoptic.ids
    if wrong.any():
        raise ValueError(
            f"id {panoptic.ids[wrong][0]} of the map is not among its segments; add "
            "a Segment"
        )
    occurs = np.bincount(index.ravel(), minlength=len(known)) > 0
    present, index = known[occurs], (np.cumsum(occurs) - 1)[index]
    semantic = np.zeros(len(present), np.int32)
    for row, segment_id in enumerate(present.tolist()):
        if segment_id == VOID:
            continue
        category = categories[segment_id]
        if category not in label_space.semantic_of:
            raise ValueError(
                f"segment {segment_id} has category id {category}, which the label "
                "space lacks; use the label space of the data"
            )
        semantic[row] = label_space.semantic_of[category]
    return present, semantic, index


def segment_colors(
    panoptic: PanopticMap,
    label_space: LabelSpace,
    *,
    reference: PanopticMap | None = None,
) -> dict[int, Color]:
    """RGB colour of every segment in a map, void (black) included.

    Stuff takes its class colour. A thing that overlaps a segment of the same
    class in `reference` with IoU > 0.5 takes that segment's shade; every other
    thing takes the shade whose nearest user of the same class is furthest away,
    large segments first. The result does not depend on how ids are numbered.

    Classes have the colours of their label space. Official ones (COCO, Cityscapes,
    KITTI-STEP) stay as readers know them, though colour-blind ones cannot tell all
    of them apart: outlines and names do that. Classes without a colour have one of
    `palette.distinct_colors`.

    Args:
      panoptic: ids [H, W] int.
      label_space: the categories.
      reference: map to agree with (a prediction's truth), its ids [H', W'] of
        any size; coloured on its own.
    Raises:
      ValueError: an id without a segment, or an unknown category.
    Source: ours.
    """
    shades = _shades(panoptic, label_space, {})
    if reference is not None:
        matches = match_segments(panoptic, reference, label_space)
        of_reference = _shades(reference, label_space, {})
        taken = {ours: of_reference[theirs] for ours, theirs in matches.items()}
        shades = _shades(panoptic, label_space, taken)
    present, semantic, _ = segment_semantics(panoptic, label_space)
    return {
        segment_id: shade(to_color(label_space.colors[k]), shades[segment_id])
        for segment_id, k in zip(present.tolist(), semantic.tolist(), strict=True)
    }


def match_segments(
    panoptic: PanopticMap, reference: PanopticMap, label_space: LabelSpace
) -> dict[int, int]:
    """Pairs of segments of the same class with IoU > 0.5: id -> id in `reference`.

    Void counts like any other area, unlike in PQ: this is for colours only.
    """
    ids_a, semantic_a, a = segment_semantics(panoptic, label_space)
    ids_b, semantic_b, b = segment_semantics(reference, label_space)
    b = resize_nearest(b, a.shape)
    pairs, overlap = np.unique(a * len(ids_b) + b, return_counts=True)
    area_a = np.bincount(a.ravel(), minlength=len(ids_a))
    area_b = np.bincount(b.ravel(), minlength=len(ids_b))
    row_a, row_b = np.divmod(pairs, len(ids_b))
    union = area_a[row_a] + area_b[row_b] - overlap
    matched = (2 * overlap > union) & (semantic_a[row_a] == semantic_b[row_b])
    matched &= semantic_a[row_a] != VOID
    return dict(
        zip(ids_a[row_a[matched]].tolist(), ids_b[row_b[matched]].tolist(), strict=True)
    )


def to_color(rgb: np.ndarray) -> Color:
    """[3] in 0..255 as a colour."""
    red, green, blue = (int(value) for value in rgb)
    return red, green, blue


def _shades(
    panoptic: PanopticMap, label_space: LabelSpace, taken: dict[int, int]
) -> dict[int, int]:
    present, semantic, index = segment_semantics(panoptic, label_space)
    areas = np.bincount(index.ravel(), minlength=len(present))
    boxes = np.array(  # [N, 2 (y, x), 2 (low, high)]
        [[(s.start, s.stop) for s in box] for box in ndimage.find_objects(index + 1)],
        float,
    )
    centres = boxes.mean(-1)
    # Position breaks ties of area, so that renumbering the ids changes nothing.
    order = np.lexsort((centres[:, 1], centres[:, 0], -areas))
    shades = np.full(len(present), -1)
    for row, segment_id in enumerate(present.tolist()):
        if not label_space.is_thing[semantic[row]]:
            shades[row] = 0
        elif segment_id in taken:
            shades[row] = taken[segment_id]
    # Specks (a map decoded from noise has thousands) need no search.
    specks = (areas < index.size / 2000) & (shades < 0)
    shades[specks] = np.arange(specks.sum()) % NUM_SHADES
    for row in order[shades[order] < 0]:
        users = np.flatnonzero((semantic == semantic[row]) & (shades >= 0) & ~specks)
        low, high = boxes[row].T
        gap = np.maximum(boxes[users, :, 0] - high, low - boxes[users, :, 1])
        distance = np.hypot(*np.maximum(gap, 0).T) + 0.1 * np.hypot(
            *(centres[users] - centres[row]).T
        )
        nearest = np.full(NUM_SHADES, np.inf)
        np.minimum.at(nearest, shades[users], distance)
        shades[row] = np.argmax(nearest)
    return dict(zip(present.tolist(), shades.tolist(), strict=True))
