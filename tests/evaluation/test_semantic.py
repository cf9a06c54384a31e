"""mIoU: its definition by masks, its properties, and bad input."""

import json

import numpy as np
import pytest
from volumes import slow_iou

from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs
from pix2seq_d.evaluation.semantic import MeanIoU
from pix2seq_d.evaluation.semantic_pairs import class_overlap


def random_pair(seed, ignore=255, shape=(8, 9)):
    rng = np.random.default_rng(seed)
    values = [0, 1, 2, 4, ignore]
    gt, other = (rng.choice(values, shape).astype(np.uint8) for _ in range(2))
    return gt, np.where(rng.random(shape) < 0.6, gt, other)


def quality_of(pairs, ignore=255):
    quality = MeanIoU(5, ignore_label=ignore)
    for pair in pairs:
        quality.update(*pair)
    return quality


@pytest.mark.parametrize("ignore", [255, 5, 1])
def test_equals_its_definition_by_masks(ignore):
    pairs = [random_pair(seed, ignore) for seed in range(3)]
    result = quality_of(pairs, ignore).result()
    gt, pred = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    iou = slow_iou(gt, pred, {*range(5)} - {ignore}, ignore)
    assert result["mIoU"] == pytest.approx(float(sum(iou.values()) / len(iou)))
    assert result["iou_per_class"] == {
        c: float(iou[c]) if c in iou else None for c in range(5) if c != ignore
    }
    assert result["iou_per_class"][3] is None
    labelled = gt != ignore
    assert result["pixel_accuracy"] == (gt == pred)[labelled].mean()


def test_ignored_pixels_do_not_count_and_predicted_ignore_is_a_miss():
    result = quality_of([([[0, 0, 255, 1]], [[0, 255, 1, 1]])]).result()
    assert result["iou_per_class"] == {0: 0.5, 1: 1.0, 2: None, 3: None, 4: None}
    assert result["mIoU"] == 0.75
    assert result["pixel_accuracy"] == 2 / 3


def test_equal_maps_give_one_and_disjoint_maps_zero():
    gt, _ = random_pair(0)
    assert quality_of([(gt, gt)]).result()["mIoU"] == 1
    assert quality_of([(gt, np.where(gt == 0, 1, 0))]).result()["mIoU"] == 0


def test_merge_order_and_json_give_the_same_bits():
    pairs = [random_pair(seed) for seed in range(5)]
    whole = quality_of(pairs).result()
    assert quality_of(pairs[::-1]).result() == whole
    part = quality_of(pairs[2:])
    part.merge(quality_of(pairs[:2]))
    assert part.result() == whole
    text = json.dumps(part.to_json())
    assert MeanIoU.from_json(json.loads(text)).result() == whole
    assert json.loads(text)["images"] == 5


def test_update_returns_the_result_of_its_image():
    quality = quality_of([random_pair(0)])
    pair = random_pair(1)
    assert quality.update(*pair) == quality_of([pair]).result()
    void = np.full((2, 2), 255)
    assert quality.update(void, void)["mIoU"] is None


def test_bad_input_is_refused_and_adds_nothing():
    quality = quality_of([random_pair(0)])
    before = quality.result()
    zero = np.zeros((2, 3), np.uint8)
    for gt, pred, message in (
        (zero, zero + 7, r"image 1: the prediction holds classes 7, not 0\.\.4 or 255"),
        (zero, zero[:1], "image 1: the prediction has 3x1 pixels, the truth 3x2"),
        (zero, zero * np.nan, "image 1: the prediction is float"),
        (zero[:0], zero[:0], "image 1: has no pixels"),
    ):
        with pytest.raises(ValueError, match=message):
            quality.update(gt, pred)
    with pytest.raises(ValueError, match=r"^x\.png: the truth holds classes 9, not"):
        quality.update(zero + 9, zero, where="x.png")
    assert quality.result() == before
    with pytest.raises(ValueError, match="different num_classes or ignore_label"):
        quality.merge(MeanIoU(5, ignore_label=0))
    with pytest.raises(ValueError, match="no images were added; add at least one"):
        quality_of([]).result()
    with pytest.raises(ValueError, match="no pixel of the truth is labelled"):
        quality_of([(zero + 255, zero)]).result()


def predict_truth(folder):
    """A prediction equal to the truth."""
    (folder.root / "found").mkdir()
    for path in folder.pngs.iterdir():
        (folder.root / "found" / path.name).write_bytes(path.read_bytes())
    path = folder.root / "found.json"
    path.write_text(json.dumps({"annotations": folder.content["annotations"]}))
    return path


def test_coco_panoptic_files_are_semantic_maps_too(coco_folder):
    pairs = CocoPairs.open(coco_folder.json_path, predict_truth(coco_folder))
    quality = MeanIoU(len(pairs.categories), ignore_label=len(pairs.categories))
    for row in range(len(pairs)):
        quality.add(class_overlap(pairs, row))
    assert quality.result()["iou_per_class"] == {0: 1.0, 1: 1.0}
    assert quality.images == 3
    # 42 pixels are labelled, 12 of them doors (crowd or not); 6 doors become sky.
    ids = coco_folder.ids
    coco_folder.pngs = coco_folder.root / "found"
    coco_folder.save_ids("30.png", np.where(ids == 5, 1000, ids))
    coco_folder.content["annotations"][0]["segments_info"].pop(1)
    (coco_folder.root / "found.json").write_text(json.dumps(coco_folder.content))
    pairs = CocoPairs.open(coco_folder.json_path, coco_folder.root / "found.json")
    image = quality.add(class_overlap(pairs, 0))
    assert image["iou_per_class"] == {0: 30 / 36, 1: 6 / 12}
    assert quality.result()["iou_per_class"] == {0: 120 / 126, 1: 42 / 48}
    coco_folder.save_ids("30.png", np.where(ids == 5, 1000, ids)[:, :5])
    with pytest.raises(ValueError, match=r"found/30.png: the prediction has 5x6 pix"):
        class_overlap(pairs, 0)
