"""LabelMe's JSON files -> COCO panoptic."""

import base64
import io
import json

import numpy as np
import pytest
from converter_checks import (
    assert_same_maps,
    load,
    refused,
    save_image,
    save_json,
    scenes,
    turned_jpeg,
)
from PIL import Image

from pix2seq_d.data.converters import labelme
from pix2seq_d.data.shapes import LABEL_SPACE

NAMES = {c.id: c.name for c in LABEL_SPACE.categories}


def png_text(mask):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


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
