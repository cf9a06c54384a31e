"""One panel: a photo tinted by segment, with outlines and class names inside."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, resize_nearest
from pix2seq_d.visualize.colors import Color, contrasting, segment_semantics, to_color
from pix2seq_d.visualize.legend import VOID_DARK, VOID_LIGHT, font, hatch

TINT = 0.65  # weight of the segment colour against the photo
_LUMA = (0.299, 0.587, 0.114)  # brightness of red, green, blue (ITU-R BT.601)
_LINE = 0.9  # weight of the outline
# Of a name, by the name's own colour.
_HALO: Mapping[Color, Color] = {
    (255, 255, 255): (24, 26, 30),
    (0, 0, 0): (245, 245, 245),
}
_LABEL_GRID = 512  # label positions are searched at this long side at most


def check_image(image: np.ndarray, panoptic: PanopticMap) -> None:
    """Checks a photo and a map of it.

    Raises:
      ValueError: the image is not uint8 [H, W, 3], or the map's ids are not
        int [h, w] of the same aspect ratio.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"image is {image.dtype} {list(image.shape)}; give uint8 [H, W, 3] RGB"
        )
    if panoptic.ids.ndim != 2 or not np.issubdtype(panoptic.ids.dtype, np.integer):
        raise ValueError(
            f"panoptic.ids is {panoptic.ids.dtype} {list(panoptic.ids.shape)}; "
            "give int [H, W]"
        )
    (height, width), (rows, columns) = image.shape[:2], panoptic.ids.shape
    if 0 in (height, width) or height * columns != width * rows:
        raise ValueError(
            f"image is {height}x{width} but panoptic.ids is {rows}x{columns}; crop "
            "or resize one so that both show the same picture"
        )


def resize_photo(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Smooth resize of uint8 [H, W, 3] to [*size, 3]."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0]
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), method))


def grey(image: np.ndarray) -> np.ndarray:
    """Brightness of uint8 [H, W, 3]: float32 [H, W] in 0..255."""
    return image @ np.array(_LUMA, np.float32)


def panel(
    image: np.ndarray,
    panoptic: PanopticMap,
    label_space: LabelSpace,
    *,
    colors: Mapping[int, Color],
    size: tuple[int, int],
    font_size: int,
    tint: float = TINT,
) -> np.ndarray:
    """Draws a map over its photo at `size`.

    Colour (1 - tint) grey photo + tint segment colour. Borders between segments have an
    outline at each side, one pixel wide for each 1000 of the long side, white on a
    dark segment and black on a bright one. Void is dark and hatched. Each segment
    wide enough carries its class name where there is most room for it, unless the
    name would cover much of another segment.

    Args:
      image: [H, W, 3] uint8.
      panoptic: ids [h, w] int with the aspect ratio of the image; nearest-
        neighbour resized, so that borders stay crisp.
      label_space: the categories.
      colors: colour of each segment id, see `segment_colors`.
      size: (height, width) of the result.
      font_size: largest size of the names, pixels; they shrink to 0.8 of it.
      tint: weight of the segment's colour against the photo.
    Returns:
      [*size, 3] uint8.
    Raises:
      ValueError: bad image or map, see `check_image` and `segment_colors`.
    Source: ours.
    """
    check_image(image, panoptic)
    present, semantic, index = segment_semantics(panoptic, label_space)
    # In grey, or a red object would turn every class colour reddish.
    photo = grey(resize_photo(image, size))[..., None]
    large = resize_nearest(index.astype(np.int32), size)
    table = np.array([colors[i] for i in present.tolist()], np.float32)
    pixels = (1 - tint) * photo + (tint * table)[large]

    void = (present == VOID)[large]
    stripes = hatch(*size, period=max(8, max(size) // 64))[void]
    stripes = np.where(stripes[:, None], VOID_LIGHT, VOID_DARK)
    pixels[void] = 0.4 * (1 - tint) * photo[void] + stripes

    solid = _is_solid(index, present == VOID)
    outlined = _outline(large, solid, width=max(1, round(max(size) / 1000)))
    outlined &= ~void
    # One colour for a segment: by pixel, a textured photo would make it flicker.
    middle = np.round((1 - tint) * 128 + tint * table).astype(int)
    lines = np.array([contrasting(to_color(row)) for row in middle], np.float32)
    pixels[outlined] *= 1 - _LINE
    pixels[outlined] += _LINE * lines[large[outlined]]
    canvas = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    names = label_space.names()
    shown = [names[k] if s and k else "" for k, s in zip(semantic, solid, strict=True)]
    _draw_names(canvas, index, shown, lines, font_size)
    return np.asarray(canvas)


def _outline(index: np.ndarray, is_solid: np.ndarray, *, width: int) -> np.ndarray:
    """[H, W] bool: less than `width` from a border between two solid segments."""
    edge = np.zeros(index.shape, bool)
    solid = is_solid[index]
    for gap in range(1, width + 1):
        # Both axes alike.
        for turned, inside, marked in (
            (index, solid, edge),
            (index.T, solid.T, edge.T),
        ):
            border = turned[gap:] != turned[:-gap]
            border &= inside[gap:] & inside[:-gap]
            marked[gap:] |= border
            marked[:-gap] |= border
    return edge


def _is_solid(index: np.ndarray, is_void: np.ndarray) -> np.ndarray:
    """[N] bool: segments that are no noise, which would drown in outlines.

    Solid: at least 0.45 of the sides of its pixels touch the segment itself. A
    2x2 square and a line one pixel wide have 0.5, lone pixels 0. Void in a map
    with little border is solid too: seams of lone void pixels are common in
    hand-made labels, and a dotted outline along them looks like an error.
    """
    inside = np.zeros(len(is_void))
    for same, pixels in (
        (index[:, 1:] == index[:, :-1], index[:, 1:]),
        (index[1:] == index[:-1], index[1:]),
    ):
        inside += 2 * np.bincount(pixels[same], minlength=len(is_void))
    sides = 4 * np.bincount(index.ravel(), minlength=len(is_void))
    return (inside >= 0.45 * sides) | (is_void & (inside.sum() >= 0.9 * sides.sum()))


def _draw_names(
    canvas: Image.Image,
    index: np.ndarray,
    names: Sequence[str],
    inks: np.ndarray,
    font_size: int,
) -> None:
    """Writes the name of each segment into it where there is room; "" is none."""
    draw = ImageDraw.Draw(canvas)
    step = -(-max(index.shape) // _LABEL_GRID)
    # Void and specks may be hidden.
    is_named = [bool(name) for name in names]
    areas = np.bincount(index.ravel(), minlength=len(names))
    areas = np.where(is_named, areas, np.inf)
    # A flat map may have fewer rows, or columns, than half a step.
    top, left = (min(step // 2, side - 1) for side in index.shape)
    coarse = index[top::step, left::step]
    scale = canvas.height / coarse.shape[0]
    per_pixel = index.shape[0] / canvas.height
    boxes = ndimage.find_objects(coarse + 1, len(names))
    # A map decoded from noise has thousands of segments too small for any name.
    has_room = areas > font_size**2 / 4 * per_pixel**2
    for row, (box, name) in enumerate(zip(boxes, names, strict=True)):
        if box is None or not name or not has_room[row]:
            continue
        _, top, width, bottom = font(font_size).getbbox(name)
        if (box[1].stop - box[1].start) * scale < 0.8 * width:
            continue
        y, x, room = widest_spot(coarse[box] == row, aspect=width / (bottom - top))
        size = min(font_size, int(font_size * 2 * room * scale / width))
        if size < 0.8 * font_size:
            continue
        centre = np.array((box[0].start + y, box[1].start + x)) * scale
        half = np.array((bottom - top, width)) * size / font_size / 2
        low = np.maximum((centre - half) * per_pixel, 0).astype(int)
        high = np.ceil((centre + half) * per_pixel).astype(int)
        if _hides_another(index[low[0] : high[0], low[1] : high[1]], row, areas):
            continue
        ink = to_color(inks[row])
        halo = max(1, round(size / 9))
        draw.text(
            (centre[1], centre[0]),
            name,
            ink,
            font(size),
            anchor="mm",
            stroke_width=halo,
            stroke_fill=_HALO[ink],
        )


def _hides_another(below: np.ndarray, row: int, areas: np.ndarray) -> bool:
    """Whether a name of segment `row` hides a quarter or more of another segment.

    Args:
      below: [h, w] int, the segments behind the name.
      row: the segment that it names.
      areas: [N] pixels of each segment, infinity for those that may be hidden.
    """
    hidden = np.bincount(below.ravel(), minlength=len(areas))
    hidden[row] = 0
    return bool(((hidden > 0) & (4 * hidden >= areas)).any())


def widest_spot(mask: np.ndarray, *, aspect: float) -> tuple[float, float, float]:
    """Centre and half width of the largest ellipse inside a segment.

    Among the pixels furthest from the segment's border and the picture's (within
    10 %), where vertical distances count `aspect` times because a wide name needs
    a wide place, the one nearest to their mean: the middle of a tall window.

    Args:
      mask: [H, W] bool, not all False.
      aspect: width / height of what goes there, > 0.
    Returns:
      y, x of the centre and the half width, pixels; (0.5, 0.5) is the middle of
      the first pixel.
    """
    distance = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=(aspect, 1.0))
    assert isinstance(distance, np.ndarray)
    spots = np.argwhere(distance >= 0.9 * distance.max())
    y, x = spots[np.argmin(((spots - spots.mean(0)) ** 2).sum(1))]
    # Minus the padding, plus half a pixel to its middle; the distance runs to
    # the middle of the first pixel outside.
    return float(y) - 0.5, float(x) - 0.5, float(distance[y, x]) - 0.5
