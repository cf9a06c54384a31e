"""The denoising as an animation: the photo beside the decoded map of every step."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import spatial

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, ids_to_rgb, rgb_to_ids
from pix2seq_d.visualize.colors import segment_colors
from pix2seq_d.visualize.legend import (
    INK,
    PAPER,
    draw_legend,
    font,
    legend_entries,
    shorten,
)
from pix2seq_d.visualize.panels import panel

_CAPTION, _NAME, _LEGEND = 18, 14, 15  # font sizes, pixels
_GAP, _MARGIN, _BAR = 12, 16, 4
_TOP = _MARGIN + _CAPTION + _BAR + _GAP  # of the panels
_TRACK = (226, 229, 234)
_FIRST_MS, _STEP_MS, _LAST_MS = 800, 300, 3000
_FLAT_COLORS = 160  # of the palette's 256; the photo has the others


def panel_shape(
    image: np.ndarray, *, panel_size: int, multiple: int = 1
) -> tuple[int, int]:
    """(height, width) that a photo is shown at: long side about `panel_size`.

    Args:
      image: [H, W, 3] uint8; photos below `panel_size` are enlarged by an integer.
      panel_size: pixels.
      multiple: both sides are rounded to multiples of it.
    """
    height, width = image.shape[:2]
    factor = panel_size / max(height, width)
    if factor >= 1:
        factor = int(factor)
    height, width = (
        multiple * max(1, round(factor * side / multiple)) for side in (height, width)
    )
    return height, width


def denoising_gif(
    image: np.ndarray,
    states: Sequence[PanopticMap],
    captions: Sequence[str],
    label_space: LabelSpace,
) -> bytes:
    """An endless GIF: photo at the left, one map after the other at the right.

    The maps are in flat colours, with a caption and a bar that fills. Segments that
    match one of the last state (same class, IoU > 0.5) have its shade. The last
    state, whose classes the legend names, stays for three seconds.

    Args:
      image: [H, W, 3] uint8, as large as it is shown, see `panel_shape`.
      states: maps of its size or smaller, noise first. Where a map's pixels are those
        of the network's mask, specks of noise get no outlines.
      captions: of each.
      label_space: the categories.
    Returns:
      The file.
    Raises:
      ValueError: no states, not one caption per state, or a bad image or map.
    Source: ours.
    """
    if not states or len(states) != len(captions):
        raise ValueError(
            f"denoising_gif: {len(states)} states and {len(captions)} captions; give "
            "at least one state and one caption per state"
        )
    height, width = image.shape[:2]
    entries = legend_entries(states[-1:], label_space, counts=False)
    total = 2 * _MARGIN + 2 * width + _GAP
    legend = draw_legend(entries, font_size=_LEGEND, width=total)
    empty = np.full((_TOP + height + legend.shape[0], total, 3), PAPER, np.uint8)
    empty[_TOP + height :] = legend
    left = _MARGIN + width + _GAP
    face = font(_CAPTION)

    frames = []
    for k, (state, caption) in enumerate(zip(states, captions, strict=True), start=1):
        match = None if state is states[-1] else states[-1]
        flat = panel(
            image,
            state,
            label_space,
            colors=segment_colors(state, label_space, reference=match),
            size=(height, width),
            font_size=_NAME,
            tint=1.0,
        )
        canvas = Image.fromarray(empty)
        canvas.paste(Image.fromarray(flat), (left, _TOP))
        draw = ImageDraw.Draw(canvas)
        text = shorten(caption, face, width)
        draw.text((left, _MARGIN + _CAPTION // 2), text, INK, face, anchor="lm")
        y = _TOP - _BAR - 4
        draw.rectangle((left, y, left + width - 1, y + _BAR - 1), _TRACK)
        done = max(1, round(width * k / len(states)))
        draw.rectangle((left, y, left + done - 1, y + _BAR - 1), INK)
        frames.append(np.asarray(canvas))
    pages = _with_palette(frames, image, (_TOP, _MARGIN))
    file = io.BytesIO()
    pages[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pages[1:],
        duration=[_FIRST_MS, *[_STEP_MS] * (len(pages) - 2), _LAST_MS][-len(pages) :],
        loop=0,
    )
    return file.getvalue()


def _with_palette(
    frames: Sequence[np.ndarray], photo: np.ndarray, corner: tuple[int, int]
) -> list[Image.Image]:
    """The frames in one palette: flat colours as they are, the photo dithered.

    Args:
      frames: [H, W, 3] uint8 each.
      photo: [h, w, 3] uint8, goes into every frame.
      corner: (top, left) of its place.
    """
    words = np.stack([rgb_to_ids(frame) for frame in frames])
    # By counting in 2**24 boxes: np.unique would sort ten million pixels.
    counts = np.bincount(words.ravel(), minlength=1 << 24)
    flat = np.flatnonzero(counts)
    kept = flat[np.argsort(-counts[flat], kind="stable")[:_FLAT_COLORS]]
    # Rare colours, as the edges of letters, take the nearest kept one.
    _, nearest = spatial.KDTree(ids_to_rgb(kept)).query(ids_to_rgb(flat))
    place_of = np.zeros(1 << 24, np.uint8)
    place_of[flat] = nearest
    pages = place_of[words]

    picture = Image.fromarray(photo)
    reduced = picture.quantize(256 - len(kept))
    # Only a palette that is given is dithered.
    reduced = picture.quantize(palette=reduced, dither=Image.Dither.FLOYDSTEINBERG)
    colors = reduced.getpalette() or []
    top, left = corner
    height, width = photo.shape[:2]
    place = np.s_[:, top : top + height, left : left + width]
    pages[place] = np.asarray(reduced) + len(kept)
    palette = [*ids_to_rgb(kept).ravel().tolist(), *colors]
    made = []
    for page in pages:
        image = Image.fromarray(page, "P")
        image.putpalette(palette)
        made.append(image)
    return made
