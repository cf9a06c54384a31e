"""One PNG per object -> COCO panoptic."""

import numpy as np
import pytest
from converter_checks import (
    assert_same_maps,
    load,
    refused,
    save_image,
    save_json,
    save_labels,
    scenes,
)

from pix2seq_d.data.converters import mask_files
from pix2seq_d.data.shapes import LABEL_SPACE

NAMES = {c.id: c.name for c in LABEL_SPACE.categories}


class Masks:
    def __init__(self, root):
        self.root = root
        save_image(root / "images" / "a.jpg")
        self.add("traffic_light_1", slice(0, 2), slice(0, 2))
        self.add("traffic_light_2", slice(0, 4), slice(0, 4))

    def add(self, name, rows, cols, value=255):
        mask = np.zeros((6, 8), np.uint8)
        mask[rows, cols] = value
        save_labels(self.root / "masks" / "a" / f"{name}.png", mask)

    def convert(self, **keywords):
        folders = [self.root / name for name in ("images", "masks", "out")]
        return mask_files.convert(*folders, split="train", **keywords)


@pytest.fixture
def masks(tmp_path):
    return Masks(tmp_path)


def test_mask_files_round_trip(tmp_path):
    examples = scenes()
    for example in examples:
        stem = example.file_name.removesuffix(".png")
        save_image(tmp_path / "images" / "sub" / example.file_name, (48, 64))
        for segment in example.panoptic.segments:
            name = f"{NAMES[segment.category_id]}_{segment.id}.png"
            mask = example.panoptic.ids == segment.id
            save_labels(tmp_path / "masks" / "sub" / stem / name, mask, bool)
    report = mask_files.convert(
        tmp_path / "images",
        tmp_path / "masks",
        tmp_path / "out",
        split="train",
        categories=save_json(tmp_path / "c.json", LABEL_SPACE.to_json()),
    )
    for before, after in zip(examples, load(report)[1], strict=True):
        assert after.file_name == f"sub/{before.file_name}"
        assert_same_maps(before.panoptic, after.panoptic)


def test_mask_files_orders_names_and_counts(masks):
    save_image(masks.root / "images" / "b.png")
    masks.add("empty_3", 0, 0, 0)
    masks.add("traffic_light_10", slice(5, 6), slice(0, 1), 7)
    report = masks.convert()
    assert report.dropped == {"objects without a pixel": 1, "images without masks": 1}
    source, (example,) = load(report)
    assert source.label_space.names() == ("void", "empty", "traffic_light")
    assert sorted(np.bincount(example.panoptic.ids.ravel())[1:]) == [1, 4, 12]
    report = masks.convert(order="given", overwrite=True)
    assert report.dropped["objects hidden by others"] == 1 and report.segments == 2


def test_mask_files_that_are_bad_are_named(masks):
    root = masks.root
    categories = save_json(root / "c.json", [{"id": 1, "name": "car", "isthing": 1}])
    message = r"a/traffic_light_1\.png: class 'traffic_light' is not a category of"
    refused(ValueError, message, masks.convert, categories=categories)
    twice = [{"id": i, "name": "car", "isthing": 1} for i in (1, 2)]
    twice = save_json(root / "twice.json", twice)
    refused(ValueError, "named car are given twice", masks.convert, categories=twice)
    masks.add("car_1", 0, [0, 1], [100, 200])
    refused(ValueError, r"car_1\.png: holds values 100, 200 beside 0", masks.convert)
    save_labels(root / "masks" / "a" / "car_1.png", np.zeros((6, 7)))
    refused(ValueError, r"car_1\.png: is for 7x6 pixels", masks.convert)
    save_image(root / "masks" / "a" / "car_1.png")
    refused(ValueError, r"car_1\.png: has mode RGB; export", masks.convert)
    (root / "masks" / "a" / "car_1.png").write_bytes(b"x")
    refused(ValueError, r"car_1\.png: cannot be decoded", masks.convert)
    (root / "masks" / "a").rename(root / "masks" / "z")
    message = r"images: has no image for the masks of z \(1 of 1\); add"
    refused(FileNotFoundError, message, masks.convert)
    (root / "masks" / "z").rename(root / "z")
    refused(ValueError, "masks: holds no folder of PNGs; make", masks.convert)
