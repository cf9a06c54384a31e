"""How fast panoptic quality is counted, beside a loop over the segments.

  python benchmarks/metrics.py [--images=500] [--seed=0] [--output=metrics.json]

Draws street fronts of 640 x 480 pixels with 20 to 40 segments of 11 classes, some
void and some crowd, and predictions that shift, split, merge, drop, invent and
relabel segments. Counts the PQ of all of them on one core, in one process,

  * by `pix2seq_d.evaluation`, without and with the diagnosis of errors,
  * pair by pair: a loop over the truth's and the predicted segments of a category,
    each pair two boolean masks, as one writes the definition down,
  * by table: np.unique of combined ids, then loops over dicts, as panopticapi does,

checks that all four agree, and prints CPU times and their ratios. Reading the same
maps from PNG files is measured beside it, for that is what a run on files adds.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image, ImageDraw
from speed import report

from pix2seq_d.cli import app
from pix2seq_d.evaluation import text_table
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.diagnosis import diagnose
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.files import Folder
from pix2seq_d.panoptic import PanopticMap, Segment, ids_to_rgb
from pix2seq_d.panoptic_files import decode_map

_WIDTH, _HEIGHT = 640, 480
_NAMES = (
    *("sky", "wall", "roof", "pavement", "vegetation"),
    *("window", "door", "balcony", "shop", "car", "person"),
)
_FIRST_THING = 5
_CATEGORIES = Categories.of(
    [
        {"id": k, "name": name, "isthing": int(k > _FIRST_THING)}
        for k, name in enumerate(_NAMES, start=1)
    ]
)

# Category id and (left, top, right, bottom) of a shape; id 0 paints void.
Shape = tuple[int, tuple[float, float, float, float]]
Pair = tuple[PanopticMap, PanopticMap]
# Category id -> [sum of IoU, TP, FP, FN].
Sums = dict[int, list[float]]


def main(argv: list[str]) -> None:
    """Prints a table."""
    values = app.new_flags()
    flags.DEFINE_integer(
        "images", 500, "Pairs of maps.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_integer("seed", 0, "Of the drawing.", flag_values=values)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    report.check_output(values.output)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    times, segments = measure(values.images, values.seed)
    print(table(times, values.images, segments / (2 * values.images)))
    found = {"benchmark": "metrics", "images": values.images, "seconds": times}
    report.write(values.output, found)


def measure(images: int, seed: int) -> tuple[dict[str, float], int]:
    """CPU seconds of every way to count, and the number of segments in all maps.

    Raises:
      AssertionError: two ways give different counts.
    """
    times = {name: 0.0 for name in ("ours", "diagnosed", "pairs", "table", "read")}
    total = Counts.zeros(len(_NAMES))
    loops: list[Sums] = [{k: [0.0, 0, 0, 0] for k in _CATEGORIES.ids} for _ in "pt"]
    segments = 0
    with tempfile.TemporaryDirectory() as folder:
        for done, pair in enumerate(draw_pairs(images, seed), start=1):
            segments += sum(len(panoptic.segments) for panoptic in pair)
            # In turns, so that a busy machine slows all of them alike.
            ticks = [time.process_time()]
            overlap = compare(*pair, _CATEGORIES)
            matching = overlap.match()
            total += overlap.count(matching)
            ticks.append(time.process_time())
            diagnose(overlap, matching)
            ticks.append(time.process_time())
            count_by_pairs(*pair, loops[0])
            ticks.append(time.process_time())
            count_by_table(*pair, loops[1])
            ticks.append(time.process_time())
            times["ours"] += ticks[1] - ticks[0]
            times["diagnosed"] += ticks[2] - ticks[0]
            times["pairs"] += ticks[3] - ticks[2]
            times["table"] += ticks[4] - ticks[3]
            times["read"] += _read_seconds(pair, Path(folder))
            if done % 10 == 0 or done == images:
                print(f"\r{done}/{images} images", end="", file=sys.stderr)
    print(file=sys.stderr)
    for sums in loops:
        _check_equal(total, sums)
    return times, segments


def count_by_pairs(truth: PanopticMap, found: PanopticMap, sums: Sums) -> None:
    """Adds one image to `sums`: a mask for each segment, a loop over the pairs."""
    void = truth.ids == 0
    masks = {p.id: found.ids == p.id for p in found.segments}
    area = {i: np.count_nonzero(mask) for i, mask in masks.items()}
    on_void = {i: np.count_nonzero(mask & void) for i, mask in masks.items()}
    matched = set()
    crowd: dict[int, np.ndarray] = {}
    for g in truth.segments:
        mask = truth.ids == g.id
        if g.is_crowd:
            crowd[g.category_id] = mask
            continue
        truth_area = np.count_nonzero(mask)
        for p in found.segments:
            if p.category_id != g.category_id:
                continue
            shared = np.count_nonzero(mask & masks[p.id])
            union = truth_area + area[p.id] - shared - on_void[p.id]
            if 2 * shared > union:
                matched.add(p.id)
                sums[g.category_id][0] += shared / union
                sums[g.category_id][1] += 1
                break
        else:
            sums[g.category_id][3] += 1
    for p in found.segments:
        if p.id in matched:
            continue
        excused = on_void[p.id]
        if p.category_id in crowd:
            excused += np.count_nonzero(masks[p.id] & crowd[p.category_id])
        if 2 * excused <= area[p.id]:
            sums[p.category_id][2] += 1


def count_by_table(truth: PanopticMap, found: PanopticMap, sums: Sums) -> None:
    """Adds one image to `sums`: np.unique over all pixels, then loops over dicts."""
    truths = {s.id: s for s in truth.segments}
    founds = {s.id: s for s in found.segments}
    truth_area = _areas(truth.ids)
    found_area = _areas(found.ids)
    shared: dict[tuple[int, int], int] = {}
    keys = truth.ids.astype(np.uint64) * 2**24 + found.ids.astype(np.uint64)
    for key, count in zip(*np.unique(keys, return_counts=True), strict=True):
        shared[int(key) >> 24, int(key) & (2**24 - 1)] = int(count)
    matched_truth, matched_found = set(), set()
    for (i, j), count in shared.items():
        if i not in truths or j not in founds or truths[i].is_crowd:
            continue
        if truths[i].category_id != founds[j].category_id:
            continue
        union = truth_area[i] + found_area[j] - count - shared.get((0, j), 0)
        if count / union > 0.5:
            sums[truths[i].category_id][0] += count / union
            sums[truths[i].category_id][1] += 1
            matched_truth.add(i)
            matched_found.add(j)
    crowd = {}
    for i, segment in truths.items():
        if segment.is_crowd:
            crowd[segment.category_id] = i
        elif i not in matched_truth:
            sums[segment.category_id][3] += 1
    for j, segment in founds.items():
        if j in matched_found:
            continue
        excused = shared.get((0, j), 0)
        if segment.category_id in crowd:
            excused += shared.get((crowd[segment.category_id], j), 0)
        if excused / found_area[j] <= 0.5:
            sums[segment.category_id][2] += 1


def _areas(ids: np.ndarray) -> dict[int, int]:
    present, counts = np.unique(ids, return_counts=True)
    return dict(zip(present.tolist(), counts.tolist(), strict=True))


def _check_equal(total: Counts, sums: Sums) -> None:
    rows = np.array([sums[category] for category in _CATEGORIES.ids])
    assert (rows[:, 1:] == np.stack([total.tp, total.fp, total.fn], -1)).all()
    np.testing.assert_allclose(rows[:, 0], total.iou_sum, rtol=1e-12)


def _read_seconds(pair: Pair, folder: Path) -> float:
    """CPU time of reading both maps from PNG files; writing is not counted."""
    names = ("truth.png", "found.png")
    for panoptic, name in zip(pair, names, strict=True):
        Image.fromarray(ids_to_rgb(panoptic.ids)).save(folder / name)
    start = time.process_time()
    for panoptic, name in zip(pair, names, strict=True):
        file = Folder(folder).read(name)
        decode_map(file, segments=panoptic.segments, described_in="the drawing")
    return time.process_time() - start


def draw_pairs(count: int, seed: int) -> Iterator[Pair]:
    """Draws `count` truths and predictions."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        shapes = _street(rng)
        truth = _paint(shapes, rng, first_id=int(rng.integers(1, 2**23)), wobble=0)
        # The crowd: what stands far away and is not told apart.
        crowd = rng.random(len(truth.segments)) < 0.03
        segments = tuple(
            Segment(s.id, s.category_id, bool(c) and s.category_id > _FIRST_THING)
            for s, c in zip(truth.segments, crowd, strict=True)
        )
        found = _paint(
            list(_perturbed(shapes, rng)),
            rng,
            first_id=int(rng.integers(1, 2**23)),
            wobble=2.5,
        )
        yield PanopticMap(truth.ids, segments), found


def _street(rng: np.random.Generator) -> list[Shape]:
    """Shapes of a scene, back to front."""
    horizon, ground = rng.uniform(60, 140), rng.uniform(390, 430)
    shapes: list[Shape] = [
        (1, (0, 0, _WIDTH, _HEIGHT)),
        (2, (0, horizon, _WIDTH, ground)),
        (3, (rng.uniform(0, 80), horizon - 40, rng.uniform(500, 640), horizon + 10)),
        (4, (0, ground, _WIDTH, _HEIGHT)),
    ]
    columns, rows = int(rng.integers(4, 7)), int(rng.integers(3, 5))
    step, floor = _WIDTH / columns, (ground - horizon) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = column * step + 0.25 * step, horizon + row * floor + 0.2 * floor
            lowest = row == rows - 1
            kind = int(rng.choice([7, 9, 6])) if lowest else 6
            width = step * (0.75 if kind == 9 else rng.uniform(0.4, 0.55))
            height = floor * (0.8 if lowest else rng.uniform(0.5, 0.65))
            shapes.append((kind, (x, y, x + width, y + height)))
            if not lowest and rng.random() < 0.2:
                edge = y + 0.9 * height
                shapes.append((8, (x - 8, edge, x + width + 8, edge + 14)))
    for kind, most, width, height in (
        (5, 3, 70, 160),
        (10, 3, 110, 50),
        (11, 4, 18, 50),
    ):
        for _ in range(rng.integers(0, most)):
            x, y = rng.uniform(0, _WIDTH - width), ground + rng.uniform(10, 40)
            shapes.append((kind, (x, y - height, x + width, y)))
    x = rng.uniform(0, 500)
    shapes.append((0, (x, rng.uniform(300, 440), x + rng.uniform(30, 140), _HEIGHT)))
    return shapes


def _perturbed(shapes: list[Shape], rng: np.random.Generator) -> Iterator[Shape]:
    """What a model of middling quality might find instead."""
    last: Shape | None = None
    for kind, box in shapes:
        left, top, right, bottom = box + rng.normal(0, 3, 4)
        luck = rng.random()
        if kind == 0 or luck < 0.06:
            continue
        if luck < 0.1:
            kind = int(rng.integers(1, len(_NAMES) + 1))
        if luck < 0.16 and kind > _FIRST_THING:
            cut = left + rng.uniform(0.3, 0.7) * (right - left)
            yield kind, (left, top, cut, bottom)
            left = cut
        if luck > 0.92 and last is not None and last[0] == kind > _FIRST_THING:
            left, top = min(left, last[1][0]), min(top, last[1][1])
        last = (kind, (left, top, right, bottom))
        yield last
    if rng.random() < 0.5:
        x, y = rng.uniform(0, 560), rng.uniform(0, 400)
        yield int(rng.integers(6, 12)), (x, y, x + 40, y + 50)


def _paint(
    shapes: list[Shape], rng: np.random.Generator, *, first_id: int, wobble: float
) -> PanopticMap:
    """Paints shapes as polygons; one segment per thing, one per class of stuff."""
    canvas = Image.new("I", (_WIDTH, _HEIGHT))
    brush = ImageDraw.Draw(canvas)
    category_of: dict[int, int] = {}
    of_stuff: dict[int, int] = {}
    for k, (kind, box) in enumerate(shapes):
        number = first_id + 1000 * k if kind else 0
        if 0 < kind <= _FIRST_THING:
            number = of_stuff.setdefault(kind, number)
        category_of[number] = kind
        brush.polygon(_outline(box, rng, wobble), fill=number)
    ids = np.asarray(canvas, np.int32)
    present = set(np.unique(ids).tolist()) - {0}
    return PanopticMap(ids, tuple(Segment(i, category_of[i]) for i in sorted(present)))


def _outline(
    box: tuple[float, float, float, float], rng: np.random.Generator, wobble: float
) -> list[tuple[float, float]]:
    """A box as a slightly slanted polygon, its sides wobbling every 16 pixels."""
    left, top, right, bottom = box
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    corners = corners + rng.normal(0, 1.5, (4, 2))
    points = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = max(int(np.hypot(*(end - start)) / 16), 1)
        side = start + (end - start) * np.arange(steps)[:, None] / steps
        points.append(side + rng.normal(0, wobble, side.shape))
    return [(float(x), float(y)) for x, y in np.concatenate(points)]


def table(times: dict[str, float], images: int, segments: float) -> str:
    """The times as text."""
    rows = (
        ("ours", "ours"),
        ("ours, with the diagnosis", "diagnosed"),
        ("loop over pairs of masks", "pairs"),
        ("np.unique and dict loops", "table"),
        ("reading both PNGs", "read"),
    )
    cells = []
    for title, name in rows:
        ms = 1e3 * times[name] / images
        ratio = times[name] / times["ours"]
        cells.append([title, f"{ms:.2f}", f"{1e3 / ms:.0f}", f"{ratio:.1f}"])
    head = ("", "CPU ms an image", "images/s a core", "times ours")
    return (
        f"\n{images} pairs of maps, {_WIDTH} x {_HEIGHT}, {segments:.0f} segments a "
        f"map, {len(_NAMES)} classes, one core\n\n{text_table.markdown(head, cells)}"
    )


if __name__ == "__main__":
    sys.exit(app.run(main, "metrics"))
