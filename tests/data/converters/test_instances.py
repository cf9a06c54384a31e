"""Instance JSON -> COCO panoptic: round trips, order, crowds, and bad input."""

import json

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
from pycocotools import mask as coco_mask

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.converters import instances
from pix2seq_d.data.converters.rasterize import rle_mask
from pix2seq_d.data.shapes import LABEL_SPACE

THINGS = {c.id for c in LABEL_SPACE.categories if c.is_thing}


def compressed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def plain(mask):
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def squares(mask):
    """A polygon around every pixel."""
    return [
        [x, y, x + 1, y, x + 1, y + 1, x, y + 1] for y, x in np.argwhere(mask).tolist()
    ]


class Folder:
    """One image of 6 x 8 pixels, categories 1000 (car) and 70000 (dog)."""

    def __init__(self, root):
        self.root, self.images = root, root / "pictures"
        save_image(self.images / "a.png")
        self.content = {
            "images": [{"id": 7, "file_name": "a.png", "height": 6, "width": 8}],
            "annotations": [],
            "categories": [{"id": 1000, "name": "car"}, {"id": 70000, "name": "dog"}],
        }

    def add(self, rows, cols, category_id=1000, **fields):
        mask = np.zeros((6, 8), bool)
        mask[rows, cols] = True
        entry = {"image_id": 7, "category_id": category_id}
        entry |= {"segmentation": compressed(mask), "iscrowd": 0} | fields
        self.content["annotations"].append(entry)
        return entry

    def convert(self, **keywords):
        path = save_json(self.root / "instances.json", self.content)
        output = self.root / "out"
        return instances.convert(path, self.images, output, split="train", **keywords)

    def ids(self, **keywords):
        """Category of each pixel."""
        (example,) = load(self.convert(overwrite=True, **keywords))[1]
        table = {0: 0} | {s.id: s.category_id for s in example.panoptic.segments}
        return np.vectorize(table.get)(example.panoptic.ids)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.mark.parametrize("code", [compressed, plain, squares])
@pytest.mark.parametrize("order", ["area", "given"])
def test_round_trip_of_drawn_scenes(tmp_path, code, order):
    """Panoptic -> instances and stuff maps -> the same panoptic."""
    examples = scenes()
    images, annotations = [], []
    for example in examples:
        stuff = np.zeros(example.panoptic.ids.shape, np.uint8)
        image_id = int(example.image_id)
        images.append({"id": image_id, "file_name": example.file_name})
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(example.image).save(tmp_path / "in" / example.file_name)
        for segment in example.panoptic.segments:
            mask = example.panoptic.ids == segment.id
            if segment.category_id in THINGS:
                annotations.append(
                    {
                        "image_id": image_id,
                        "category_id": segment.category_id,
                        "segmentation": code(mask),
                    }
                )
            else:
                stuff[mask] = segment.category_id
        save_labels(tmp_path / "stuff" / example.file_name, stuff)
    categories = LABEL_SPACE.to_json()
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": c["id"], "name": c["name"]} for c in categories if c["isthing"]
        ],
    }
    report = instances.convert(
        save_json(tmp_path / "instances.json", content),
        tmp_path / "in",
        tmp_path / "out",
        split="train",
        order=order,
        semantic_dir=tmp_path / "stuff",
        categories=save_json(tmp_path / "all.json", {"categories": categories}),
    )
    assert not report.dropped
    source, converted = load(report)
    by_id = {c.id: c for c in source.label_space.categories}
    assert by_id == {c.id: c for c in LABEL_SPACE.categories}
    for before, after in zip(examples, converted, strict=True):
        assert after.image_id == before.image_id
        assert after.file_name == before.file_name
        np.testing.assert_array_equal(after.image, before.image)
        assert_same_maps(after.panoptic, before.panoptic)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999, 1.0])
def test_run_lengths_are_those_of_the_official_code(share):
    mask = np.random.default_rng(0).random((300, 211)) < share
    for code in (compressed, plain):
        np.testing.assert_array_equal(rle_mask(code(mask), (300, 211)), mask)


def test_official_detection_format_gives_the_official_panoptic(shared, tmp_path):
    folder = shared / "data/coco_panoptic_sample/sample_data"
    report = instances.convert(
        folder / "panoptic_coco_detection_format.json",
        folder / "input_images",
        tmp_path,
        split="val",
        categories=shared / "data/coco_panoptic_sample/panoptic_coco_categories.json",
    )
    assert str(report).endswith("panoptic_val.json: 2 images, 50 segments")
    expected = CocoPanoptic(
        folder / "input_images",
        folder / "panoptic_examples.json",
        folder / "panoptic_examples",
    )
    for before, after in zip(expected, load(report, "val")[1], strict=True):
        assert (before.image_id, before.file_name) == (after.image_id, after.file_name)
        assert before.image_file.data == after.image_file.data
        assert_same_maps(before.panoptic, after.panoptic)


def test_overlaps_in_both_orders(folder):
    folder.add(slice(1, 3), slice(1, 3), 70000)
    folder.add(slice(0, 5), slice(0, 5), 1000)
    folder.add(slice(4, 6), slice(0, 8), 1000)
    area = folder.ids()
    assert (area[1:3, 1:3] == 70000).all() and (area != 0).sum() == 5 * 5 + 8 + 3
    report = folder.convert(order="given", overwrite=True)
    assert report.dropped == {"annotations hidden by others": 1}
    assert str(report).endswith("left out: 1 annotations hidden by others")
    assert 70000 not in folder.ids(order="given")
    refused(ValueError, "order='up': choose one", folder.convert, order="up")


def test_crowds_lie_below_things_and_are_one_segment_of_a_class(folder):
    folder.add(slice(0, 4), slice(0, 4))
    folder.add(slice(0, 2), slice(2, 8), iscrowd=1)
    folder.add(slice(5, 6), slice(0, 8), iscrowd=1)
    for order in ("area", "given"):
        report = folder.convert(order=order, overwrite=True)
        panoptic = load(report)[1][0].panoptic
        crowd, thing = panoptic.segments
        assert (crowd.is_crowd, thing.is_crowd) == (True, False)
        assert (panoptic.ids == thing.id).sum() == 16
        assert (panoptic.ids == crowd.id).sum() == 2 * 4 + 8


def test_empty_masks_and_images_without_annotation_are_counted(folder):
    folder.add(slice(0, 0), slice(0, 0))
    folder.add(0, 0, segmentation=[[1, 1, 3, 3]])
    folder.add(0, slice(0, 2))
    folder.content["images"].append({"id": 8, "file_name": "a.png"})
    report = folder.convert()
    assert report.dropped == {
        "annotations without a pixel": 2,
        "images without annotation": 1,
    }
    assert (report.images, report.segments) == (1, 1)


def test_stuff_maps_keep_images_without_annotation(folder):
    stuff = np.array([[0, 255, 300, 300, 1000, 9, 9, 9]] * 6)
    save_labels(folder.root / "stuff" / "a.png", stuff, np.uint16)
    extra = [{"id": i, "name": f"stuff{i}", "isthing": 0} for i in (9, 300)]
    extra = save_json(folder.root / "extra.json", extra)
    keywords = {"semantic_dir": folder.root / "stuff", "categories": extra}
    report = folder.convert(**keywords)
    assert report.dropped == {"pixels of things without an instance, now void": 6}
    folder.add(slice(0, 4), 4)
    report = folder.convert(overwrite=True, **keywords)
    assert report.dropped == {"pixels of things without an instance, now void": 2}
    folder.content["annotations"].clear()
    report = folder.convert(overwrite=True, **keywords)
    expected = np.where(np.isin(stuff, [255, 1000]), 0, stuff)
    np.testing.assert_array_equal(folder.ids(**keywords), expected)
    source, _ = load(report)
    assert source.label_space.is_thing.tolist() == [False, True, True, False, False]


def test_stuff_annotations_of_a_class_are_one_segment(folder):
    folder.content["categories"][0]["isthing"] = 0
    folder.add(slice(0, 6), 0)
    folder.add(slice(0, 6), 7)
    folder.add(slice(0, 6), slice(0, 8), 70000)
    panoptic = load(folder.convert())[1][0].panoptic
    assert len(panoptic.segments) == 1  # 'area': stuff is below
    panoptic = load(folder.convert(order="given", overwrite=True))[1][0].panoptic
    assert len(panoptic.segments) == 1
    folder.content["annotations"].reverse()
    panoptic = load(folder.convert(order="given", overwrite=True))[1][0].panoptic
    assert [s.category_id for s in panoptic.segments] == [70000, 1000]
    assert (panoptic.ids == panoptic.segments[1].id).sum() == 12


def test_the_output_is_guarded(folder):
    folder.add(0, 0)
    report = folder.convert()
    before = report.json_path.read_bytes()
    refused(FileExistsError, r"panoptic_train\.json: exists already", folder.convert)
    assert report.json_path.read_bytes() == before
    # An error on the way leaves no JSON.
    folder.add(0, 1, segmentation=[[0, 0, 1]])
    refused(ValueError, "odd number", folder.convert, overwrite=True)
    assert not report.json_path.exists()
    path = folder.root / "instances.json"
    arguments = path, folder.images
    message = "would be written into the input .*pictures; give another"
    inside = folder.images / "out"
    for output in (folder.images, inside):
        refused(ValueError, message, instances.convert, *arguments, output, split="t")
    (folder.root / "images").mkdir()
    folder.images.rename(folder.root / "images" / "t")
    message = "would be written into the input"
    refused(
        ValueError,
        message,
        instances.convert,
        path,
        folder.root / "images" / "t",
        folder.root,
        split="t",
    )
    for split in ("", "a/b", ".."):
        refused(
            ValueError,
            "must be a plain name",
            instances.convert,
            path,
            folder.root / "images" / "t",
            folder.root / "out",
            split=split,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 3}, r"annotations\[1\]: category_id 3 is not in categories"),
        ({"category_id": "car"}, r"category_id is 'car'; make it an integer"),
        ({"image_id": 3}, r"annotations\[1\]: image_id 3 is not in images; add"),
        ({"image_id": [7]}, r"annotations\[1\]: image_id \[7\] is not in images; add"),
        ({"image_id": 7.0}, r"annotations\[1\]: image_id 7\.0 is not in images; add"),
        ({"segmentation": []}, "has no segmentation; panoptic labels"),
        ({"segmentation": [], "bbox": [1, 1, 2, 2]}, "has only a bbox; panoptic"),
        ({"segmentation": "x"}, "segmentation is a str; give polygons"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "polygon 0 has 7 coordinates, an"),
        ({"segmentation": [1, 2, 3, 4, 5, 6]}, "polygon 0 is no list of coordinates"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "polygon 0 is no list of coord"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e30]]}, "polygon 0 is no list of coord"),
        ({"segmentation": {"size": [8, 6], "counts": [48]}}, r"size \[8, 6\], the im"),
        ({"segmentation": {"size": [6, 8], "counts": [47]}}, "do not fill the 48"),
        ({"segmentation": {"size": [6, 8], "counts": [-1, 49]}}, "do not fill the 48"),
        ({"segmentation": {"size": [6, 8], "counts": []}}, "do not fill the 48"),
        ({"segmentation": {"size": [6, 8], "counts": [2**63]}}, "do not fill the 48"),
        ({"segmentation": {"size": [6, 8], "counts": "2"}}, "do not fill the 48"),
        ({"segmentation": {"size": [6, 8], "counts": "zz"}}, "are damaged; export"),
        (
            {"segmentation": {"size": [6, 8], "counts": "T\u00e4"}},
            "are damaged; export",
        ),
        ({"segmentation": {"size": [6, 8], "counts": "o" * 9 + "1"}}, "are damaged"),
        ({"segmentation": {"size": [6, 8]}}, "run lengths without counts; give"),
        ({"segments_info": []}, "is a COCO panoptic JSON already, use it"),
    ],
)
def test_bad_annotations_are_named(folder, change, message):
    folder.add(0, 0)
    folder.add(1, 1).update(change)
    refused(ValueError, message, folder.convert)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": 3}, "has no list 'annotations'; give a JSON of COCO inst"),
        ({"images": []}, "images is empty; give"),
        ({"images": [{"id": 7}]}, r"images\[0\]: needs an id and a file_name"),
        ({"images": [{"id": 7, "file_name": "a.png"}] * 2}, "id 7 is given twice; ren"),
        ({"categories": []}, "categories is empty; list the classes"),
        ({"categories": [{"id": 1}]}, r"categories\[0\] has no field 'name'; correct"),
        ({"annotations": []}, "no image to write .1 images without annotation"),
    ],
)
def test_bad_lists_are_named(folder, change, message):
    folder.add(0, 0)
    folder.content |= change
    refused(ValueError, message, folder.convert)
    assert not (folder.root / "out" / "panoptic_train.json").exists()


def test_files_that_do_not_fit_are_named(folder):
    folder.add(0, 0)
    folder.content["images"][0]["width"] = 9
    message = r"images\[0\] of .*instances\.json: is for 9x6 pixels, its image .*a\.png"
    refused(ValueError, message, folder.convert)
    folder.content["images"][0]["width"] = 8
    stuff = folder.root / "stuff" / "a.png"
    keywords = {"semantic_dir": stuff.parent}
    refused(FileNotFoundError, "stuff: no such folder", folder.convert, **keywords)
    save_labels(stuff, np.zeros((6, 7)))
    refused(ValueError, r"a\.png: is for 7x6 pixels", folder.convert, **keywords)
    save_labels(stuff, np.full((6, 8), 3))
    refused(ValueError, "values 3 are no category ids", folder.convert, **keywords)
    stuff.write_bytes(stuff.read_bytes()[:45])
    refused(ValueError, r"a\.png: cannot be decoded", folder.convert, **keywords)
    clash = save_json(folder.root / "c.json", [{"id": 1000, "name": "x", "isthing": 0}])
    message = r"category 1000 is 'x', but 'car' in .*; give every class an id"
    refused(ValueError, message, folder.convert, categories=clash)
    (folder.images / "a.png").write_bytes(b"no image")
    refused(ValueError, r"a\.png: cannot be decoded", folder.convert)
    (folder.images / "a.png").rename(folder.images / "b.png")
    refused(FileNotFoundError, r"pictures: lacks a\.png", folder.convert)
    (folder.root / "instances.json").write_text("{")
    refused(
        ValueError,
        "is not JSON",
        instances.convert,
        folder.root / "instances.json",
        folder.images,
        folder.root / "out",
        split="t",
    )


def test_progress_goes_to_standard_error(folder, capsys):
    folder.add(0, 0)
    folder.convert()
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "convert image 1/1\n"


def test_the_json_says_what_it_should(folder):
    folder.add(slice(1, 3), slice(2, 5))
    content = json.loads(folder.convert().json_path.read_text())
    assert content["images"][0]["file_name"] == "a.png"
    (info,) = content["annotations"][0]["segments_info"]
    assert (info["area"], info["bbox"]) == (6, [2, 1, 3, 2])
    assert (info["category_id"], info["isthing"], info["iscrowd"]) == (1000, 1, 0)
