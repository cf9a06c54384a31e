"""PQ against panopticapi's numbers, and its rules on maps made by hand."""

import json

import numpy as np
import pytest

from pix2seq_d.evaluation import pq
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import read_index

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


def counts(truth, prediction):
    """Category id -> (tp, fp, fn, iou_sum) of one image, only counted categories."""
    quality = pq.PanopticQuality(CATEGORIES)
    quality.update(truth, prediction)
    return {
        category: (row["tp"], row["fp"], row["fn"], row["iou_sum"])
        for category, row in quality.result()["per_class"].items()
        if row["n"]
    }


def random_map(seed, shape=(24, 32)):
    rng = np.random.default_rng(seed)
    ids = np.kron(rng.integers(0, 9, (shape[0] // 4, shape[1] // 4)), np.ones((4, 4)))
    return PanopticMap(
        ids.astype(np.int32),
        tuple(
            Segment(
                int(i), int(rng.choice([SKY, DOOR, TREE])), bool(rng.random() < 0.2)
            )
            for i in np.unique(ids)
            if i
        ),
    )


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


def half_right(truth, seed):
    """The truth with its upper third replaced by other segments."""
    other, ids = random_map(seed), truth.ids.copy()
    ids[:8] = np.where(other.ids[:8] > 0, other.ids[:8] + 100, 0)
    segments = truth.segments + tuple(
        Segment(s.id + 100, s.category_id) for s in other.segments
    )
    present = set(np.unique(ids).tolist())
    return PanopticMap(ids, tuple(s for s in segments if s.id in present))


def test_invariant_to_ids_and_order_of_predictions():
    rng = np.random.default_rng(5)
    matches = 0
    for seed in range(5):
        truth = random_map(seed)
        found = half_right(truth, seed + 50)
        table = rng.permutation(np.arange(1, 110) * 150_000)
        table[0] = 0
        relabelled = PanopticMap(
            table[found.ids].astype(np.int32),
            tuple(Segment(int(table[s.id]), s.category_id) for s in found.segments),
        )
        backwards = PanopticMap(relabelled.ids, relabelled.segments[::-1])
        expected = counts(truth, found)
        matches += sum(tp for tp, _, _, _ in expected.values())
        for other in (relabelled, backwards):
            for category, row in counts(truth, other).items():
                assert row == pytest.approx(expected[category], abs=1e-12)
    assert matches > 5


def test_merge_equals_one_pass():
    whole = pq.PanopticQuality(CATEGORIES)
    parts = [pq.PanopticQuality(CATEGORIES) for _ in range(3)]
    for seed in range(6):
        truth = random_map(seed)
        found = half_right(truth, seed + 50)
        whole.update(truth, found)
        parts[seed % 3].update(truth, found)
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert 0.1 < whole.result()["All"]["pq"] < 0.9
    for key, value in whole.result().items():
        for name, number in value.items():
            assert parts[2].result()[key][name] == pytest.approx(number, abs=1e-12)


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


def predict_truth(folder):
    """A prediction equal to the truth, its crowd as an ordinary segment."""
    path = folder.root / "found.json"
    (folder.root / "found").mkdir()
    for png in folder.pngs.iterdir():
        (folder.root / "found" / png.name).write_bytes(png.read_bytes())
    content = {"annotations": folder.content["annotations"]}
    path.write_text(json.dumps(content))
    return path, json.loads(json.dumps(content))


def test_evaluate_of_the_truth_is_one_and_skips_other_images(coco_folder):
    path, content = predict_truth(coco_folder)
    content["annotations"].append(
        {"image_id": 99, "file_name": "none.png", "segments_info": []}
    )
    path.write_text(json.dumps(content))
    result = pq.evaluate(coco_folder.json_path, str(path))
    assert result["All"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": 2}
    assert result["per_class"][3]["tp"] == 3


def test_evaluate_names_what_is_missing(coco_folder):
    path, content = predict_truth(coco_folder)
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        pq.evaluate(coco_folder.json_path, coco_folder.root / "none.json")
    (coco_folder.root / "found" / "20.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"found: lacks 20\.png"):
        pq.evaluate(coco_folder.json_path, path)
    path.write_text(json.dumps({"annotations": content["annotations"][:2]}))
    with pytest.raises(ValueError, match=r"found\.json: no annotation for image_id 20"):
        pq.evaluate(coco_folder.json_path, path)
    with pytest.raises(ValueError, match=r"found\.json has no field 'categories'"):
        pq.evaluate(path, path)


def test_evaluate_names_bad_categories_of_the_truth(coco_folder):
    path, _ = predict_truth(coco_folder)
    categories = coco_folder.content["categories"]
    for changed, message in (
        (categories[:1], r"panoptic_val\.json: segment 5 of 30\.png has category_id 3"),
        (categories * 2, r"panoptic_val\.json: category id 7 is given twice"),
        ([{"id": 7}], r"panoptic_val\.json: categories\[0\] has no field 'isthing'"),
    ):
        coco_folder.content["categories"] = changed
        coco_folder.save_json()
        with pytest.raises(ValueError, match=message):
            pq.evaluate(coco_folder.json_path, path)


def test_evaluate_names_the_file_of_bad_pixels(coco_folder):
    path, content = predict_truth(coco_folder)
    coco_folder.pngs = coco_folder.root / "found"
    coco_folder.save_ids("10.png", coco_folder.ids[:, :5])
    with pytest.raises(ValueError, match=r"10\.png: the prediction has 5x6 pixels"):
        pq.evaluate(coco_folder.json_path, path)
    coco_folder.save_ids("10.png", coco_folder.ids + 1)
    with pytest.raises(ValueError, match=r"10\.png: ids 1, 6, 1001 and 1 more are not"):
        pq.evaluate(coco_folder.json_path, path)
    content["annotations"][0]["segments_info"][0]["category_id"] = 4
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"30\.png: segment 1000 .* category_id 4"):
        pq.evaluate(coco_folder.json_path, path)
