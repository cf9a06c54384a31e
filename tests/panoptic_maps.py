"""Panoptic maps for tests: strips made by hand, and random pairs with every error."""

import numpy as np

from pix2seq_d.panoptic import PanopticMap, Segment

SKY, DOOR, TREE = 7, 3, 9
CATEGORIES = [
    {"id": SKY, "name": "sky", "isthing": 0},
    {"id": DOOR, "name": "door", "isthing": 1},
    {"id": TREE, "name": "tree", "isthing": 1},
]


def strip(*runs, crowd=()):
    """A map of one row: runs of (pixels, id, category); ids in `crowd` are crowd."""
    ids = np.concatenate([np.full(n, i, np.int32) for n, i, _ in runs])[None]
    segments = {i: Segment(i, c, i in crowd) for _, i, c in runs if i}
    return PanopticMap(ids, tuple(segments.values()))


def random_pair(seed, *, void=True):
    """Truth and prediction of 24 x 32 pixels: cells around points.

    The prediction moves the points, cuts cells in two, joins them, changes their
    category, leaves them out and invents some. Ids and the order of segments are
    random on both sides.
    """
    rng = np.random.default_rng(seed)
    points = rng.uniform((0, 0), (24, 32), (16, 2))
    category = rng.choice([SKY, DOOR, TREE], len(points))
    crowd = rng.random(len(points)) < 0.1 * void
    unlabelled = rng.random(len(points)) < 0.15 * void
    truth = _cells(points, np.where(unlabelled, 0, np.arange(1, 17)))

    moved = points + rng.normal(0, 1.2, points.shape)
    cell = np.arange(1, 17)
    found_category = category.copy()
    for k in range(len(points)):
        luck = rng.random()
        if luck < 0.1:
            found_category[k] = rng.choice([SKY, DOOR, TREE])
        elif luck < 0.2:
            cell[k] = 0
        elif luck < 0.4:
            same = np.flatnonzero(found_category == found_category[k])
            near = np.linalg.norm(moved[same] - moved[k], axis=1).argsort()
            cell[k] = cell[same[near[min(1, len(near) - 1)]]]
    halves = np.flatnonzero(rng.random(len(points)) < 0.35)
    moved = np.concatenate([moved, moved[halves] + rng.normal(0, 3, (len(halves), 2))])
    cell = np.concatenate([cell, 17 + np.arange(len(halves))])
    found_category = np.concatenate([found_category, found_category[halves]])
    found = _cells(moved, cell)
    category_of = dict(enumerate(found_category.tolist(), start=1))
    return (
        _renamed(truth, dict(enumerate(category.tolist(), start=1)), rng, crowd=crowd),
        _renamed(found, category_of, rng),
    )


def _cells(points, names):
    rows = np.moveaxis(np.mgrid[:24, :32], 0, -1)[:, :, None]
    return names[np.linalg.norm(rows - points, axis=-1).argmin(axis=-1)]


def _renamed(ids, category_of, rng, crowd=None):
    table = np.concatenate([[0], rng.permutation(np.arange(1, 40)) * 400_000])
    present = rng.permutation([i for i in np.unique(ids) if i])
    segments = tuple(
        Segment(
            int(table[i]),
            category_of[int(i)],
            bool(crowd is not None and crowd[i - 1]),
        )
        for i in present
    )
    return PanopticMap(table[ids].astype(np.int32), segments)
