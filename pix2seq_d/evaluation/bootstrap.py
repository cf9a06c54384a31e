"""How far a score depends on which images were drawn: intervals by the bootstrap.

The images are drawn again with replacement, as many as there are, and the score is
computed from the sums over the draw: its spread over many draws estimates its spread
over other images of the same kind. Sums of whole numbers below 2**53 are exact in
float64, so the interval is the same on every machine.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", percentile intervals.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import GROUPS, Counts, group_means

# Draws that are summed by one matrix product.
_CHUNK = 64


def intervals(
    statistic: Callable[[np.ndarray], np.ndarray],
    per_image: np.ndarray,
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> np.ndarray:
    """Percentile intervals of statistics of sums over images.

    Args:
      statistic: sums [R, K] float64 -> values [R, S] float64, nan where undefined.
      per_image: [N, K] int64, what an image adds to the sums.
      num_resamples: R in all; `statistic` gets them in one piece.
      level: share of the draws that the interval holds, in (0, 1).
      seed: draw k is a Philox stream of its own with the key (seed, k).
    Returns:
      [S, 2] float64, lower and upper end; nan where no draw defines the value.
    Raises:
      ValueError: fewer than two images, or an argument out of range.
    """
    if len(per_image) < 2:
        raise ValueError(
            f"{len(per_image)} images have no spread; evaluate at least 2 for intervals"
        )
    if num_resamples < 1 or not 0 < level < 1 or seed < 0:
        raise ValueError(
            f"num_resamples {num_resamples}, level {level}, seed {seed}; give at "
            "least 1, a share between 0 and 1, and a seed from 0 on"
        )
    values = statistic(_resampled(per_image, num_resamples, seed))
    ends = np.full((values.shape[1], 2), np.nan)
    defined = ~np.isnan(values).all(axis=0)
    tail = (1 - level) / 2
    ends[defined] = np.nanquantile(values[:, defined], [tail, 1 - tail], axis=0).T
    return ends


def pq_intervals(
    per_image: Sequence[Counts],
    categories: Categories,
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Intervals of PQ, SQ and RQ by image.

    A draw in which a category or a group has no count says nothing about it.

    Args:
      per_image: the counts of each image, at least two.
      categories: of their columns.
      num_resamples: draws; as `level` and `seed`, see `intervals`.
      level: share of the draws that an interval holds.
      seed: of the draws.
    Returns:
      `All`, `Things`, `Stuff`: `pq`, `sq`, `rq`, each [lower, upper] as fractions;
      `per_class`: category id -> `pq`, and `images`, the number of images in which
      the category has any count: from one image no spread can be told. None in place
      of an interval that is not defined. `num_images`, `num_resamples`, `level` and
      `seed` as they were.
    """
    stacked = Counts(
        *(
            np.stack([getattr(counts, field.name) for counts in per_image])
            for field in dataclasses.fields(Counts)
        )
    )
    num = len(categories)

    def statistic(sums: np.ndarray) -> np.ndarray:
        blocks = sums.astype(np.int64).reshape(len(sums), num, 5)
        counts = Counts(blocks[..., :2], *np.moveaxis(blocks[..., 2:], -1, 0))
        means = [
            group_means(value, counts.counted, is_thing=categories.is_thing)
            for value in (counts.pq, counts.sq, counts.rq)
        ]
        return np.concatenate(
            [*means, np.where(counts.counted, counts.pq, np.nan)], axis=1
        )

    columns = (stacked.iou_parts[..., 0], stacked.iou_parts[..., 1])
    columns = np.stack([*columns, stacked.tp, stacked.fp, stacked.fn], axis=-1)
    ends = [
        None if np.isnan(row).any() else row.tolist()
        for row in intervals(
            statistic,
            columns.reshape(len(per_image), 5 * num),
            num_resamples=num_resamples,
            level=level,
            seed=seed,
        )
    ]
    result: dict[str, Any] = {
        group: {name: ends[3 * k + row] for k, name in enumerate(("pq", "sq", "rq"))}
        for row, group in enumerate(GROUPS)
    }
    images = stacked.counted.sum(axis=0).tolist()
    result["per_class"] = {
        category: {"pq": ends[9 + k], "images": images[k]}
        for k, category in enumerate(categories.ids)
    }
    return result | {
        "num_images": len(per_image),
        "num_resamples": num_resamples,
        "level": level,
        "seed": seed,
    }


def _resampled(per_image: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """[num_resamples, K] float64: sums over the images of each draw."""
    rows = per_image.astype(np.float64)
    sums = np.empty((num_resamples, rows.shape[1]))
    for start in range(0, num_resamples, _CHUNK):
        draws = range(start, min(start + _CHUNK, num_resamples))
        # How often each image is drawn: the sums of all draws are one product.
        times = np.stack([_draw(len(rows), seed, k) for k in draws])
        sums[start : start + len(draws)] = times.astype(np.float64) @ rows
    return sums


def _draw(num_images: int, seed: int, number: int) -> np.ndarray:
    """[num_images] int64: how often draw `number` takes each image."""
    key = np.array([seed, number], np.uint64)
    rng = np.random.Generator(np.random.Philox(key=key))
    taken = rng.integers(num_images, size=num_images)
    return np.bincount(taken, minlength=num_images)
