"""Sheets: image, truth and prediction side by side; denoising steps as a film strip."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pix2seq_d.evaluation.error_map import error_map
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import segment_colors
from pix2seq_d.visualize.error_map import error_legend, error_panel
from pix2seq_d.visualize.legend import (
    GREY,
    INK,
    PAPER,
    LegendEntry,
    draw_legend,
    font,
    legend_entries,
    shorten,
)
from pix2seq_d.visualize.panels import check_image, panel, resize_photo

_HEADING, _CAPTION, _NAME = 20, 15, 13  # font sizes, pixels
_GAP, _MARGIN = 12, 16


@dataclasses.dataclass(frozen=True)
class SheetRow:
    """One row of a contact sheet.

    Attributes:
      image: [H, W, 3] uint8 RGB.
      truth: ids [h, w] int, the image's aspect ratio.
      prediction: ids [h, w] int, the same.
      title: printed below the image.
      pq: panoptic quality of the prediction in [0, 1], printed below it as percent.
      states: maps on the way to the prediction, noise first.
    """

    image: np.ndarray
    truth: PanopticMap
    prediction: PanopticMap
    title: str = ""
    pq: float | None = None
    states: tuple[PanopticMap, ...] = ()


def contact_sheet(
    rows: Sequence[SheetRow],
    label_space: LabelSpace,
    *,
    state_captions: Sequence[str] = (),
    panel_size: int = 320,
    with_errors: bool = False,
) -> np.ndarray:
    """Image, truth, states and prediction of several images, one image a row.

    A segment of the prediction or of a state that matches one of the truth (same
    class, IoU > 0.5) has its shade. Headings stand at the top, the classes at the
    bottom.

    Args:
      rows: the images.
      label_space: the categories.
      state_captions: headings of the columns of states.
      panel_size: long side of a panel, pixels; images below it are enlarged by
        an integer, larger ones shrunk to it.
      with_errors: whether to add what is wrong where, see `evaluation.error_map`;
        truth and prediction then have one size.
    Returns:
      [H, W, 3] uint8.
    Raises:
      ValueError: no rows, as many states in a row as there are no captions for, a
        pq outside [0, 1], or a bad image or map, see `overlay`.
    Source: ours.
    """
    if not rows:
        raise ValueError("contact_sheet: rows is empty; give at least one SheetRow")
    strips, captions, errors = [], [], []
    for k, row in enumerate(rows):
        if len(row.states) != len(state_captions):
            raise ValueError(
                f"rows[{k}] has {len(row.states)} states but state_captions has "
                f"{len(state_captions)}; give one caption per state"
            )
        if row.pq is not None and not 0 <= row.pq <= 1:
            raise ValueError(f"rows[{k}].pq is {row.pq}; give a fraction in [0, 1]")
        maps = [row.truth, *row.states, row.prediction]
        strip = _strip(row.image, maps, label_space, row.truth, panel_size)
        score = "" if row.pq is None else f"PQ {100 * row.pq:.1f}"
        captions.append([row.title, *[""] * (len(maps) - 1), score])
        if with_errors:
            errors.append(error_map(row.truth, row.prediction, label_space))
            size = strip[0].shape[0], strip[0].shape[1]
            strip.append(error_panel(row.image, errors[-1], size=size))
            captions[-1].append("")
        strips.append(strip)
    headings = ["Image", "Ground truth", *state_captions, "Prediction"]
    headings += ["Errors"] * with_errors
    shown = [m for row in rows for m in (row.truth, row.prediction)]
    legends = [legend_entries(shown, label_space, counts=False)]
    if with_errors:
        legends.append(error_legend(errors))
    return _compose(strips, headings, captions, legends, arrows=False)


def filmstrip(
    image: np.ndarray,
    states: Sequence[PanopticMap],
    captions: Sequence[str],
    label_space: LabelSpace,
    *,
    panel_size: int = 256,
    columns: int = 6,
) -> np.ndarray:
    """The image, then the denoising steps from noise to the prediction, in rows.

    Segments that match one of the last state (same class, IoU > 0.5) have its
    shade, so that an object keeps its colour once it is found.

    Args:
      image: [H, W, 3] uint8 RGB.
      states: maps, ids [h, w] int with the image's aspect ratio, noise first.
      captions: printed below each state.
      label_space: the categories.
      panel_size: long side of a panel, pixels, as in `contact_sheet`.
      columns: panels in a row, the image included.
    Returns:
      [H, W, 3] uint8.
    Raises:
      ValueError: no states, not one caption per state, or a bad image or map.
    Source: ours.
    """
    if not states or len(states) != len(captions):
        raise ValueError(
            f"filmstrip: {len(states)} states and {len(captions)} captions; give at "
            "least one state and one caption per state"
        )
    panels = _strip(image, states, label_space, states[-1], panel_size)
    texts = ["Image", *captions]
    columns = min(columns, len(panels))
    starts = range(0, len(panels), columns)
    return _compose(
        [panels[k : k + columns] for k in starts],
        [""] * columns,
        [texts[k : k + columns] for k in starts],
        [legend_entries(states[-1:], label_space, counts=False)],
        arrows=True,
    )


def _strip(
    image: np.ndarray,
    maps: Sequence[PanopticMap],
    label_space: LabelSpace,
    reference: PanopticMap,
    panel_size: int,
) -> list[np.ndarray]:
    """The image and its maps as panels of one size."""
    check_image(image, maps[0])
    height, width = image.shape[:2]
    factor = panel_size / max(height, width)
    if factor >= 1:
        factor = int(factor)
    size = max(1, round(factor * height)), max(1, round(factor * width))
    panels = [resize_photo(image, size)]
    for panoptic in maps:
        match = None if panoptic is reference else reference
        colors = segment_colors(panoptic, label_space, reference=match)
        panels.append(
            panel(
                image, panoptic, label_space, colors=colors, size=size, font_size=_NAME
            )
        )
    return panels


def _compose(
    strips: Sequence[Sequence[np.ndarray]],
    headings: Sequence[str],
    captions: Sequence[Sequence[str]],
    legends: Sequence[Sequence[LegendEntry]],
    *,
    arrows: bool,
) -> np.ndarray:
    """Headings, rows of panels with captions, and the legends."""
    columns = len(headings)
    heading_font, caption_font = font(_HEADING), font(_CAPTION)
    column = max(
        *(strip[0].shape[1] for strip in strips),
        *(int(heading_font.getlength(text)) + 1 for text in headings),
    )
    gap = 2 * _GAP if arrows else _GAP
    width = 2 * _MARGIN + columns * column + (columns - 1) * gap
    foot = [(_CAPTION + _GAP if any(texts) else 0) + _GAP for texts in captions]
    top = _MARGIN + (_HEADING + _GAP if any(headings) else 0)
    bottom = top + sum(f + s[0].shape[0] for f, s in zip(foot, strips, strict=True))
    drawn = [draw_legend(e, font_size=_CAPTION, width=width) for e in legends if e]
    legend = np.concatenate(drawn)

    canvas = Image.new("RGB", (width, bottom + legend.shape[0]), PAPER)
    canvas.paste(Image.fromarray(legend), (0, bottom))
    draw = ImageDraw.Draw(canvas)
    y = top
    for strip, texts, below in zip(strips, captions, foot, strict=True):
        height = strip[0].shape[0]
        for k, (drawn, text) in enumerate(zip(strip, texts, strict=True)):
            middle = _MARGIN + k * (column + gap) + column // 2
            canvas.paste(Image.fromarray(drawn), (middle - drawn.shape[1] // 2, y))
            short = shorten(text, caption_font, column)
            draw.text(
                (middle, y + height + _CAPTION), short, GREY, caption_font, anchor="mm"
            )
            if arrows and k:
                x, centre = middle - column // 2 - gap // 2, y + height // 2
                draw.polygon(
                    [(x - 5, centre - 9), (x + 6, centre), (x - 5, centre + 9)], GREY
                )
        y += height + below
    for k, text in enumerate(headings):
        middle = _MARGIN + k * (column + gap) + column // 2
        spot = (middle, _MARGIN + _HEADING // 2)
        draw.text(spot, text, INK, heading_font, anchor="mm")
    return np.asarray(canvas)
