"""launch.predict --denoising: how each mask came about, as a GIF or a film strip."""

import dataclasses
from pathlib import Path

from PIL import Image

from pix2seq_d.inference.result import Result
from pix2seq_d.panoptic import resize_nearest
from pix2seq_d.segmenter import Segmenter, Settings
from pix2seq_d.visualize.denoising import denoising_gif, panel_shape
from pix2seq_d.visualize.panels import resize_photo
from pix2seq_d.visualize.sheet import filmstrip

SUFFIXES = {"gif": ".gif", "strip": ".png"}  # of each --denoising
FOLDER = "denoising"


def write_denoising(
    segmenter: Segmenter, result: Result, path: Path, settings: Settings
) -> None:
    """Samples once more, keeping every step, and writes what the steps look like.

    The steps are decoded as they are; the last picture is the result, after vote, area
    and merge.

    Args:
      segmenter: that made the result.
      result: of an image.
      path: a `.gif`, else a film strip as PNG.
      settings: of the prediction.
    """
    found = segmenter.denoising(
        result.image,
        num_steps=settings.get("num_steps"),
        seed=settings.get("seed", 0),
        sampler=settings.get("sampler"),
        time_difference=settings.get("time_difference"),
        start_time=settings.get("start_time"),
    )
    moves = path.suffix == ".gif"
    long_side = 512 if moves else 256
    # Maps no finer than need be: specks of noise then are single pixels.
    mask_side = max(found.states.shape[1:3])
    fold = next(k for k in (4, 2, 1) if k == 1 or long_side // k >= mask_side)
    size = panel_shape(result.image, panel_size=long_side, multiple=fold)
    small = size[0] // fold, size[1] // fold
    ids = resize_nearest(result.panoptic.ids, small)
    states = [found.raw_map(step, small) for step in range(len(found))]
    states.append(dataclasses.replace(result.panoptic, ids=ids))
    captions = [
        f"step {step} of {len(found)}, gamma {gamma:.2f}"
        for step, gamma in enumerate(found.gammas.tolist(), start=1)
    ]
    captions.append("result")
    picture = resize_photo(result.image, size), states, captions, segmenter.label_space
    path.parent.mkdir(exist_ok=True)
    if moves:
        path.write_bytes(denoising_gif(*picture))
    else:
        Image.fromarray(filmstrip(*picture)).save(path)
