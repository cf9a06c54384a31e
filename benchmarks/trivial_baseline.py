"""What PQ has a prediction that never looks at the image?

  python benchmarks/trivial_baseline.py --config=custom:tiny \
      --config.data.source.root=DIR [--output=baseline.json]

Counts the classes of the training split, pixel by pixel, on a grid of the config's
mask size, and predicts for every validation image

  * the most frequent class of each pixel,
  * the same, void where that class has less than a share of the training images,
  * one stuff class everywhere: that with the most pixels.

A stuff class is one segment; things are told apart as connected regions. Scores are PQ
at the original size, with the smallest segments left out as of a model's. The best
baseline is chosen on the validation split, to its advantage.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags
from speed import report

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation import table
from pix2seq_d.evaluation.pq import PanopticQuality
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.inference.postprocess import to_panoptic
from pix2seq_d.inference.regions import RULE, number_regions
from pix2seq_d.labels import VOID, LabelSpace
from pix2seq_d.panoptic import PanopticMap, resize_nearest
from pix2seq_d.progress import Progress
from pix2seq_d.visualize.colors import segment_semantics

SHARES = (0.3, 0.5, 0.7)


def main(argv: list[str]) -> None:
    """Prints a table."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config")
    report.check_output(values.output)
    config = config_lib.from_config_dict(values.config)
    size, grid = config.model.image_size, config.model.mask_size
    train, val = (
        sources.make_source(config.data.source, train=is_train, size=size)
        for is_train in (True, False)
    )
    sources.check_labels(train.label_space, val.label_space)
    counts = count_classes(train, grid)
    found = score(
        layouts(counts, train.label_space),
        val,
        min_area=config.evaluation.min_area,
    )
    best = max(found, key=lambda name: found[name]["All"]["pq"])
    print(table.groups_markdown(found))
    print(f"\nbest: {best}, PQ {percent(found[best]['All']['pq'])}")
    content = {
        "benchmark": "trivial_baseline",
        "data": config.data.source.name,
        "images": {"train": len(train), "val": len(val)},
        "grid": grid,
        "min_area": config.evaluation.min_area,
        "best": best,
        "baselines": {
            name: table.result_to_json(result, val.label_space)
            for name, result in found.items()
        },
    }
    report.write(values.output, content)


def count_classes(source: Source, grid: tuple[int, int]) -> np.ndarray:
    """How often each class is at each place of the images, void left out.

    Args:
      source: of the images; each is brought to the grid by nearest neighbour.
      grid: (h, w).
    Returns:
      [h, w, num_classes] int64; 0 for class 0, void.
    """
    num_classes = source.label_space.num_classes
    counts = np.zeros((*grid, num_classes), np.int64)
    rows, columns = np.indices(grid)
    progress = Progress("count", len(source), unit="image")
    for number in range(len(source)):
        _, semantic, index = segment_semantics(
            source[number].panoptic, source.label_space
        )
        counts[rows, columns, semantic[resize_nearest(index, grid)]] += 1
        progress.update(number + 1)
    counts[..., VOID] = 0
    return counts


def layouts(counts: np.ndarray, label_space: LabelSpace) -> dict[str, np.ndarray]:
    """Name of each baseline -> the classes that it predicts.

    Args:
      counts: [h, w, num_classes] int64, as `count_classes` gives them.
      label_space: the categories.
    Returns:
      [h, w] int64 semantic ids each. Where nothing was counted it is void, and
      without a stuff class the last baseline is left out.
    """
    most, total = counts.max(axis=-1), counts.sum(axis=-1)
    winner = np.where(total > 0, counts.argmax(axis=-1), VOID)
    found = {"most frequent class of the pixel": winner}
    for share in SHARES:
        name = f"the same, void below {100 * share:.0f} % of the images"
        found[name] = np.where(most >= share * total, winner, VOID)
    stuff = counts.sum(axis=(0, 1)) * ~label_space.is_thing
    if stuff.any():
        name = f"{label_space.names()[stuff.argmax()]} everywhere"
        found[name] = np.full(winner.shape, stuff.argmax())
    return found


def segments(
    semantic: np.ndarray, label_space: LabelSpace, *, min_area: int
) -> PanopticMap:
    """Things as connected regions, a stuff class as one, without the small ones."""
    region = number_regions(semantic, is_thing=label_space.is_thing)
    labels = np.stack([semantic, region], -1)
    return to_panoptic(labels, label_space, min_area=min_area, rule=RULE)


def score(
    layout: Mapping[str, np.ndarray], source: Source, *, min_area: int
) -> dict[str, dict[str, dict[Any, Any]]]:
    """PQ of every layout as the prediction for every image.

    Args:
      layout: name -> [h, w] int semantic ids.
      source: of the images.
      min_area: of a segment, in pixels of the original image.
    Returns:
      Name -> as `PanopticQuality.result`.
    """
    label_space = source.label_space
    qualities = {name: PanopticQuality(label_space) for name in layout}
    made: dict[tuple[str, tuple[int, ...]], PanopticMap] = {}
    progress = Progress("score", len(source), unit="image")
    for number in range(len(source)):
        truth = source[number].panoptic
        for name, semantic in layout.items():
            key = name, truth.ids.shape
            if key not in made:  # one for each size of the images
                made[key] = segments(
                    resize_nearest(semantic, truth.ids.shape),
                    label_space,
                    min_area=min_area,
                )
            qualities[name].update(truth, made[key])
        progress.update(number + 1)
    return {name: quality.result() for name, quality in qualities.items()}


if __name__ == "__main__":
    sys.exit(app.run(main, "trivial_baseline"))
