"""Bootstrap intervals against a plain loop, and how often they hold the truth."""

import json
import time
from typing import Any

import numpy as np
import pytest
from panoptic_maps import CATEGORIES, SKY, TREE, random_pair, strip

from pix2seq_d.evaluation import bootstrap
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.pq import PanopticQuality

SPACE = Categories.of(CATEGORIES)


def image_counts(pairs):
    quality = PanopticQuality(SPACE)
    return [quality.update(*pair) for pair in pairs]


def mean(sums):
    return sums[:, :1] / sums[:, 1:]


def test_equal_to_a_loop_over_draws():
    per_image = image_counts(random_pair(seed) for seed in range(12))
    made = bootstrap.pq_intervals(per_image, SPACE, num_resamples=70, level=0.9, seed=3)
    results = []
    for k in range(70):
        key = np.array([3, k], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        quality = PanopticQuality(SPACE)
        for image in rng.integers(12, size=12):
            quality.add(per_image[image])
        results.append(quality.result())
    for group in ("All", "Things", "Stuff"):
        for name in ("pq", "sq", "rq"):
            values = [r[group][name] for r in results]
            expected = np.quantile(values, [0.05, 0.95])
            assert made[group][name] == pytest.approx(expected, abs=1e-12)
    for category in SPACE.ids:
        values = [r["per_class"][category] for r in results]
        values = [v["pq"] for v in values if v["n"]]
        expected = np.quantile(values, [0.05, 0.95])
        assert made["per_class"][category]["pq"] == pytest.approx(expected, abs=1e-12)
    assert json.loads(json.dumps(made))["num_images"] == 12
    assert made["All"]["pq"][0] < made["All"]["pq"][1]


def test_the_seed_decides_and_chunks_do_not(monkeypatch):
    per_image = image_counts(random_pair(seed) for seed in range(5))
    made = [
        bootstrap.pq_intervals(per_image, SPACE, num_resamples=50, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert made[0] == made[1]
    assert made[0]["All"] != made[2]["All"]
    monkeypatch.setattr(bootstrap, "_CHUNK", 7)
    assert made[0] == bootstrap.pq_intervals(per_image, SPACE, num_resamples=50)


def test_what_no_draw_holds_has_no_interval():
    truth = strip((6, 1, SKY), (2, 0, None))
    made = bootstrap.pq_intervals(image_counts([(truth, truth)] * 3), SPACE)
    assert made["All"]["pq"] == made["Stuff"]["pq"] == [1.0, 1.0]
    assert made["Things"] == {"pq": None, "sq": None, "rq": None}
    assert made["per_class"][TREE] == {"pq": None, "images": 0}
    assert made["per_class"][SKY] == {"pq": [1.0, 1.0], "images": 3}


def test_draws_without_a_category_say_nothing_about_it():
    sky, tree = strip((6, 1, SKY)), strip((6, 1, TREE))
    pairs = [(sky, sky)] * 9 + [(tree, tree)]
    made = bootstrap.pq_intervals(image_counts(pairs), SPACE)
    assert made["per_class"][TREE] == {"pq": [1.0, 1.0], "images": 1}
    assert made["Things"]["pq"] == [1.0, 1.0]


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held, widths = 0, []
    for trial in range(200):
        # Ratio of sums with mean 0.6, as PQ of one category is.
        size = rng.integers(1, 6, 60)
        per_image = np.stack([rng.binomial(size, 0.6), size], axis=-1)
        low, high = bootstrap.intervals(
            mean, per_image, num_resamples=200, level=0.9, seed=trial
        )[0]
        held += low <= 0.6 <= high
        widths.append(high - low)
    assert 0.82 <= held / 200 <= 0.96
    # The width that the normal distribution gives: 2 x 1.645 standard errors.
    assert np.mean(widths) == pytest.approx(
        3.29 * np.sqrt(0.6 * 0.4 / (60 * 3)), rel=0.1
    )


def test_the_size_of_coco_takes_seconds():
    rng = np.random.default_rng(0)
    shape = (5000, 133)
    matched = rng.integers(0, 3, shape)
    counts = [Counts(np.stack([m << 23, m], -1), m, m, m // 2) for m in matched]
    space = Categories.of([{"id": k, "isthing": k % 2} for k in range(133)])
    start = time.process_time()
    made = bootstrap.pq_intervals(counts, space)
    assert time.process_time() - start < 60
    low, high = made["All"]["pq"]
    assert 0.5 < low < high < 0.7


def test_bad_arguments_are_refused():
    one = image_counts([random_pair(0)])
    with pytest.raises(ValueError, match="1 images have no spread; evaluate at least"):
        bootstrap.pq_intervals(one, SPACE)
    bad: list[dict[str, Any]] = [{"num_resamples": 0}, {"level": 1.0}, {"seed": -1}]
    for options in bad:
        with pytest.raises(ValueError, match="give at least 1, a share"):
            bootstrap.pq_intervals(one * 2, SPACE, **options)
