"""PQ against panopticapi's numbers, and its rules on maps made by hand."""

import json

import numpy as np
import pytest
from panoptic_maps import CATEGORIES, DOOR, SKY, TREE, random_pair, strip

from pix2seq_d.evaluation import pq
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import read_index


def counts(truth, prediction):
    """Category id -> (tp, fp, fn, iou_sum) of one image, only counted categories."""
    quality = pq.PanopticQuality(CATEGORIES)
    quality.update(truth, prediction)
    return {
        category: (row["tp"], row["fp"], row["fn"], row["iou_sum"])
        for category, row in quality.result()["per_class"].items()
        if row["n"]
    }


@pytest.mark.parametrize("name", ["coco", "facade"])
def test_golden_values_of_panopticapi(shared, name):
    folder = shared / "reference/metrics/pq" / name
    expected = json.loads((folder / "expected.json").read_text())
    result = pq.evaluate(folder / "panoptic_gt.json", folder / "panoptic_pred.json")
    for group in ("All", "Things", "Stuff"):
        assert result[group] == pytest.approx(expected[group], abs=1e-9), group
    assert len(result["per_class"]) == len(expected["per_category"])
    for category, row in expected["per_category"].items():
        found = result["per_class"][int(category)]
        for key in ("tp", "fp", "fn"):
            assert found[key] == row[key], (category, key)
        for key in ("pq", "sq", "rq", "iou_sum"):
            assert found[key] == pytest.approx(row[key], abs=1e-9), (category, key)
        assert found["n"] == row["counted"]


@pytest.mark.parametrize("name", ["coco", "facade"])
def test_golden_counts_of_each_image_and_merge(shared, name):
    folder = shared / "reference/metrics/pq" / name
    expected = json.loads((folder / "expected.json").read_text())
    truth = read_index(folder / "panoptic_gt.json")
    found = read_index(folder / "panoptic_pred.json", required=("annotations",))
    parts = [pq.PanopticQuality(truth.label_space()) for _ in range(2)]
    for k, image_id in enumerate(truth.rows):
        image = parts[k % 2].update(
            read_map(truth, folder / "panoptic_gt", image_id),
            read_map(found, folder / "panoptic_pred", image_id),
        )
        rows = expected["per_image"][str(image_id)]["per_category"]
        assert image.counted.sum() == len(rows)
        for column, category in enumerate(truth.label_space().category_ids[1:]):
            row = rows.get(str(category), {"tp": 0, "fp": 0, "fn": 0, "iou": 0.0})
            assert image.tp[column] == row["tp"]
            assert image.fp[column] == row["fp"]
            assert image.fn[column] == row["fn"]
            assert image.iou_sum[column] == pytest.approx(row["iou"], abs=1e-9)
    parts[0].merge(parts[1])
    for group in ("All", "Things", "Stuff"):
        merged = parts[0].result()[group]
        assert merged == pytest.approx(expected[group], abs=1e-9), group


def test_perfect_is_one():
    truth = strip((6, 1, SKY), (3, 2, DOOR), (2, 3, DOOR), (2, 0, None))
    quality = pq.PanopticQuality(CATEGORIES)
    image = quality.update(truth, truth)
    result = quality.result()
    assert result["All"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": 2}
    assert result["Things"]["n"] == result["Stuff"]["n"] == 1
    assert result["per_class"][DOOR]["tp"] == 2
    assert result["per_class"][TREE]["n"] == 0
    assert image.mean_pq() == 1.0


def test_disjoint_is_zero():
    truth = strip((5, 1, SKY), (5, 2, DOOR))
    found = strip((5, 1, DOOR), (5, 2, SKY))
    quality = pq.PanopticQuality(CATEGORIES)
    assert quality.update(truth, found).mean_pq() == 0.0
    assert quality.result()["All"] == {"pq": 0.0, "sq": 0.0, "rq": 0.0, "n": 2}


def test_nothing_at_all_gives_zero_with_n_zero():
    quality = pq.PanopticQuality(CATEGORIES)
    empty = strip((4, 0, None))
    assert quality.update(empty, empty).mean_pq() == 1.0
    assert quality.result()["Things"] == {"pq": 0.0, "sq": 0.0, "rq": 0.0, "n": 0}


def test_half_overlap_is_no_match_and_one_pixel_more_is():
    truth = strip((6, 1, DOOR), (3, 2, SKY))
    half = strip((3, 1, DOOR), (6, 2, SKY))  # door 3 / 6, sky 3 / 6
    assert counts(truth, half) == {SKY: (0, 1, 1, 0.0), DOOR: (0, 1, 1, 0.0)}
    more = strip((4, 1, DOOR), (5, 2, SKY))  # door 4 / 6, sky 3 / 5
    assert counts(truth, more) == {SKY: (1, 0, 0, 3 / 5), DOOR: (1, 0, 0, 4 / 6)}


def test_the_same_place_with_another_category_is_no_match():
    assert counts(strip((5, 1, DOOR)), strip((5, 1, TREE))) == {
        DOOR: (0, 0, 1, 0.0),
        TREE: (0, 1, 0, 0.0),
    }


def test_void_pixels_leave_the_union():
    truth = strip((4, 1, DOOR), (9, 0, None))
    assert counts(truth, strip((13, 5, DOOR))) == {DOOR: (1, 0, 0, 1.0)}


def test_mostly_void_predictions_are_excused_and_half_void_ones_are_not():
    half = strip((4, 1, SKY), (4, 0, None))
    found = strip((2, 0, None), (2, 5, DOOR), (2, 5, DOOR), (2, 0, None))
    assert counts(half, found) == {SKY: (0, 0, 1, 0.0), DOOR: (0, 1, 0, 0.0)}
    more = strip((3, 1, SKY), (5, 0, None))
    assert counts(more, found) == {SKY: (0, 0, 1, 0.0)}


def test_crowd_is_never_matched_nor_missed_and_excuses_its_own_category():
    truth = strip((8, 1, DOOR), (2, 2, SKY), crowd=[1])
    empty = strip((10, 0, None))
    assert counts(truth, empty) == {SKY: (0, 0, 1, 0.0)}
    doors = strip((4, 1, DOOR), (4, 2, DOOR), (2, 3, SKY))
    assert counts(truth, doors) == {SKY: (1, 0, 0, 1.0)}
    tree = strip((8, 1, TREE), (2, 3, SKY))
    assert counts(truth, tree) == {SKY: (1, 0, 0, 1.0), TREE: (0, 1, 0, 0.0)}


def test_crowd_pixels_stay_in_the_union():
    truth = strip((6, 1, DOOR), (4, 2, DOOR), crowd=[2])
    assert counts(truth, strip((10, 5, DOOR))) == {DOOR: (1, 0, 0, 0.6)}


def test_crowd_and_void_add_up_to_an_excuse():
    truth = strip((2, 0, None), (2, 1, DOOR), (2, 2, SKY), crowd=[1])
    found = strip((6, 5, DOOR))
    assert counts(truth, found) == {SKY: (0, 0, 1, 0.0)}


def test_only_the_last_crowd_of_a_category_excuses():
    maps = [strip((5, 1, DOOR), (2, 2, DOOR), crowd=[1, 2])]
    maps.append(PanopticMap(maps[0].ids, maps[0].segments[::-1]))
    found = strip((5, 5, DOOR), (2, 0, None))
    assert counts(maps[0], found) == {DOOR: (0, 1, 0, 0.0)}
    assert counts(maps[1], found) == {}


def test_truth_segment_without_pixels_is_missed_and_crowd_is_not():
    truth = strip((4, 1, SKY))
    absent = (*truth.segments, Segment(2, DOOR), Segment(3, TREE, True))
    found = counts(PanopticMap(truth.ids, absent), truth)
    assert found == {SKY: (1, 0, 0, 1.0), DOOR: (0, 0, 1, 0.0)}


def loop_counts(truth, found):
    """The definition on sets of pixels: category -> [tp, fp, fn, sum of IoU]."""
    result = {SKY: [0, 0, 0, 0.0], DOOR: [0, 0, 0, 0.0], TREE: [0, 0, 0, 0.0]}

    def pixels(panoptic, number):
        return set(np.flatnonzero(panoptic.ids == number).tolist())

    void, crowd, matched = pixels(truth, 0), {}, set()
    for g in truth.segments:
        if g.is_crowd:
            crowd[g.category_id] = pixels(truth, g.id)
            continue
        row, mine, hit = result[g.category_id], pixels(truth, g.id), False
        for p in found.segments:
            other = pixels(found, p.id) - void
            if p.category_id == g.category_id and mine | other:
                iou = len(mine & other) / len(mine | other)
                if iou > 0.5:
                    hit = True
                    matched.add(p.id)
                    row[0] += 1
                    row[3] += iou
        row[2] += not hit
    for p in found.segments:
        other = pixels(found, p.id)
        excuse = void | crowd.get(p.category_id, set())
        if p.id not in matched and 2 * len(other & excuse) <= len(other):
            result[p.category_id][1] += 1
    return {c: pytest.approx(tuple(row), abs=1e-12) for c, row in result.items()}


def test_a_loop_over_segments_gives_the_same_on_random_maps():
    total = np.zeros(3, int)
    for seed in range(60):
        truth, found = random_pair(seed)
        quality = pq.PanopticQuality(CATEGORIES)
        quality.update(truth, found)
        expected = loop_counts(truth, found)
        for category, row in quality.result()["per_class"].items():
            values = tuple(row[key] for key in ("tp", "fp", "fn", "iou_sum"))
            assert values == expected[category], (seed, category)
            total += values[:3]
    assert (total > 100).all()


def test_invariant_to_ids_and_order_of_segments():
    rng = np.random.default_rng(5)
    for seed in range(8):
        truth, found = random_pair(seed)
        renamed = []
        for panoptic in (truth, found):
            old = np.array([0, *(s.id for s in panoptic.segments)])
            new = np.concatenate([[0], rng.permutation(len(old) - 1) * 300_000 + 255])
            table = dict(zip(old.tolist(), new.tolist(), strict=True))
            ids = np.vectorize(table.get)(panoptic.ids).astype(np.int32)
            segments = [
                Segment(table[s.id], s.category_id, s.is_crowd)
                for s in panoptic.segments
            ]
            renamed.append(PanopticMap(ids, tuple(segments)))
        # The order of the truth's segments decides which crowd excuses.
        renamed[1] = PanopticMap(renamed[1].ids, renamed[1].segments[::-1])
        results = []
        for pair in ((truth, found), renamed):
            quality = pq.PanopticQuality(CATEGORIES)
            quality.update(*pair)
            results.append(quality.to_json())
        assert results[0] == results[1]


def test_merge_is_the_union_in_any_order_and_any_shards():
    pairs = [random_pair(seed) for seed in range(30)]
    whole = pq.PanopticQuality(CATEGORIES)
    for pair in pairs:
        whole.update(*pair)
    for shards in (1, 2, 7, 30):
        parts = [pq.PanopticQuality(CATEGORIES) for _ in range(shards)]
        for k, pair in reversed(list(enumerate(pairs))):
            parts[k % shards].update(*pair)
        merged = pq.PanopticQuality(CATEGORIES)
        for part in parts:
            # As shards come from other processes.
            text = json.dumps(part.to_json())
            merged.merge(pq.PanopticQuality.from_json(json.loads(text)))
        assert merged.to_json() == whole.to_json()
        assert merged.result() == whole.result()
    assert 0.1 < whole.result()["All"]["pq"] < 0.9


def test_a_sum_of_very_many_matches_is_exact():
    truth = strip((3, 1, DOOR), (3, 2, SKY))
    found = strip((2, 1, DOOR), (1, 0, None), (3, 2, SKY))
    quality = pq.PanopticQuality(CATEGORIES)
    image = quality.update(truth, found)
    for _ in range(32):
        quality.add(quality.counts)
    row = quality.result()["per_class"][DOOR]
    assert row["tp"] == 2**32
    assert row["iou_sum"] == 2**32 * (2 / 3)
    assert image.iou_sum[1] == 2 / 3


def test_label_space_and_json_entries_are_the_same():
    from_space = pq.PanopticQuality(LabelSpace.from_json(CATEGORIES))
    from_json = pq.PanopticQuality(CATEGORIES)
    from_space.merge(from_json)
    assert list(from_space.result()["per_class"]) == [SKY, DOOR, TREE]


def test_merge_of_other_categories_is_refused():
    with pytest.raises(ValueError, match="different categories"):
        pq.PanopticQuality(CATEGORIES).merge(pq.PanopticQuality(CATEGORIES[:2]))


def test_bad_categories_are_refused():
    with pytest.raises(ValueError, match=r"categories\[1\] has no field 'isthing'"):
        pq.PanopticQuality([CATEGORIES[0], {"id": 1}])
    with pytest.raises(ValueError, match="category id 7 is given twice"):
        pq.PanopticQuality(CATEGORIES[:1] * 2)
    with pytest.raises(ValueError, match=r"categories\[0\] has isthing nan"):
        pq.PanopticQuality([{"id": 1, "isthing": float("nan")}])
    for number in (True, 1.0, -1, float("nan"), "1"):
        with pytest.raises(ValueError, match=r"categories\[0\] has id"):
            pq.PanopticQuality([{"id": number, "isthing": 1}])
    with pytest.raises(ValueError, match="categories is empty"):
        pq.PanopticQuality([])


def test_categories_keep_names_and_compare_without_them():
    categories = Categories.of(CATEGORIES)
    assert categories.names == ("sky", "door", "tree")
    unnamed = Categories.of([{"id": 7, "isthing": 0}])
    assert unnamed.names == ("category 7",)
    assert Categories.of(CATEGORIES[:1]) == unnamed
    assert Categories.of(categories.to_json()) == categories


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (strip((5, 1, DOOR)), "5x1 pixels, the truth 4x1"),
        (strip((4, 1, 99)), "segment 1 of the prediction has category_id 99"),
        (PanopticMap(np.full((1, 4), 6, np.int32), ()), "ids 6 of the prediction"),
        (
            PanopticMap(
                np.full((1, 4), 6, np.int32), (Segment(6, DOOR), Segment(8, DOOR))
            ),
            "predicted segments 8 have no pixel",
        ),
        (
            PanopticMap(np.full((1, 4), 6, np.int32), (Segment(6, DOOR),) * 2),
            "occurs twice",
        ),
    ],
)
def test_bad_predictions_are_refused_and_change_nothing(found, message):
    quality = pq.PanopticQuality(CATEGORIES)
    with pytest.raises(ValueError, match=message):
        quality.update(strip((4, 1, DOOR)), found)
    assert quality.result()["All"]["n"] == 0
