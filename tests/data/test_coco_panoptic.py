"""COCO panoptic folders: real ones, a tiny one, and one line for everything broken."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.instance_ids import number
from pix2seq_d.panoptic import Segment


def open_val(folder):
    return CocoPanoptic.from_root(folder.root, "val")


def decode(source, index):
    example = source[index]
    return example.image, example.panoptic


def refused(error, message, action, *arguments):
    """Asserts that the action fails with one line that matches `message`."""
    with pytest.raises(error, match=message) as info:
        action(*arguments)
    text = str(info.value)
    assert "\n" not in text
    # What is wrong, then the cure.
    assert ";" in text or "(" in text


def test_examples_come_in_the_order_of_image_ids(coco_folder):
    source = open_val(coco_folder)
    assert len(source) == 3
    assert [e.image_id for e in source] == [10, 20, 30]
    assert source[-1].image_id == 30
    assert source.label_space.names() == ("void", "sky", "door")
    example = source[1]
    assert example.file_name == "20.png"
    stored = np.array(Image.open(coco_folder.images / "20.png"))
    np.testing.assert_array_equal(example.image, stored)
    np.testing.assert_array_equal(example.panoptic.ids, coco_folder.ids)
    assert example.panoptic.ids.dtype == np.int32
    assert example.panoptic.segments == (
        Segment(1000, 7),
        Segment(5, 3),
        Segment(70000, 3, True),
    )
    with pytest.raises(IndexError):
        source[3]


def test_official_layout_and_plain_constructor_find_the_same(coco_folder):
    expected = open_val(coco_folder)[0]
    root = coco_folder.root
    plain = CocoPanoptic(coco_folder.images, coco_folder.json_path, coco_folder.pngs)
    np.testing.assert_array_equal(plain[0].image, expected.image)
    (root / "annotations").mkdir()
    coco_folder.json_path.rename(root / "annotations" / "panoptic_val.json")
    coco_folder.pngs.rename(root / "annotations" / "panoptic_val")
    coco_folder.images.rename(root / "val")
    official = open_val(coco_folder)[0]
    np.testing.assert_array_equal(official.image, expected.image)
    np.testing.assert_array_equal(official.panoptic.ids, expected.panoptic.ids)


@pytest.mark.parametrize("inner", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_official_zip_files_as_downloaded(coco_folder, inner):
    """val.zip, and a zip of the PNGs inside the zip of the annotations."""
    expected = open_val(coco_folder)
    root = coco_folder.root
    with zipfile.ZipFile(root / "val.zip", "w") as images:
        for path in coco_folder.images.iterdir():
            images.write(path, f"val/{path.name}")
    with zipfile.ZipFile(root / "pngs.zip", "w") as pngs:
        for path in coco_folder.pngs.iterdir():
            pngs.write(path, f"panoptic_val/{path.name}")
            pngs.writestr(f"__MACOSX/panoptic_val/._{path.name}", b"junk")
    with zipfile.ZipFile(root / "panoptic_annotations_trainval.zip", "w") as outer:
        outer.write(coco_folder.json_path, "annotations/panoptic_val.json")
        outer.write(root / "pngs.zip", "annotations/panoptic_val.zip", inner)
    zipped = root.parent / "zipped"
    zipped.mkdir()
    for name in ("val.zip", "panoptic_annotations_trainval.zip"):
        (root / name).rename(zipped / name)
    source = CocoPanoptic.from_root(zipped, "val")
    assert len(source) == 3
    for a, b in zip(source, expected, strict=True):
        assert (a.image_id, a.file_name) == (b.image_id, b.file_name)
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.panoptic.ids, b.panoptic.ids)
        assert a.panoptic.segments == b.panoptic.segments
    message = r"no panoptic_test\.json here"
    refused(FileNotFoundError, message, CocoPanoptic.from_root, zipped, "test")


def test_zipped_folders_beside_the_json(coco_folder):
    expected = open_val(coco_folder)[1]
    for folder, name in ((coco_folder.images, "val"), (coco_folder.pngs, "")):
        with zipfile.ZipFile(f"{folder}.zip", "w") as packed:
            for path in folder.iterdir():
                packed.write(path, f"{name}/{path.name}" if name else path.name)
        shutil.rmtree(folder)
    example = open_val(coco_folder)[1]
    np.testing.assert_array_equal(example.image, expected.image)
    np.testing.assert_array_equal(example.panoptic.ids, expected.panoptic.ids)


def test_images_in_subfolders_and_text_ids(coco_folder):
    (coco_folder.images / "sub").mkdir()
    (coco_folder.images / "30.png").rename(coco_folder.images / "sub" / "30.png")
    coco_folder.content["images"][0] = {"id": "city_1", "file_name": "sub/30.png"}
    coco_folder.content["annotations"][0]["image_id"] = "city_1"
    coco_folder.save_json()
    source = open_val(coco_folder)
    assert [e.image_id for e in source] == [10, 20, "city_1"]
    assert source[2].file_name == "sub/30.png"


def test_images_without_annotation_are_left_out(coco_folder):
    del coco_folder.content["annotations"][0]
    coco_folder.save_json()
    assert [e.image_id for e in open_val(coco_folder)] == [10, 20]


def test_segments_without_pixels_are_kept(coco_folder):
    ids = coco_folder.ids
    ids[ids == 5] = 1000
    coco_folder.save_ids("10.png", ids)
    assert Segment(5, 3) in open_val(coco_folder)[0].panoptic.segments


def test_facade_photos(shared):
    sizes = {"train": 478, "val": 57}
    for split, size in sizes.items():
        source = CocoPanoptic.from_root(shared / "data/facade_panoptic_256", split)
        assert len(source) == size
        assert source.label_space.num_classes == 12
        for index in (0, size // 2, size - 1):
            example = source[index]
            assert example.image.shape == (256, 256, 3)
            present = set(np.unique(example.panoptic.ids).tolist()) - {0}
            assert present <= {s.id for s in example.panoptic.segments}
            found = number([example.panoptic], source.label_space, max_instances=256)
            assert found.numbers[:, 0].max() < 12 and found.num_dropped == 0


def test_official_coco_sample(shared):
    folder = shared / "data/coco_panoptic_sample/sample_data"
    source = CocoPanoptic(
        folder / "input_images",
        folder / "panoptic_examples.json",
        folder / "panoptic_examples",
    )
    assert [e.image_id for e in source] == [142238, 439180]
    assert source.label_space.num_classes == 134
    assert int(source.label_space.is_thing.sum()) == 80
    content = json.loads((folder / "panoptic_examples.json").read_text())
    for example, annotation in zip(source, content["annotations"], strict=True):
        assert example.image.shape[:2] == example.panoptic.ids.shape
        for segment in annotation["segments_info"]:
            area = int((example.panoptic.ids == segment["id"]).sum())
            assert area == segment["area"]


def test_instance_json_is_recognised(shared):
    folder = shared / "data/coco_panoptic_sample/sample_data"
    with pytest.raises(ValueError, match=r"no field 'segments_info'.*converted"):
        CocoPanoptic(
            folder / "input_images",
            folder / "panoptic_coco_detection_format.json",
            folder / "panoptic_examples",
        )


def test_missing_root_split_and_folders_are_named(coco_folder, tmp_path):
    root, load = coco_folder.root, CocoPanoptic.from_root
    refused(ValueError, "root is empty; set it", load, "", "val")
    refused(ValueError, "split is empty", load, root, "")
    refused(FileNotFoundError, "none: no such folder", load, tmp_path / "none", "val")
    refused(FileNotFoundError, "no such folder", load, coco_folder.json_path, "val")
    (tmp_path / "bare").mkdir()
    message = r"bare: no panoptic_val\.json here or in annotations/.*COCO panoptic"
    refused(FileNotFoundError, message, load, tmp_path / "bare", "val")
    (root / "annotations").mkdir()
    (root / "annotations" / "panoptic_train2017.json").touch()
    message = (
        r"no panoptic_test\.json here or .*; splits found: train2017, val; name one"
    )
    refused(FileNotFoundError, message, load, root, "test")
    coco_folder.images.rename(root / "pictures")
    message = r"no folder images/val/ or val/, nor val\.zip; put the images"
    refused(FileNotFoundError, message, load, root, "val")
    coco_folder.pngs.rename(root / "labels")
    message = r"no folder panoptic_val/ nor panoptic_val\.zip beside panoptic_val\.json"
    refused(FileNotFoundError, message, load, root, "val")
    (root / "panoptic_val.zip").touch()
    message = r"panoptic_val\.zip: cannot be read as a zip file .*; download it again"
    refused(ValueError, message, load, root, "val")


def test_missing_files_are_named_without_decoding(coco_folder):
    (coco_folder.images / "20.png").unlink()
    message = r"val: lacks 20\.png \(1 of the 3 files named by images of"
    refused(FileNotFoundError, message, open_val, coco_folder)
    (coco_folder.images / "20.png").touch()
    (coco_folder.pngs / "10.png").unlink()
    message = r"panoptic_val: lacks 10\.png \(1 of the 3 files named by annotations"
    refused(FileNotFoundError, message, open_val, coco_folder)
    (coco_folder.pngs / "10.png").touch()
    source = open_val(coco_folder)
    refused(ValueError, r"10\.png: is empty; copy", decode, source, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"panoptic_val\.json: is not JSON"),
        ("[]", r"panoptic_val\.json: holds a list, not an object with images"),
        ('{"annotations": []}', r"panoptic_val\.json has no field 'images'"),
        ('{"images": 3}', r"panoptic_val\.json: images is no list"),
        (
            '{"images": [], "annotations": [], "categories": []}',
            "annotations is empty; add",
        ),
    ],
)
def test_bad_json_is_named(coco_folder, text, message):
    coco_folder.json_path.write_text(text)
    refused(ValueError, message, open_val, coco_folder)


def test_json_that_is_not_text_is_named(coco_folder):
    coco_folder.json_path.write_bytes(b"\xff\xfe\x00")
    refused(ValueError, "is not JSON", open_val, coco_folder)
    coco_folder.json_path.unlink()
    coco_folder.json_path.mkdir()
    load = CocoPanoptic
    arguments = coco_folder.images, coco_folder.json_path, coco_folder.pngs
    refused(ValueError, "cannot be read", load, *arguments)


def test_json_with_byte_order_mark_is_read(coco_folder):
    text = json.dumps(coco_folder.content)
    coco_folder.json_path.write_text(text, encoding="utf-8-sig")
    assert len(open_val(coco_folder)) == 3


@pytest.mark.parametrize("field", ["images", "annotations", "categories"])
def test_missing_lists_are_named(coco_folder, field):
    del coco_folder.content[field]
    coco_folder.save_json()
    refused(ValueError, f"has no field '{field}'", open_val, coco_folder)


@pytest.mark.parametrize(
    ("where", "change", "message"),
    [
        (("images", 1), {"id": 30}, r"images\[1\]: image id 30 is given twice"),
        (("images", 1), {"id": 1.5}, r"images\[1\]: id is 1\.5; make it an integer"),
        (("images", 1), {"file_name": 3}, r"images\[1\]: file_name is 3"),
        (("annotations", 1), {"image_id": 30}, "image_id 30 has two annotations"),
        (("annotations", 1), {"image_id": 31}, "image_id 31 is not in images; add"),
        (("annotations", 1), {"segments_info": {}}, "segments_info is no list"),
        (("annotations", 1), {"segments_info": [3]}, "segments_info has no field 'id'"),
        (("annotations", 1), {"file_name": ""}, r"annotations\[1\]: file_name is ''"),
        (("segment",), {"id": 0}, r"segment id 0 is not in 1\.\.16777215"),
        (("segment",), {"id": 2**24}, "segment id 16777216 is not in"),
        (("segment",), {"id": 5}, r"annotations\[1\]: a segment id occurs twice"),
        (("segment",), {"id": "1000"}, "id is '1000'; make it a 32-bit integer"),
        (("segment",), {"category_id": None}, "category_id is None; make it"),
        (("segment",), {"category_id": 2**40}, "category_id is 1099511627776; make"),
        (
            ("segment",),
            {"category_id": 8},
            r"segment 1000 of 10\.png has category_id 8, which is not in categories",
        ),
        (("categories", 1), {"id": 7}, r"category ids given twice: \[7\]; correct"),
        (
            ("categories", 1),
            {"id": -1},
            r"panoptic_val\.json: .* negative, found -1; correct",
        ),
        (("categories", 1), {"color": [1]}, r"categories\[1\] has color \[1\]"),
    ],
)
def test_bad_entries_are_named(coco_folder, where, change, message):
    content = coco_folder.content = json.loads(json.dumps(coco_folder.content))
    if where == ("segment",):
        entry = content["annotations"][1]["segments_info"][0]
    else:
        entry = content[where[0]][where[1]]
    entry.update(change)
    coco_folder.save_json()
    refused(ValueError, message, open_val, coco_folder)


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ("images", "id"),
        ("images", "file_name"),
        ("annotations", "image_id"),
        ("annotations", "file_name"),
        ("annotations", "segments_info"),
        ("categories", "id"),
        ("categories", "name"),
        ("categories", "isthing"),
    ],
)
def test_missing_fields_are_named(coco_folder, where, field):
    content = coco_folder.content = json.loads(json.dumps(coco_folder.content))
    del content[where][0][field]
    coco_folder.save_json()
    message = rf"{where}\[0\] has no field '{field}'"
    refused(ValueError, message, open_val, coco_folder)


def test_bad_pixels_are_named_at_access(coco_folder):
    source = open_val(coco_folder)
    coco_folder.save_ids("10.png", coco_folder.ids[:, :5])
    message = r"10\.png: has 5x6 pixels, its image .*10\.png 8x6 \(width x height\)"
    refused(ValueError, message, decode, source, 0)
    coco_folder.save_ids("20.png", np.where(coco_folder.ids == 5, 6, 9))
    message = r"20\.png: ids 6, 9 are not in segments_info of .*panoptic_val\.json"
    refused(ValueError, message, decode, source, 1)
    Image.fromarray(coco_folder.ids.astype(np.uint8)).convert("P").save(
        coco_folder.pngs / "30.png"
    )
    message = r"30\.png: has mode P, not RGB; write ids as 8-bit RGB"
    refused(ValueError, message, decode, source, 2)


def test_truncated_jpeg_is_named_at_access(coco_folder):
    path = coco_folder.images / "10.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    coco_folder.content["images"][1] = {"id": 10, "file_name": "10.jpg"}
    coco_folder.save_json()
    source = open_val(coco_folder)
    message = r"10\.jpg: cannot be decoded \(.*truncated"
    refused(ValueError, message, decode, source, 0)


def test_exif_turned_image_is_explained(coco_folder):
    image = Image.open(coco_folder.images / "10.png").transpose(
        Image.Transpose.ROTATE_90
    )
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(coco_folder.images / "10.jpg", exif=exif)
    coco_folder.content["images"][1] = {"id": 10, "file_name": "10.jpg"}
    coco_folder.save_json()
    source = open_val(coco_folder)
    refused(ValueError, "its EXIF orientation; save the image", decode, source, 0)
