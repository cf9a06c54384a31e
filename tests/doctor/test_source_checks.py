"""Layouts that are read through their `Source`: every example, without stopping."""

import functools
import json

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.data import arrays
from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.doctor import layouts
from pix2seq_d.doctor.examine import examine
from pix2seq_d.doctor.source_checks import SourceSplit


@pytest.fixture
def npz(coco_folder, tmp_path):
    root = tmp_path / "npz"
    arrays.save(root / "val.npz", CocoPanoptic.from_root(coco_folder.root, "val"))
    return root


def edit_npz(root, change):
    with np.load(root / "val.npz") as file:
        content = dict(file)
    annotations = json.loads(str(content["annotations"]))
    change(content, annotations)
    content["annotations"] = np.array(json.dumps(annotations))
    np.savez(root / "val.npz", **content)


def test_arrays_are_detected_and_fine(npz):
    examination = examine(npz, num_workers=1)
    assert examination.layout == "arrays"
    assert examination.findings == ()
    assert examination.splits[0].statistics.num_segments == 9


def test_a_bad_entry_does_not_hide_the_others(npz, found):
    def change(content, annotations):
        del annotations[0]["segments_info"]
        content["ids"][1] = 0
        annotations[2]["segments_info"].append({"id": 4, "category_id": 7})

    edit_npz(npz, change)
    assert found(npz) == [
        ("unreadable_example", "val.npz", None),
        ("empty_segment", "val.npz", 20),
        ("all_void", "val.npz", 20),
        ("empty_segment", "val.npz", 30),
        ("much_void", "val.npz", None),
    ]


def test_a_split_that_is_no_npz(npz, found):
    (npz / "train.npz").write_text("hello")
    assert found(npz) == [("split", "train.npz", None)]


def source_split(folder):
    source = CocoPanoptic.from_root(folder.root, "val")
    return SourceSplit("val", source, where=str(folder.root), max_instances=256)


def kinds(split):
    return [[f.kind for f in split.check(k).findings] for k in range(len(split))]


def test_encoded_examples_are_checked_by_half(coco_folder):
    """A bad image does not hide the bad labels of the same example."""
    split = source_split(coco_folder)
    assert kinds(split) == [[], [], []]
    (coco_folder.images / "10.png").write_bytes(b"x")
    (coco_folder.pngs / "10.png").write_bytes(b"x")
    with Image.open(coco_folder.images / "20.png") as image:
        image.resize((4, 4)).save(coco_folder.images / "20.png")
    (coco_folder.images / "30.png").unlink()
    assert kinds(split) == [
        ["unreadable_image", "unreadable_labels"],
        ["size_mismatch"],
        ["unreadable_example"],
    ]
    finding = split.check(2).findings[0]
    assert finding.where == str(coco_folder.images / "30.png")
    assert finding.message == "no such file"


def test_an_unknown_layout(tmp_path):
    with pytest.raises(ValueError, match="unknown; choose auto, coco_panoptic"):
        examine(tmp_path, layout="voc")
    with pytest.raises(ValueError, match="name its layout with --layout"):
        examine(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no panoptic_"):
        examine(tmp_path, layout="coco_panoptic")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        examine(tmp_path / "absent")


@pytest.mark.parametrize(
    "layout", ["cityscapes", "kitti_step", "davis", "vipseg", "cityscapes_vps"]
)
def test_an_empty_folder_of_another_layout(tmp_path, layout):
    open_it = functools.partial(examine, tmp_path, layout=layout, num_workers=1)
    assert {f.kind for f in open_it().findings} == {"split"}
    assert open_it().errors


def test_splits_are_found(coco_folder):
    root = coco_folder.root
    (root / "panoptic_coco_categories.json").write_text("[]")
    assert layouts.find_splits(root, "coco_panoptic") == ["val"]
    (root / "annotations").mkdir()
    coco_folder.json_path.rename(root / "annotations" / "panoptic_train2017.json")
    coco_folder.pngs.rename(root / "annotations" / "panoptic_train2017")
    assert layouts.find_splits(root, "coco_panoptic") == ["train2017"]
