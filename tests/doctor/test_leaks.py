"""Splits compared: shared images, however they are saved, classes and categories."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.doctor.examine import examine


@pytest.fixture
def photo():
    """A smooth picture of 96 x 64, with a structure of its own."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8))
    return small.resize((96, 64), Image.Resampling.BICUBIC)


def put(folder, split, image_id, photo, suffix="png", **options):
    """Gives an image of a split other pixels; its label map grows with it."""
    root = folder.root
    json_path = root / f"panoptic_{split}.json"
    content = json.loads(json_path.read_text())
    entry = next(e for e in content["images"] if e["id"] == image_id)
    (root / "images" / split / entry["file_name"]).unlink()
    entry["file_name"] = f"{split}_{image_id}.{suffix}"
    photo.save(root / "images" / split / entry["file_name"], **options)
    json_path.write_text(json.dumps(content))
    name = next(
        a["file_name"] for a in content["annotations"] if a["image_id"] == image_id
    )
    path = root / f"panoptic_{split}" / name
    with Image.open(path) as png:
        png.resize(photo.size, Image.Resampling.NEAREST).save(path)


def test_two_splits_without_a_leak(two_splits, found):
    assert found(two_splits.root) == []


def test_the_same_file(two_splits, found, photo):
    put(two_splits, "train", 10, photo)
    put(two_splits, "val", 30, photo)
    finding = examine(two_splits.root, num_workers=1).findings
    assert [f.kind for f in finding] == ["leak"]
    assert finding[0].image_id == 30 and finding[0].split == "val"
    assert "is the same file as" in finding[0].message
    assert "train_10.png (image 10 of split 'train')" in finding[0].message


def test_the_same_pixels_in_another_encoding(two_splits, photo):
    stream = io.BytesIO()
    photo.save(stream, "JPEG")
    with Image.open(stream) as jpeg:
        put(two_splits, "train", 10, jpeg.copy(), "bmp")
        put(two_splits, "val", 30, jpeg.copy(), "png")
    finding = examine(two_splits.root, num_workers=1).findings
    assert [f.kind for f in finding] == ["leak"]
    assert "has the same pixels as" in finding[0].message


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_picture_saved_again_as_jpeg(two_splits, found, photo, quality):
    put(two_splits, "train", 10, photo)
    put(two_splits, "val", 30, photo, "jpg", quality=quality)
    assert found(two_splits.root) == [("near_leak", "val_30.jpg", 30)]


def test_a_picture_of_another_size(two_splits, found, photo):
    put(two_splits, "train", 10, photo)
    put(two_splits, "val", 30, photo.resize((192, 128), Image.Resampling.BICUBIC))
    assert found(two_splits.root) == [("near_leak", "val_30.png", 30)]


def test_a_facade_saved_again_is_seen(facade):
    """In real photos, of one street: the copy is found and nothing else."""
    train = sorted((facade / "images/train").iterdir())[3]
    val = sorted((facade / "images/val").iterdir())[5]
    with Image.open(train) as image:
        image.save(val, "JPEG", quality=60)
    findings = examine(facade, num_workers=2).findings
    near = [f for f in findings if "leak" in f.kind]
    assert [(f.kind, f.where) for f in near] == [("near_leak", str(val))]
    assert str(train) in near[0].message


def test_one_name_for_two_pictures_is_no_finding(two_splits, found):
    root = two_splits.root
    (root / "images/train/t20.png").rename(root / "images/train/20.png")
    path = root / "panoptic_train.json"
    path.write_text(
        path.read_text().replace(
            '"id": 20, "file_name": "t20', '"id": 20, "file_name": "20'
        )
    )
    assert found(root) == []


def edit(root, split, change):
    path = root / f"panoptic_{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_class_only_in_val(two_splits):
    def forget_doors(content):
        for annotation in content["annotations"]:
            annotation["segments_info"] = annotation["segments_info"][:1]

    edit(two_splits.root, "train", forget_doors)
    for path in (two_splits.root / "panoptic_train").iterdir():
        two_splits.save_ids(f"../panoptic_train/{path.name}", np.full((6, 8), 1000))
    found = examine(two_splits.root, num_workers=1).findings
    assert [f.kind for f in found] == ["class_only_in_val"]
    assert "'door' (category 3)" in found[0].message
    assert "6 in the validation" in found[0].message
    # Not all images were looked at: nothing can be said.
    assert examine(two_splits.root, num_workers=1, limit=2).findings == ()


def test_a_class_that_no_image_shows(two_splits):
    ship = {"id": 11, "name": "ship", "isthing": 1}
    for split in ("train", "val"):
        edit(two_splits.root, split, lambda c: c["categories"].append(ship))
    found = examine(two_splits.root, num_workers=1).findings
    assert [(f.kind, f.split) for f in found] == [("class_not_in_train", "train")]
    assert "'ship'" in found[0].message


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.reverse(),
        lambda c: c[0].update(name="heaven"),
        lambda c: c[0].update(isthing=1),
        lambda c: c.append({"id": 11, "name": "ship", "isthing": 1}),
    ],
)
def test_categories_that_differ(two_splits, found, change):
    edit(two_splits.root, "val", lambda content: change(content["categories"]))
    assert found(two_splits.root) == [("categories_differ", "panoptic_val.json", None)]
