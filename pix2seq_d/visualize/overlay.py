"""Overlay: one photo, its panoptic map drawn over it, and a legend beside it."""

import numpy as np

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.visualize.colors import segment_colors
from pix2seq_d.visualize.legend import PAPER, draw_legend, legend_entries
from pix2seq_d.visualize.panels import check_image, panel

_LONG_SIDE = 512  # smaller photos are enlarged to at least this, pixels
_SMALLEST = 12  # font size of a legend, pixels


def overlay(
    image: np.ndarray, panoptic: PanopticMap, label_space: LabelSpace
) -> np.ndarray:
    """Photo with its segments tinted, outlined and named, and a legend.

    Photos whose long side is below 512 pixels are enlarged by the smallest
    integer that reaches it. The legend names every class present with the
    number of instances (things) or the percent area (stuff, void); it stands
    at the right, or below photos more than 1.5 times as wide as high. Its text has
    the size of the names, or less, so that it does not outgrow the photo.

    Args:
      image: [H, W, 3] uint8 RGB.
      panoptic: ids [h, w] int, same aspect ratio as the image.
      label_space: the categories.
    Returns:
      [H', W', 3] uint8; the enlarged photo is its top left corner.
    Raises:
      ValueError: image or map of another type or shape, an id without a
        segment, or an unknown category.
    Source: ours.
    """
    check_image(image, panoptic)
    height, width = image.shape[:2]
    factor = max(1, -(-_LONG_SIDE // max(height, width)))
    height, width = factor * height, factor * width
    font_size = min(max(14, round(max(height, width) / 40)), 64)
    drawn = panel(
        image,
        panoptic,
        label_space,
        colors=segment_colors(panoptic, label_space),
        size=(height, width),
        font_size=font_size,
    )
    entries = legend_entries([panoptic], label_space)
    below = width > 1.5 * height
    side = {"width": width} if below else {"height": height}
    for size in range(font_size, _SMALLEST - 1, -2):
        legend = draw_legend(entries, font_size=size, **side)
        if legend.shape[0] <= height and legend.shape[1] <= width:
            break
    if below:
        return np.concatenate([drawn, legend])
    missing = legend.shape[0] - height
    drawn = np.pad(drawn, ((0, missing), (0, 0), (0, 0)), constant_values=PAPER[0])
    return np.concatenate([drawn, legend], axis=1)
