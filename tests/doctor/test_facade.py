"""Real data: the intact set is fine, and twelve defects in a copy are all named."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.doctor import report
from pix2seq_d.doctor.coco_files import CocoSplit
from pix2seq_d.doctor.examine import examine
from pix2seq_d.files import Folder
from pix2seq_d.image_files import File


def read(root, split):
    return json.loads((root / f"panoptic_{split}.json").read_text())


def counted(root, split):
    """Segments with a pixel of each category, counted without the doctor."""
    content = read(root, split)
    segments = Counter()
    for annotation in content["annotations"]:
        with Image.open(root / f"panoptic_{split}" / annotation["file_name"]) as png:
            rgb = np.asarray(png).reshape(-1, 3).astype(np.int64)
        present = set((rgb * (1, 256, 65536)).sum(-1).tolist())
        for segment in annotation["segments_info"]:
            segments[segment["category_id"]] += segment["id"] in present
    return segments


def test_the_intact_copy_is_fine(facade):
    examination = examine(facade, num_workers=2)
    assert examination.errors == []
    assert [len(r.split) for r in examination.splits] == [20, 20]
    total = 0
    for result in examination.splits:
        expected = counted(facade, result.split.name)
        assert result.statistics.segments == +expected
        total += expected.total()
    line = report.verdict(examination)
    assert line.startswith("the set is fine to train on: 20 + 20 images, ")
    assert f"{total:,} segments, 11 classes (5 things, 6 stuff)" in line


def test_the_whole_set_is_fine(shared):
    root = shared / "data/facade_panoptic_256"
    examination = examine(root, num_workers=2)
    assert report.verdict(examination) == (
        "the set is fine to train on: 478 + 57 images, 15,184 segments, 11 classes "
        "(5 things, 6 stuff); no remarks"
    )


def test_twelve_defects(facade):
    images, pngs = facade / "images/train", facade / "panoptic_train"
    content = read(facade, "train")
    annotations = content["annotations"]
    image_of = {entry["id"]: images / entry["file_name"] for entry in content["images"]}
    ids = [a["image_id"] for a in annotations]
    image = [image_of[i] for i in ids]
    png = [pngs / a["file_name"] for a in annotations]
    expected = set()

    def expect(kind, k, path):
        expected.add((kind, path.name, ids[k]))

    json_path = facade / "panoptic_train.json"
    image[0].unlink()
    expect("missing_image", 0, image[0])
    png[1].unlink()
    expect("missing_png", 1, png[1])
    image[2].write_bytes(image[2].read_bytes()[:3000])
    expect("unreadable_image", 2, image[2])
    png[3].write_bytes(b"")
    expect("unreadable_labels", 3, png[3])
    with Image.open(png[4]) as map_file:
        map_file.convert("P").save(png[4])
    expect("png_format", 4, png[4])
    with Image.open(image[5]) as photo:
        photo.resize((200, 256)).save(image[5])
    expect("size_mismatch", 5, png[5])
    annotations[6]["segments_info"].pop()
    expect("undescribed_ids", 6, png[6])
    annotations[7]["segments_info"].append({"id": 2**24 - 1, "category_id": 7})
    expect("empty_segment", 7, png[7])
    annotations[8]["segments_info"][0]["area"] += 10
    expect("area", 8, png[8])
    annotations[9]["segments_info"].append(annotations[9]["segments_info"][0])
    expect("duplicate_segment_id", 9, json_path)
    annotations[10]["segments_info"][0]["category_id"] = 77
    expect("unknown_category", 10, json_path)
    annotations.append(annotations[11])
    expect("duplicate_annotation", 11, json_path)
    json_path.write_text(json.dumps(content))

    examination = examine(facade, splits=["train"], num_workers=2)
    seen = [
        (f.kind, f.where.partition(": ")[0].rpartition("/")[2], f.image_id)
        for f in examination.findings
        if f.kind != "class_not_in_train"
    ]
    assert len(expected) == 12
    # The JSON's width belongs to the image as it was.
    follows = [("json_size", image[5].name, ids[5])]
    assert sorted(seen, key=str) == sorted([*expected, *follows], key=str)
    for finding in examination.findings:
        assert "\n" not in finding.line and finding.cure
    assert report.verdict(examination) == "10 problems in 8 files"


@pytest.mark.parametrize("index", [0, 1])
def test_the_official_sample_has_no_errors(shared, index):
    folder = shared / "data/coco_panoptic_sample/sample_data"
    split = CocoSplit(
        "examples",
        Folder(folder / "input_images"),
        File.read(folder / "panoptic_examples.json"),
        Folder(folder / "panoptic_examples"),
        max_instances=256,
    )
    assert len(split) == 2 and split.findings == []
    checked = split.check(index)
    print(checked.findings)
    assert checked.findings == ()
    assert checked.map and checked.map.segments
