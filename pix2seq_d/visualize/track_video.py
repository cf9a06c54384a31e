"""One picture of a video: the frame with its tracks named, and their timeline below."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import Color, segment_semantics
from pix2seq_d.visualize.legend import INK, PAPER, font
from pix2seq_d.visualize.panels import check_image, panel
from pix2seq_d.visualize.timeline import Timeline, draw_timeline
from pix2seq_d.visualize.track_colors import track_colors, track_name, tracks_in

_LONG_SIDE = (512, 1280)  # frames below are enlarged, frames above shrunk, pixels
_MOST_TAGS = 40  # things named in a frame, the largest; more could not be read

Box = tuple[int, int, int, int]  # left, top, right, bottom


def draw_frame(
    image: np.ndarray,
    panoptic: PanopticMap,
    label_space: LabelSpace,
    timeline: Timeline,
    *,
    time_s: float | None = None,
) -> np.ndarray:
    """Draws one picture of the video: `draw_tracks` above the timeline.

    Below the frame, a bar for each track of the timeline, with gaps where it was
    absent, up to the cursor.

    Args:
      image: as of `draw_tracks`.
      panoptic: likewise.
      label_space: the categories.
      timeline: up to this frame, at least one.
      time_s: of the frame, to be shown.
    Returns:
      [H', W', 3] uint8; its size depends on that of the image and the number of rows.
    Raises:
      ValueError: as of `draw_tracks`.
    Source: ours.
    """
    pixels = draw_tracks(image, panoptic, label_space)
    text = f"frame {timeline.frame - 1}"
    if time_s is not None:
        text += f"   {time_s:.2f} s"
    width = pixels.shape[1]
    font_size = _font_size(pixels.shape[0], width)
    strip = draw_timeline(timeline, label_space, text, width, font_size)
    return np.concatenate([pixels, strip])


def draw_tracks(
    image: np.ndarray, panoptic: PanopticMap, label_space: LabelSpace
) -> np.ndarray:
    """A frame with its tracks, each in its own colour.

    Frames whose long side is below 512 pixels are enlarged by the smallest integer
    that reaches it, those above 1280 shrunk to it. Stuff carries its name inside,
    each thing a tag with class and number at its upper edge.

    Args:
      image: [H, W, 3] uint8 RGB.
      panoptic: ids [h, w] int with the aspect ratio of the image; numbers in
        `Segment.instance`, None and 0 for a thing without.
      label_space: the categories.
    Returns:
      [H', W', 3] uint8.
    Raises:
      ValueError: image or map of another type or shape, an id without a segment, or
        an unknown category.
    Source: ours.
    """
    check_image(image, panoptic)
    height, width = _size(image.shape[0], image.shape[1])
    font_size = _font_size(height, width)
    # Things get tags in place of the names that a panel writes into them.
    nameless = LabelSpace(
        tuple(
            dataclasses.replace(c, name="" if c.is_thing else c.name)
            for c in label_space.categories
        )
    )
    colors = track_colors(panoptic, label_space)
    pixels = panel(
        image,
        panoptic,
        nameless,
        colors=colors,
        size=(height, width),
        font_size=font_size,
    )
    canvas = Image.fromarray(pixels)
    _draw_tags(canvas, panoptic, label_space, colors, font_size)
    return np.asarray(canvas)


def _font_size(height: int, width: int) -> int:
    return min(max(14, round(max(height, width) / 44)), 40)


def _size(height: int, width: int) -> tuple[int, int]:
    low, high = _LONG_SIDE
    long_side = max(height, width)
    if long_side > high:
        scale = high / long_side
        return max(1, round(scale * height)), max(1, round(scale * width))
    factor = max(1, -(-low // long_side))
    return factor * height, factor * width


def _draw_tags(
    canvas: Image.Image,
    panoptic: PanopticMap,
    label_space: LabelSpace,
    colors: dict[int, Color],
    font_size: int,
) -> None:
    """Names each thing at its upper edge, or near it where another tag is."""
    present, semantic, index = segment_semantics(panoptic, label_space)
    tracks = tracks_in(panoptic, label_space)
    is_thing = label_space.is_thing[semantic]
    sizes = np.bincount(index.ravel(), minlength=len(present)) * is_thing
    boxes = ndimage.find_objects(index + 1)
    scale = np.array(canvas.size)[::-1] / index.shape
    draw, face = ImageDraw.Draw(canvas), font(font_size)
    taken: list[Box] = []
    for row in np.argsort(-sizes, kind="stable")[:_MOST_TAGS].tolist():
        if not sizes[row]:
            continue
        segment_id = int(present[row])
        text = track_name(label_space, *tracks[segment_id])
        width = round(face.getlength(text) + 0.8 * font_size)
        height = round(1.4 * font_size)
        y, x = (
            ((s.start + s.stop) / 2 * k, s.start * k, s.stop * k)
            for s, k in zip(boxes[row], scale, strict=True)
        )
        gap = 0.2 * font_size
        tops = (
            *(y[1] - height - gap, y[1] + gap),
            *(y[2] + gap, y[2] - height - gap, y[0] - height / 2),
        )
        spots = [_inside(x[0] - width / 2, top, width, height, canvas) for top in tops]
        # The upper edge, whatever is there, if no place is free: tags never jump far.
        spot = next((s for s in spots if not _hits(s, taken)), spots[0])
        taken.append(spot)
        red, green, blue = colors[segment_id]
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
        draw.rounded_rectangle(
            spot,
            radius=0.3 * font_size,
            fill=(red, green, blue),
            outline=PAPER,
            width=max(1, font_size // 12),
        )
        middle = (spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2
        draw.text(middle, text, INK if is_light else PAPER, face, anchor="mm")


def _inside(x: float, y: float, width: int, height: int, canvas: Image.Image) -> Box:
    """Left, top, right, bottom of a box that is pushed into the picture."""
    x = max(1, min(round(x), canvas.width - width - 2))
    y = max(1, min(round(y), canvas.height - height - 2))
    return x, y, x + width, y + height


def _hits(box: Box, others: Sequence[Box]) -> bool:
    return any(
        box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3]
        for o in others
    )
