"""One panel: a photo tinted by segment, with outlines and class names inside."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, resize_nearest
from pix2seq_d.visualize.colors import Color, segment_semantics
from pix2seq_d.visualize.legend import VOID_DARK, VOID_LIGHT, font, hatch

_TINT = 0.65  # weight of the segment colour against the photo
_LUMA = (0.299, 0.587, 0.114)  # brightness of red, green, blue (ITU-R BT.601)
_LINE = 0.9  # weight of the white outline
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


def panel(
    image: np.ndarray,
    panoptic: PanopticMap,
    label_space: LabelSpace,
    *,
    colors: Mapping[int, Color],
    size: tuple[int, int],
    font_size: int,
) -> np.ndarray:
    """Draws a map over its photo at `size`.

    Colour 0.35 grey photo + 0.65 segment colour; white outlines, one pixel at each side
    of a border between segments; void dark and hatched. Each segment wide
    enough carries its class name where there is most room for it.

    Args:
      image: [H, W, 3] uint8.
      panoptic: ids [h, w] int with the aspect ratio of the image; nearest-
        neighbour resized, so that borders stay crisp.
      label_space: the categories.
      colors: colour of each segment id, see `segment_colors`.
      size: (height, width) of the result.
      font_size: largest size of the names, pixels; they shrink to 0.8 of it.
    Returns:
      [*size, 3] uint8.
    Raises:
      ValueError: bad image or map, see `check_image` and `segment_colors`.
    Source: ours.
    """
    check_image(image, panoptic)
    present, semantic, index = segment_semantics(panoptic, label_space)
    # In grey, or a red object would turn every class colour reddish.
    photo = resize_photo(image, size) @ np.array(_LUMA, np.float32)
    photo = photo[..., None]
    large = resize_nearest(index, size)
    table = np.array([colors[i] for i in present.tolist()], np.float32)
    pixels = (1 - _TINT) * photo + (_TINT * table)[large]

    void = (present == VOID)[large]
    stripes = hatch(*size, period=max(8, max(size) // 64))[void]
    stripes = np.where(stripes[:, None], VOID_LIGHT, VOID_DARK)
    pixels[void] = 0.15 * photo[void] + stripes

    solid = _is_solid(index, present == VOID)
    outlined = _outline(large, solid) & ~void
    pixels[outlined] = (1 - _LINE) * pixels[outlined] + _LINE * 255
    canvas = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    names = label_space.names()
    shown = [names[k] if s and k else "" for k, s in zip(semantic, solid, strict=True)]
    _draw_names(canvas, index, shown, font_size)
    return np.asarray(canvas)


def _outline(index: np.ndarray, is_solid: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels with a 4-neighbour in another segment, both solid."""
    edge = np.zeros(index.shape, bool)
    solid = is_solid[index]
    across = (index[:, 1:] != index[:, :-1]) & solid[:, 1:] & solid[:, :-1]
    down = (index[1:] != index[:-1]) & solid[1:] & solid[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
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
    font_size: int,
) -> None:
    """Writes the name of each segment into it where there is room; "" is none."""
    draw = ImageDraw.Draw(canvas)
    step = -(-max(index.shape) // _LABEL_GRID)
    index = index[step // 2 :: step, step // 2 :: step]
    scale = canvas.height / index.shape[0]
    boxes = ndimage.find_objects(index + 1, len(names))
    for row, (box, name) in enumerate(zip(boxes, names, strict=True)):
        if box is None or not name:
            continue
        _, top, width, bottom = font(font_size).getbbox(name)
        if (box[1].stop - box[1].start) * scale < 0.8 * width:
            continue
        y, x, room = widest_spot(index[box] == row, aspect=width / (bottom - top))
        size = min(font_size, int(font_size * 2 * room * scale / width))
        if size < 0.8 * font_size:
            continue
        spot = ((box[1].start + x) * scale, (box[0].start + y) * scale)
        halo = max(1, round(size / 9))
        draw.text(
            spot,
            name,
            (255, 255, 255),
            font(size),
            anchor="mm",
            stroke_width=halo,
            stroke_fill=(24, 26, 30),
        )


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
