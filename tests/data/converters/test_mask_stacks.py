"""What annotation tools leave -> COCO panoptic: LabelMe, CVAT, a PNG per object."""

import base64
import io
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
    scenes,
)
from PIL import Image

from pix2seq_d.data.converters import cvat, labelme, mask_files
from pix2seq_d.data.shapes import LABEL_SPACE

NAMES = {c.id: c.name for c in LABEL_SPACE.categories}


def png_text(mask):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def turned_jpeg(path):
    """A JPEG stored as 6 x 8 pixels, that EXIF shows as 8 x 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path, exif=exif)


# LabelMe


class LabelMe:
    def __init__(self, root):
        self.root, self.content = root / "labels", {}
        save_image(self.root / "a.jpg")
        self.content = {
            "imagePath": "a.jpg",
            "imageData": None,
            "imageHeight": 6,
            "imageWidth": 8,
            "shapes": [],
        }

    def add(self, label, points, kind="polygon", **fields):
        shape = {"label": label, "points": points, "shape_type": kind}
        self.content["shapes"].append({"group_id": None} | shape | fields)

    def convert(self, **keywords):
        save_json(self.root / "a.json", self.content)
        output = self.root.parent / "out"
        return labelme.convert(self.root, output, split="train", **keywords)

    def names(self, **keywords):
        """Class name of each pixel, '' for void; and the panoptic map."""
        source, (example,) = load(self.convert(overwrite=True, **keywords))
        by_id = {c.id: c.name for c in source.label_space.categories}
        table = {s.id: by_id[s.category_id] for s in example.panoptic.segments}
        ids = example.panoptic.ids
        return np.vectorize(lambda i: table.get(i, ""))(ids), example.panoptic


@pytest.fixture
def drawn(tmp_path):
    return LabelMe(tmp_path)


def test_labelme_round_trip_of_masks(tmp_path):
    examples = scenes()
    for example in examples:
        shapes = []
        for segment in example.panoptic.segments:
            mask = example.panoptic.ids == segment.id
            rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            y0, y1, x0, x1 = rows[0], rows[-1], cols[0], cols[-1]
            shapes.append(
                {
                    "label": NAMES[segment.category_id],
                    "points": [[int(x0), int(y0)], [int(x1), int(y1)]],
                    "shape_type": "mask",
                    "mask": png_text(mask[y0 : y1 + 1, x0 : x1 + 1]),
                }
            )
        Image.fromarray(example.image).save(tmp_path / example.file_name)
        # As Windows writes it.
        content = {"imagePath": f"..\\{example.file_name}", "shapes": shapes}
        save_json(tmp_path / "json" / f"{example.image_id}.json", content)
    categories = save_json(tmp_path / "c.json", LABEL_SPACE.to_json())
    report = labelme.convert(
        tmp_path / "json", tmp_path / "out", split="train", categories=categories
    )
    for before, after in zip(examples, load(report)[1], strict=True):
        np.testing.assert_array_equal(before.image, after.image)
        assert_same_maps(before.panoptic, after.panoptic)


def test_labelme_shapes(drawn):
    drawn.add("box", [[4, 3], [1, 1]], "rectangle")
    drawn.add("square", [[5, 0], [8, 0], [8, 2], [5, 2]])
    drawn.add("disc", [[2, 5], [2, 5.8]], "circle")
    drawn.add("turned", [[5, 3], [8, 3], [8, 6], [5, 6]], "oriented_rectangle")
    drawn.add("path", [[0, 0], [1, 1]], "line")
    names, panoptic = drawn.names()
    assert (names[1:3, 1:4] == "box").all() and (names == "box").sum() == 6
    assert (names[:2, 5:] == "square").all() and (names == "square").sum() == 6
    assert (names == "disc").sum() == 4 and (names[4:6, 1:3] == "disc").all()
    assert (names[3:, 5:] == "turned").all()
    assert len(panoptic.segments) == 4
    report = drawn.convert(overwrite=True)
    assert report.dropped == {"points and lines": 1}


def test_labelme_groups_order_and_void(drawn):
    def square(x, y, size):
        return [[x, y], [x + size, y + size]]

    drawn.add("car", square(0, 0, 2), "rectangle", group_id=1)
    drawn.add("car", square(5, 0, 2), "rectangle", group_id=1)
    drawn.add("car", square(0, 4, 2), "rectangle", group_id=2)
    drawn.add("dog", square(0, 4, 2), "rectangle", group_id=1)
    drawn.add("__ignore__", square(0, 0, 1), "rectangle")
    names, panoptic = drawn.names()
    assert names[0, 0] == "" and (names == "car").sum() == 7
    assert (names == "dog").sum() == 4 and len(panoptic.segments) == 2
    assert drawn.convert(overwrite=True).dropped == {"objects hidden by others": 1}
    drawn.add("wall", square(0, 0, 6), "rectangle")
    names, panoptic = drawn.names()
    assert (names == "wall").sum() == 36 and (names == "car").sum() == 2
    names, panoptic = drawn.names(order="area")
    assert (names == "car").sum() == 7 and (names == "dog").sum() == 4


def test_labelme_images_inside_the_json_and_turned_ones(drawn):
    drawn.add("car", [[0, 0], [3, 3]], "rectangle")
    data = (drawn.root / "a.jpg").read_bytes()
    (drawn.root / "a.jpg").unlink()
    drawn.content["imageData"] = base64.b64encode(data).decode()
    example = load(drawn.convert())[1][0]
    assert example.image_file.data == data and example.file_name == "a.jpg"
    turned_jpeg(drawn.root / "a.jpg")
    drawn.content |= {"imageHeight": 8, "imageWidth": 6}
    example = load(drawn.convert(overwrite=True))[1][0]
    assert example.file_name == "a.png" and example.image.shape == (8, 6, 3)


def test_labelme_images_without_shapes_are_skipped(drawn):
    drawn.add("car", [[0, 0], [3, 3]], "rectangle")
    save_json(drawn.root / "b.json", drawn.content | {"shapes": []})
    report = drawn.convert()
    assert report.dropped == {"images without shapes": 1} and report.images == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 3}, r"a\.json: shapes\[0\]: label is 3; name its class"),
        ({"label": "cat"}, r"class 'cat' is not a category of .*c\.json; add it"),
        ({"points": [[1, 2, 3]]}, r"points are no list of \[x, y\]; draw"),
        ({"points": [[1, 2]]}, "a rectangle with 1 points; draw"),
        ({"shape_type": "star"}, "shape_type 'star' is unknown; draw a polygon"),
        ({"shape_type": "polygon", "points": [[1e9, 1]] * 3}, "polygon 0 is no list"),
        ({"shape_type": "mask", "mask": None}, "mask: is empty"),
        ({"shape_type": "mask", "mask": "abc"}, "mask is no base64 .*; draw it again"),
        ({"shape_type": "mask", "mask": "aaaa"}, "mask: cannot be decoded"),
    ],
)
def test_labelme_bad_shapes_are_named(drawn, change, message):
    categories = [{"id": 1, "name": "car", "isthing": 1}]
    categories = save_json(drawn.root.parent / "c.json", categories)
    drawn.add("car", [[0, 0], [3, 3]], "rectangle")
    drawn.content["shapes"][0].update(change)
    refused(ValueError, message, drawn.convert, categories=categories)


def test_labelme_bad_files_are_named(drawn, tmp_path):
    convert = labelme.convert
    refused(FileNotFoundError, "no such folder", convert, "no", "out", split="t")
    (tmp_path / "empty").mkdir()
    refused(ValueError, "no JSON", convert, tmp_path / "empty", "out", split="t")
    refused(ValueError, "labels: holds no labelled object; give", drawn.convert)
    drawn.add("car", [[0, 0], [3, 3]], "rectangle")
    drawn.content["imageWidth"] = 9
    refused(ValueError, r"a\.json: is for 9x6 pixels, its image", drawn.convert)
    for data, error, message in (
        (None, FileNotFoundError, r"b\.jpg: no such file, but .*a\.json names it; put"),
        ("abc", ValueError, "imageData is no base64"),
        ("aaaa", ValueError, r"a\.json: b\.jpg: cannot be decoded"),
    ):
        drawn.content |= {"imagePath": "b.jpg", "imageData": data}
        refused(error, message, drawn.convert)
    drawn.content["imagePath"] = None
    refused(ValueError, "imagePath is None; name the image", drawn.convert)
    drawn.content["shapes"] = 3
    refused(ValueError, "has no list 'shapes'; give LabelMe's", drawn.convert)
    output = drawn.root / "out"
    (drawn.root / "a.json").write_text(
        json.dumps(drawn.content | {"shapes": [], "imagePath": "a.jpg"})
    )
    refused(ValueError, "labelled object", convert, drawn.root, output, split="t")


# CVAT


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


# One PNG per object


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
