"""A tiny COCO folder, intact, with defects in its maps, and with several at once."""

import numpy as np
import pytest
from coco_defects import JSON, annotation, assert_named, image, segments, trains

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.doctor.capacity import Capacity
from pix2seq_d.doctor.examine import examine
from pix2seq_d.instance_ids import number


def undescribed(f):
    segments(f).pop(1)
    return [("undescribed_ids", "20.png", 20)]


def empty_segment(f):
    segments(f).append({"id": 8, "category_id": 3})
    return [("empty_segment", "20.png", 20)]


def wrong_area(f):
    segments(f)[1]["area"] = 7
    return [("area", "20.png", 20)]


def wrong_bbox(f):
    segments(f)[1]["bbox"] = [1, 2, 2, 4]
    return [("bbox", "20.png", 20)]


def right_area_and_bbox(f):
    segments(f)[1].update(area=6, bbox=[1, 2, 2, 3])
    return []


def stuff_in_parts(f):
    segments(f)[1]["category_id"] = 7
    return [("stuff_in_parts", "20.png", 20)]


def all_void(f):
    f.save_ids("20.png", np.zeros((6, 8), np.int32))
    segments(f).clear()
    return [("all_void", "20.png", 20), ("much_void", JSON, None)]


def only_crowd(f):
    f.save_ids("20.png", np.full((6, 8), 70000))
    annotation(f)["segments_info"] = [segments(f)[2]]
    return [("all_void", "20.png", 20), ("much_crowd", JSON, None)]


def same_picture_twice(f):
    image(f).save(f.images / "30.png")
    return [("duplicate_image", "30.png", 30)]


DEFECTS = (
    undescribed, empty_segment, wrong_area, wrong_bbox, right_area_and_bbox,
    stuff_in_parts, all_void, only_crowd, same_picture_twice,
)  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.__name__)
def test_a_defect_is_named(coco_folder, found, defect):
    assert_named(coco_folder, found, defect)


def test_the_tiny_folder_is_fine(coco_folder, found):
    assert found(coco_folder.root) == []
    assert trains(coco_folder.root)


def test_several_defects_are_all_named(coco_folder, found):
    (coco_folder.images / "20.png").unlink()
    (coco_folder.pngs / "10.png").write_bytes(b"\x89PNG")
    coco_folder.content["annotations"][0]["segments_info"][0]["category_id"] = 99
    coco_folder.save_json()
    assert found(coco_folder.root) == [
        ("unknown_category", JSON, 30),
        ("missing_image", "20.png", 20),
        ("unreadable_labels", "10.png", 10),
    ]


def test_too_many_segments_are_counted_as_in_training(coco_folder):
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    for most in (2, 3, 4):
        examination = examine(
            coco_folder.root, model=Capacity(max_instances=most), num_workers=1
        )
        dropped = sum(
            number([e.panoptic], source.label_space, max_instances=most).num_dropped
            for e in source
        )
        statistics = examination.splits[0].statistics
        assert statistics.num_dropped == dropped == (3 if most == 2 else 0)
        kinds = [f.kind for f in examination.findings]
        assert kinds == ["too_many_instances"] * dropped


def test_a_split_that_cannot_be_opened(coco_folder, found):
    assert found(coco_folder.root, splits=["val", "test"]) == [
        ("split", "dataset", None)
    ]
