"""Boundary F against the definition, pixel by pixel and pair by pair."""

import math
import tracemalloc

import numpy as np
import pytest

from pix2seq_d.evaluation import boundary


def random_map(rng, shape, highest):
    """Blobs: a coarse random map, enlarged, with some loose pixels."""
    coarse = rng.integers(0, highest + 1, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    labels = np.kron(coarse, np.ones((4, 4), np.uint8))[: shape[0], : shape[1]]
    loose = rng.random(shape) < 0.02
    labels[loose] = rng.integers(0, highest + 1, int(loose.sum()))
    return labels.astype(np.uint8)


def slow_contour(mask):
    """The set of contour pixels of a boolean mask, by the definition."""
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            others = []
            if y + 1 < height and x + 1 < width:
                others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            elif x + 1 < width:
                others = [(y, x + 1)]
            elif y + 1 < height:
                others = [(y + 1, x)]
            if any(mask[y, x] != mask[other] for other in others):
                found.add((y, x))
    return found


def slow_hits(contour, other, radius):
    return sum(
        any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in other)
        for y, x in contour
    )


def slow_f(truth, found):
    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    g, p = slow_contour(truth), slow_contour(found)
    if not g and not p:
        return 1.0
    if not g or not p:
        return 0.0
    precision = slow_hits(p, g, radius) / len(p)
    recall = slow_hits(g, p, radius) / len(g)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("height", "width", "pixels"),
    [
        (480, 854, 8),
        (240, 432, 4),
        (1080, 1920, 18),
        (76, 100, 2),
        (6, 8, 1),
        # Diagonals of 1000, 125 and 250 give whole numbers, which do not round up.
        (600, 800, 8),
        (75, 100, 1),
        (150, 200, 2),
    ],
)
def test_tolerance(height, width, pixels):
    assert boundary.tolerance(height, width) == pixels


@pytest.mark.parametrize("shape", [(13, 17), (1, 1), (1, 9), (9, 1), (2, 2)])
def test_contours_follow_the_definition(shape):
    rng = np.random.default_rng(0)
    for _ in range(4):
        labels = random_map(rng, shape, 5)
        made = boundary.contours(labels, num_masks=4)  # 5 is background
        for k in range(4):
            own = made.mask == k
            pixels = [*zip(made.row[own], made.column[own], strict=True)]
            assert len(pixels) == len(set(pixels)) == made.lengths()[k]
            assert set(pixels) == slow_contour(labels == k + 1)


@pytest.mark.parametrize("block", [boundary._BLOCK, 1])
@pytest.mark.parametrize("radius", [0, 1, 2, 5, 40])
def test_hits_are_within_the_euclidean_distance(monkeypatch, radius, block):
    monkeypatch.setattr(boundary, "_BLOCK", block)
    rng = np.random.default_rng(radius)
    a, b = (random_map(rng, (22, 31), 3) for _ in range(2))
    b[b == 2] = 0  # a mask without a pixel
    made = boundary.hits(
        boundary.contours(a, num_masks=4),
        boundary.contours(b, num_masks=3),
        radius=radius,
    )
    expected = [
        [
            slow_hits(slow_contour(a == i), slow_contour(b == k), radius)
            for k in (1, 2, 3)
        ]
        for i in (1, 2, 3, 4)
    ]
    np.testing.assert_array_equal(made, expected)


def test_noise_takes_little_memory():
    rng = np.random.default_rng(2)
    truth, found = rng.integers(0, 21, (2, 300, 400)).astype(np.uint8)
    tracemalloc.start()
    made = boundary.f_measures(truth, found, num_objects=20, num_proposals=20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.min() > 0.9
    # Each pixel is on up to four contours of each map, with twelve bytes for each.
    assert peak < 300 * truth.size


@pytest.mark.parametrize("shape", [(30, 40), (90, 110), (3, 140)])
def test_f_measures_follow_the_definition(shape):
    rng = np.random.default_rng(1)
    truth, found = random_map(rng, shape, 2), random_map(rng, shape, 3)
    if shape == (90, 110):  # few and large masks: the slow way is slow
        truth, found = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        truth[10:40, 20:60], truth[40:80, 30:70] = 1, 2
        found[11:42, 18:60], found[50:82, 33:74], found[0:9, 80:] = 1, 2, 3
    made = boundary.f_measures(truth, found, num_objects=3, num_proposals=4)
    assert made.dtype == np.float64
    expected = [
        [slow_f(truth == o, found == p) for o in (1, 2, 3)] for p in range(1, 5)
    ]
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-15)
    assert made[3, 2] == 1.0  # neither has a pixel


def pair(truth, found):
    return boundary.f_measures(
        np.array(truth), np.array(found), num_objects=1, num_proposals=1
    ).item()


def test_equal_masks_have_one_and_distant_ones_zero():
    truth = np.zeros((40, 60), np.uint8)
    truth[5:12, 5:20] = 1
    assert pair(truth, truth) == 1.0
    assert pair(truth, np.roll(truth, 1, axis=0)) == 1.0  # tolerance is one pixel
    assert pair(truth, truth[::-1, ::-1]) == 0.0


def test_a_mask_of_the_whole_frame_has_no_contour():
    whole, none = np.ones((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    part = none.copy()
    part[2:5, 2:5] = 1
    assert pair(whole, none) == 1.0
    assert pair(whole, part) == pair(part, none) == 0.0


def test_sizes_must_be_equal():
    with pytest.raises(ValueError, match=r"sizes \(2, 3\) and \(3, 2\); give equal"):
        pair(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
