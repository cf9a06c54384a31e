"""CVAT's "Segmentation mask 1.1" -> COCO panoptic."""

import json
import zipfile

import numpy as np
import pytest
from converter_checks import (
    assert_same_maps,
    load,
    refused,
    save_image,
    save_json,
    save_labels,
    turned_jpeg,
)
from PIL import Image

from pix2seq_d.data.converters import cvat


class Cvat:
    """One image of 6 x 8 pixels: sky (0, 0, 250), two cars (9, 9, 9), void."""

    def __init__(self, root):
        self.root = root / "export"
        self.classes = np.zeros((6, 8, 3), np.uint8)
        self.objects = np.zeros((6, 8, 3), np.uint8)
        self.classes[:3], self.objects[:3] = (0, 0, 250), (128, 0, 0)
        self.classes[3:5, :4] = 9
        self.objects[3:5, :2], self.objects[3:5, 2:4] = (0, 128, 0), (128, 128, 0)
        save_image(self.root / "JPEGImages" / "a b.jpg")
        self.labels = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
        self.labels += "car:9,9,9::\nsky:0,0,250::\n"
        entries = [
            {"id": 20, "name": "sky", "isthing": 0},
            {"id": 10, "name": "car", "isthing": 1},
        ]
        self.categories = save_json(root / "c.json", entries)
        self.lists = {"default": "a b\n"}
        self.save()

    def save(self):
        for folder, values in (("Class", self.classes), ("Object", self.objects)):
            save_labels(self.root / f"Segmentation{folder}" / "a b.png", values)
        (self.root / "labelmap.txt").write_text(self.labels)
        sets = self.root / "ImageSets" / "Segmentation"
        sets.mkdir(parents=True, exist_ok=True)
        for name, text in self.lists.items():
            (sets / f"{name}.txt").write_text(text)

    def convert(self, source=None, **keywords):
        keywords = {"categories": self.categories, "overwrite": True} | keywords
        output = self.root.parent / "out"
        return cvat.convert(source or self.root, output, split="train", **keywords)

    def panoptic(self, *arguments, **keywords):
        return load(self.convert(*arguments, **keywords))[1][0].panoptic


@pytest.fixture
def exported(tmp_path):
    return Cvat(tmp_path)


def test_cvat_folder_and_zip(exported, tmp_path):
    panoptic = exported.panoptic()
    found = {
        (s.category_id, int((panoptic.ids == s.id).sum())) for s in panoptic.segments
    }
    assert found == {(20, 24), (10, 4)} and len(panoptic.segments) == 3
    assert not any(s.is_crowd for s in panoptic.segments)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as packed:
        for path in exported.root.rglob("*"):
            packed.write(path, path.relative_to(exported.root).as_posix())
    assert_same_maps(exported.panoptic(tmp_path / "export.zip"), panoptic)


def test_cvat_palettes_gray_indices_and_images_elsewhere(exported, tmp_path):
    expected = exported.panoptic()
    (exported.root / "JPEGImages").rename(tmp_path / "pictures")
    for folder in ("Class", "Object"):
        path = exported.root / f"Segmentation{folder}" / "a b.png"
        colors = Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE)
        colors.save(path)
    images_dir = tmp_path / "pictures"
    assert_same_maps(exported.panoptic(images_dir=images_dir), expected)
    gray = np.zeros((6, 8), np.uint8)
    gray[:3], gray[3:5, :4] = 2, 1  # positions in labelmap.txt
    path = exported.root / "SegmentationClass" / "a b.png"
    Image.fromarray(gray).save(path)
    assert_same_maps(exported.panoptic(images_dir=images_dir), expected)
    Image.fromarray(gray + 1).save(path)
    message = r"values 3 are not in labelmap\.txt; export again"
    refused(ValueError, message, exported.convert, images_dir=images_dir)


def test_cvat_labels_without_categories_are_things(exported):
    exported.objects[3:5, :2] = 0
    exported.save()
    source, (example,) = load(exported.convert(categories=None))
    names = [(c.id, c.name, c.is_thing) for c in source.label_space.categories]
    assert names == [(1, "car", True), (2, "sky", True)]
    assert [s.is_crowd for s in example.panoptic.segments].count(True) == 1


def test_cvat_background_can_be_a_category(exported):
    entries = json.loads(exported.categories.read_text())
    entries.append({"id": 30, "name": "background", "isthing": 0})
    save_json(exported.categories, entries)
    panoptic = exported.panoptic()
    assert 30 in {s.category_id for s in panoptic.segments}
    assert (panoptic.ids > 0).all()


def test_cvat_subsets_and_images_without_masks(exported):
    exported.lists |= {"other": "a b\nmissing\n", "none": "\n"}
    exported.save()
    report = exported.convert(subset="other")
    assert report.dropped == {"images without masks": 1}
    message = "subsets found: default, none, other; name the one"
    refused(ValueError, message, exported.convert)
    refused(FileNotFoundError, r"no x\.txt", exported.convert, subset="x")
    refused(ValueError, r"none\.txt names no image", exported.convert, subset="none")


def test_cvat_images_that_exif_turns(exported):
    turned_jpeg(exported.root / "JPEGImages" / "a b.jpg")
    exported.classes = exported.classes.transpose(1, 0, 2)
    exported.objects = exported.objects.transpose(1, 0, 2)
    exported.save()
    assert exported.panoptic().ids.shape == (8, 6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("car:9,9::", r"labelmap\.txt: line 1: is not 'label:R,G,B::'; export"),
        ("car", "line 1: is not 'label"),
        ("car:9,9,999::", "line 1: is not 'label"),
        ("car:9,9,9::\nbus:9,9,9::", "line 2: 'bus' has the colour of 'car'; give"),
        ("car:0,0,0::", "line 1: 'car' is black as the background; give"),
        ("car:9,9,9::", r"a b\.png: colours \(0, 0, 250\) are not in labelmap\.txt"),
        ("cat:9,9,9::", r"labelmap\.txt: class 'cat' is not a category of .*; add it"),
    ],
)
def test_cvat_bad_labels_are_named(exported, labels, message):
    exported.labels = labels
    exported.save()
    refused(ValueError, message, exported.convert)


def test_cvat_bad_files_are_named(exported, tmp_path):
    exported.classes = exported.classes[:, :7]
    exported.save()
    message = r"SegmentationClass/a b\.png: is for 7x6 pixels, its image .*8x6"
    refused(ValueError, message, exported.convert)
    path = exported.root / "SegmentationClass" / "a b.png"
    path.write_bytes(path.read_bytes()[:50])
    refused(ValueError, r"a b\.png: cannot be decoded", exported.convert)
    image = exported.root / "JPEGImages" / "a b.jpg"
    image.rename(tmp_path / "x.jpg")
    message = r"a b: no such image \(.*\); export with images, or give"
    refused(FileNotFoundError, message, exported.convert)
    (exported.root / "labelmap.txt").unlink()
    refused(FileNotFoundError, r"labelmap\.txt: no such file", exported.convert)
    refused(FileNotFoundError, "no such file; check", exported.convert, tmp_path / "no")
    message = "cannot be read as a zip file"
    refused(ValueError, message, exported.convert, exported.categories)
