"""Pairs of COCO panoptic files: scored in any way, and every file that is wrong."""

import json
import pickle

import numpy as np
import pytest

from pix2seq_d.evaluation import pq
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs, score

NAN = float("nan")


class Files:
    """A truth and a prediction equal to it; tests break one thing at a time."""

    def __init__(self, truth):
        self.truth, self.path = truth, truth.root / "found.json"
        self.pngs = truth.root / "found"
        self.pngs.mkdir()
        for png in truth.pngs.iterdir():
            (self.pngs / png.name).write_bytes(png.read_bytes())
        truth.content = json.loads(json.dumps(truth.content))
        self.content = json.loads(
            json.dumps({"annotations": truth.content["annotations"]})
        )
        self.save()

    def save(self):
        self.truth.save_json()
        self.path.write_text(json.dumps(self.content))

    def paint(self, name, ids):
        kept, self.truth.pngs = self.truth.pngs, self.pngs
        self.truth.save_ids(name, ids)
        self.truth.pngs = kept

    def open(self, **options):
        return CocoPairs.open(self.truth.json_path, self.path, **options)

    def evaluate(self, **options):
        return pq.evaluate(self.truth.json_path, self.path, **options)


@pytest.fixture
def files(coco_folder):
    return Files(coco_folder)


def refused(error, message, action, **options):
    """Asserts that the action fails with one line: file, image, and the cure."""
    with pytest.raises(error, match=message) as info:
        action(**options)
    text = str(info.value)
    assert "\n" not in text
    assert ";" in text
    assert ".json" in text or ".png" in text or "found" in text


def test_the_truth_scores_one_and_other_images_are_ignored(files):
    # With what would be wrong in an image of the truth.
    files.content["annotations"].append(
        {
            "image_id": 99,
            "file_name": "none.png",
            "segments_info": [{"id": 1, "category_id": 1}],
        }
    )
    files.save()
    result = files.evaluate()
    assert result["All"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": 2}
    assert result["per_class"][3]["tp"] == 3
    pairs = files.open()
    assert len(pairs) == 3
    assert pairs.image_ids == (30, 10, 20)
    assert pairs.categories.names == ("sky", "door")
    assert not pairs.missing


def test_scores_of_images_add_up_in_any_process(shared):
    folder = shared / "reference/metrics/pq/facade"
    paths = folder / "panoptic_gt.json", folder / "panoptic_pred.json"
    expected = json.loads((folder / "expected.json").read_text())["per_image"]
    pairs = CocoPairs.open(*paths)
    # What a process gets and sends back.
    other = pickle.loads(pickle.dumps(pairs))
    total = Counts.zeros(len(pairs.categories))
    for row in range(len(pairs)):
        mine, sent = score(pairs, row), pickle.loads(pickle.dumps(score(other, row)))
        assert mine.counts.to_json() == sent.counts.to_json()
        assert (mine.diagnosis.table() == sent.diagnosis.table()).all()
        assert (mine.image_id, mine.file_name) == (sent.image_id, sent.file_name)
        rows = expected[str(mine.image_id)]["per_category"].values()
        for name in ("tp", "fp", "fn"):
            assert getattr(sent.counts, name).sum() == sum(r[name] for r in rows)
        assert sent.counts.iou_sum.sum() == pytest.approx(
            sum(r["iou"] for r in rows), abs=1e-9
        )
        total += sent.counts
    quality = pq.PanopticQuality(pairs.categories)
    quality.add(total)
    assert quality.result() == pq.evaluate(*paths)


def test_pngs_may_lie_elsewhere(files):
    files.truth.pngs.rename(files.truth.root / "a")
    files.pngs.rename(files.truth.root / "b")
    refused(FileNotFoundError, r"panoptic_val: no such folder", files.evaluate)
    folders = {"gt_folder": files.truth.root / "a"}
    refused(FileNotFoundError, r"found: no such folder", files.evaluate, **folders)
    folders["pred_folder"] = str(files.truth.root / "b")
    assert files.evaluate(**folders)["All"]["pq"] == 1.0


def test_missing_predictions_count_as_void_if_that_is_allowed(files):
    (files.pngs / "20.png").unlink()
    refused(FileNotFoundError, r"found: lacks 20\.png .*allow_missing", files.evaluate)
    del files.content["annotations"][0]
    files.save()
    message = r"found\.json: no annotation for image_id 30 of .*allow_missing"
    refused(ValueError, message, files.evaluate)
    pairs = files.open(allow_missing=True)
    assert pairs.missing == {20, 30}
    result = files.evaluate(allow_missing=True)
    row = result["per_class"][3]
    assert (row["tp"], row["fp"], row["fn"]) == (1, 0, 2)
    row = result["per_class"][7]
    assert (row["tp"], row["fp"], row["fn"]) == (1, 0, 2)
    # As the official tool scores an image in which nothing was found.
    files.content["annotations"] += [
        {"image_id": i, "file_name": f"{i}.png", "segments_info": []} for i in (20, 30)
    ]
    del files.content["annotations"][1]
    files.save()
    for name in ("20.png", "30.png"):
        files.paint(name, np.zeros((6, 8), np.int32))
    assert files.evaluate() == result


def test_a_prediction_for_no_image_at_all_is_a_slip(files):
    message = r"found\.json: not one of the 3 images .* correct the path"
    for png in files.pngs.iterdir():
        png.unlink()
    refused(ValueError, message, files.open, allow_missing=True)
    files.pngs.rmdir()
    refused(ValueError, message, files.open, allow_missing=True)


def test_pngs_in_subfolders_are_found(files):
    (files.pngs / "sub").mkdir()
    (files.pngs / "10.png").rename(files.pngs / "sub" / "10.png")
    files.content["annotations"][1]["file_name"] = "sub/10.png"
    files.save()
    assert files.evaluate()["All"]["pq"] == 1.0
    assert not files.open(allow_missing=True).missing


def truth_segment(files):
    return files.truth.content["annotations"][0]["segments_info"][0]


def found_segment(files):
    return files.content["annotations"][0]["segments_info"][0]


@pytest.mark.parametrize("side", [truth_segment, found_segment])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": NAN}, r"30\.png: annotations\[0\]\.segments_info: id is nan; make"),
        ({"id": 1.0}, r"30\.png: .*: id is 1\.0; make it a 32-bit integer"),
        ({"id": True}, r"30\.png: .*: id is True; make it"),
        ({"id": -1}, r"segment id -1 is not in 1\.\.16777215 .*here and in 30\.png"),
        ({"id": 0}, r"segment id 0 is not in 1\.\.16777215"),
        ({"id": 5}, r"a segment id occurs twice; .*here and in 30\.png"),
        ({"category_id": NAN}, r"30\.png: .*: category_id is nan; make it"),
        ({"category_id": False}, r"30\.png: .*: category_id is False; make it"),
        ({"category_id": 7.0}, r"30\.png: .*: category_id is 7\.0; make it"),
        ({"category_id": -7}, r"segment 1000 of 30\.png has category_id -7, which"),
        ({"category_id": 4}, r"segment 1000 of 30\.png has category_id 4, which"),
        ({"area": NAN}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"area": 12.5}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"area": -30}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"area": True}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"area": "30"}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"area": 1e400}, r"segment 1000 of 30\.png has an area that is no whole"),
        ({"iscrowd": NAN}, r"30\.png: .*: iscrowd is nan; make it 0 or 1"),
        ({"iscrowd": "0"}, r"30\.png: .*: iscrowd is '0'; make it 0 or 1"),
    ],
)
def test_bad_fields_of_a_segment(files, side, change, message):
    side(files).update(change)
    files.save()
    name = "panoptic_val" if side is truth_segment else "found"
    refused(ValueError, rf"{name}\.json: .*{message}", files.open)


def no_categories(files):
    del files.truth.content["categories"]
    return r"panoptic_val\.json has no field 'categories'"


def too_few_categories(files):
    del files.truth.content["categories"][1]
    return r"panoptic_val\.json: segment 5 of 30\.png has category_id 3"


def category_twice(files):
    files.truth.content["categories"] *= 2
    return r"panoptic_val\.json: category id 7 is given twice"


def no_isthing(files):
    files.truth.content["categories"] = [{"id": 7}]
    return r"panoptic_val\.json: categories\[0\] has no field 'isthing'"


def category_id_true(files):
    files.truth.content["categories"][0]["id"] = True
    return r"panoptic_val\.json: categories\[0\]: id is True; make it a 32-bit integer"


def other_names(files):
    categories = [{"id": 7, "name": "door"}, {"id": 3, "name": "sky"}]
    files.content["categories"] = categories
    return r"found\.json: category 7 is 'door' here and 'sky' in .*panoptic_val\.json"


def empty_truth(files):
    files.truth.content["annotations"] = []
    return r"panoptic_val\.json: annotations is empty; add annotated images"


def truth_without_segments(files):
    for annotation in files.truth.content["annotations"]:
        annotation["segments_info"] = []
    return r"panoptic_val\.json: no annotation has a segment, so there is nothing"


def empty_prediction(files):
    files.content["annotations"] = []
    return r"found\.json: annotations is empty; add annotated images"


def image_twice(files):
    files.content["annotations"] += files.content["annotations"][:1]
    return r"found\.json: annotations\[3\]: image_id 30 has two annotations; merge"


def image_twice_in_truth(files):
    files.truth.content["annotations"] += files.truth.content["annotations"][:1]
    return r"panoptic_val\.json: annotations\[3\]: image_id 30 has two annotations"


def image_id_nan(files):
    files.content["annotations"][1]["image_id"] = NAN
    return r"found\.json: annotations\[1\]: image_id is nan; make it an integer"


def no_segments_info(files):
    del files.content["annotations"][1]["segments_info"]
    return r"found\.json: annotations\[1\] has no field 'segments_info'"


def image_id_as_text(files):
    for annotation in files.content["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    return (
        r"found\.json: image_id is text here and a number in .*, such as '30' and 30;"
    )


def image_id_as_text_in_truth(files):
    for entry in (*files.truth.content["annotations"], *files.truth.content["images"]):
        for name in entry.keys() & {"id", "image_id"}:
            entry[name] = str(entry[name])
    return r"found\.json: image_id is a number here and text in .*panoptic_val\.json"


def image_absent(files):
    del files.content["annotations"][1]
    return r"found\.json: no annotation for image_id 10 of .*panoptic_val\.json"


@pytest.mark.parametrize(
    "break_",
    [
        *(no_categories, too_few_categories, category_twice, no_isthing),
        *(category_id_true, other_names, empty_truth, truth_without_segments),
        *(empty_prediction, image_twice, image_twice_in_truth, image_id_nan),
        *(no_segments_info, image_id_as_text, image_id_as_text_in_truth),
        *(image_absent,),
    ],
)
def test_bad_jsons_are_refused_before_a_pixel_is_read(files, break_):
    message = break_(files)
    files.save()
    refused(ValueError, message, files.open)


def test_damaged_and_absent_jsons(files):
    files.path.write_text('{"annotations": [')
    refused(ValueError, r"found\.json: is not JSON", files.open)
    files.path.unlink()
    refused(FileNotFoundError, r"found\.json: no such file; check", files.open)


def test_names_of_categories_that_are_not_predicted_may_differ(files):
    entries = [{"id": 7, "name": "sky"}, {"id": 3}, {"id": 90, "name": "gate"}]
    files.content["categories"] = entries
    files.save()
    assert files.evaluate()["All"]["pq"] == 1.0


def truth_png_lost(files):
    (files.truth.pngs / "10.png").unlink()
    return FileNotFoundError, r"panoptic_val: lacks 10\.png .*panoptic_val\.json"


def truth_undescribed(files):
    files.truth.save_ids("10.png", files.truth.ids + 1)
    return ValueError, r"panoptic_val/10\.png: ids 1, 6, 1001 and 1 more are not in"


def wrong_size(files):
    files.paint("10.png", files.truth.ids[:, :5])
    return ValueError, r"found/10\.png: the prediction has 5x6 pixels, the truth 8x6"


def undescribed(files):
    files.paint("10.png", files.truth.ids + 1)
    return ValueError, r"found/10\.png: ids 1, 6, 1001 and 1 more are not in segments"


def described_in_vain(files):
    files.content["annotations"][1]["segments_info"] += [{"id": 8, "category_id": 7}]
    message = (
        r"found/10\.png: predicted segments 8 of .*found\.json have no pixel; leave"
    )
    return ValueError, message


def png_damaged(files):
    (files.pngs / "10.png").write_bytes(b"no picture")
    return ValueError, r"found/10\.png: cannot be decoded"


def area_wrong(files):
    segment = files.truth.content["annotations"][1]["segments_info"][1]
    segment["area"] = 7
    return ValueError, r"panoptic_val\.json: segment 5 of 10\.png has area 7 but 6 pix"


@pytest.mark.parametrize(
    "break_",
    [
        *(truth_png_lost, truth_undescribed, wrong_size, undescribed),
        *(described_in_vain, png_damaged, area_wrong),
    ],
)
def test_bad_pngs_are_named(files, break_):
    error, message = break_(files)
    files.save()
    refused(error, message, files.evaluate)


def test_areas_that_have_no_effect_may_be_anything(files):
    # Right ones, that of the crowd, that of a segment without pixels, predicted ones.
    segments = files.truth.content["annotations"][1]["segments_info"]
    segments[1]["area"], segments[2]["area"] = 6.0, 1
    segments.append({"id": 9, "category_id": 7, "area": 50})
    for segment in files.content["annotations"][1]["segments_info"]:
        segment["area"] = 1
    files.save()
    assert files.evaluate()["per_class"][7]["fn"] == 1
