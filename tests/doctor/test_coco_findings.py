"""One defect in a tiny COCO folder: its kind, file and image id are named."""

import zipfile

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.doctor import image_checks
from pix2seq_d.doctor.examine import examine
from pix2seq_d.doctor.finding import KINDS
from pix2seq_d.instance_ids import number

JSON = "panoptic_val.json"


def image(folder, name="20.png"):
    return Image.open(folder.images / name).convert("RGB")


def annotation(folder, image_id=20):
    return next(a for a in folder.content["annotations"] if a["image_id"] == image_id)


def entry(folder, image_id=20):
    return next(e for e in folder.content["images"] if e["id"] == image_id)


def segments(folder):
    return annotation(folder)["segments_info"]


def rename_to_jpg(folder):
    """The image is to be a JPEG: its new path."""
    path = folder.images / "20.jpg"
    entry(folder)["file_name"] = "20.jpg"
    return path


# -- JSON ------------------------------------------------------------------------


def not_json(f):
    f.content = None
    return [("json", JSON, None)]


def no_categories(f):
    del f.content["categories"]
    return [("json", JSON, None)]


def instances_json(f):
    for a in f.content["annotations"]:
        del a["segments_info"]
    return [("field", JSON, None), ("no_annotations", JSON, None)]


def one_without_segments_info(f):
    del annotation(f)["segments_info"]
    return [("field", JSON, 20)]


def image_without_file_name(f):
    del entry(f)["file_name"]
    return [("field", JSON, 20)]


def segment_id_too_large(f):
    segments(f)[0]["id"] = 2**24
    return [("field", JSON, 20), ("undescribed_ids", "20.png", 20)]


def no_isthing(f):
    f.content["categories"] = [{"id": 7, "name": "sky"}, f.content["categories"][1]]
    return [("categories", JSON, None)]


def bad_color(f):
    categories = [dict(c) for c in f.content["categories"]]
    categories[0]["color"] = [0, 0, 300]
    f.content["categories"] = categories
    return [("categories", JSON, None)]


def category_twice(f):
    f.content["categories"] = [*f.content["categories"], f.content["categories"][0]]
    return [("categories", JSON, None)]


def category_name_twice(f):
    sky = f.content["categories"][0]
    f.content["categories"] = [*f.content["categories"], {**sky, "id": 9}]
    return [("category_names", JSON, None)]


def no_annotations(f):
    f.content["annotations"] = []
    unnamed = [("unnamed_file", f"{i}.png", None) for i in (10, 20, 30)]
    return [("no_annotations", JSON, None), *unnamed]


def image_id_twice(f):
    f.content["images"].append({"id": 20, "file_name": "20.png"})
    return [("duplicate_image_id", JSON, 20)]


def two_annotations(f):
    f.content["annotations"].append(annotation(f))
    return [("duplicate_annotation", JSON, 20)]


def annotation_without_image(f):
    f.content["images"].remove(entry(f))
    return [
        ("annotation_without_image", JSON, 20),
        ("unnamed_file", "20.png", None),
    ]


def image_without_annotation(f):
    f.content["annotations"].remove(annotation(f))
    return [
        ("image_without_annotation", JSON, 20),
        ("unnamed_file", "20.png", None),
    ]


def segment_twice(f):
    segments(f).append(segments(f)[0])
    return [("duplicate_segment_id", JSON, 20)]


def unknown_category(f):
    segments(f)[1]["category_id"] = 99
    return [("unknown_category", JSON, 20)]


def shared_png(f):
    annotation(f)["file_name"] = "10.png"
    return [("shared_file", JSON, 20), ("unnamed_file", "20.png", None)]


# -- Files -----------------------------------------------------------------------


def missing_image(f):
    (f.images / "20.png").unlink()
    return [("missing_image", "20.png", 20)]


def missing_png(f):
    (f.pngs / "20.png").unlink()
    return [("missing_png", "20.png", 20)]


def empty_image(f):
    (f.images / "20.png").write_bytes(b"")
    return [("unreadable_image", "20.png", 20)]


def truncated_image(f):
    path = f.images / "20.png"
    path.write_bytes(path.read_bytes()[:-60])
    return [("unreadable_image", "20.png", 20)]


def text_as_image(f):
    (f.images / "20.png").write_text("hello")
    return [("unreadable_image", "20.png", 20)]


def float_image(f):
    entry(f)["file_name"] = "20.tiff"
    Image.fromarray(np.zeros((6, 8), np.float32)).save(f.images / "20.tiff")
    (f.images / "20.png").unlink()
    return [("unreadable_image", "20.tiff", 20)]


def empty_png(f):
    (f.pngs / "20.png").write_bytes(b"")
    return [("unreadable_labels", "20.png", 20)]


def jpeg_labels(f):
    image(f).save(f.pngs / "20.png", "JPEG")
    return [("png_format", "20.png", 20)]


def gray_labels(f):
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(f.pngs / "20.png")
    return [("png_format", "20.png", 20)]


def deep_labels(f):
    rgb = np.stack([f.ids % 256, f.ids // 256 % 256, f.ids // 65536], -1) * 256
    (f.pngs / "20.png").write_bytes(deep_png(rgb))
    return [("png_format", "20.png", 20)]


def deep_image(f):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 65536, (6, 8, 3))
    (f.images / "20.png").write_bytes(deep_png(pixels))
    return [("pixel_format", "20.png", 20)]


def other_size(f):
    image(f).resize((16, 12)).save(f.images / "20.png")
    return [("size_mismatch", "20.png", 20)]


def turned_labels(f):
    path = rename_to_jpg(f)
    exif = Image.Exif()
    exif[0x0112] = 6
    image(f).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    (f.images / "20.png").unlink()
    return [("exif", "20.jpg", 20), ("exif_mismatch", "20.png", 20)]


def exif_without_harm(f):
    path = rename_to_jpg(f)
    exif = Image.Exif()
    exif[0x0112] = 6
    image(f).save(path, exif=exif)
    (f.images / "20.png").unlink()
    return [("exif", "20.jpg", 20)]


def json_size(f):
    entry(f).update(height=8, width=6)
    return [("json_size", "20.png", 20)]


def right_json_size(f):
    entry(f).update(height=6, width=8)
    return []


def unnamed_files(f):
    (f.images / "Thumbs.db").write_bytes(b"x")
    (f.pngs / "old").mkdir()
    (f.pngs / "old" / "1.png").write_bytes(b"x")
    return [("unnamed_file", "Thumbs.db", None), ("unnamed_file", "1.png", None)]


def mode(name):
    def change(f):
        suffix = "jpg" if name == "CMYK" else "png"
        entry(f)["file_name"] = f"new.{suffix}"
        image(f).convert(name).save(f.images / f"new.{suffix}")
        (f.images / "20.png").unlink()
        return [("pixel_format", f"new.{suffix}", 20)]

    change.__name__ = f"mode_{name}"
    return change


def deep_gray(f):
    deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    Image.fromarray(deep).save(f.images / "20.png")
    return [("pixel_format", "20.png", 20)]


def thin(f):
    Image.fromarray(np.full((1, 8, 3), 7, np.uint8)).save(f.images / "20.png")
    f.save_ids("20.png", np.array([[1000] * 4 + [5] * 2 + [70000] * 2]))
    return [("thin_image", "20.png", 20)]


# -- Maps ------------------------------------------------------------------------


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


INTACT = (right_json_size, right_area_and_bbox)
DEFECTS = (
    not_json, no_categories, instances_json, one_without_segments_info,
    image_without_file_name, segment_id_too_large, no_isthing, bad_color,
    category_twice, category_name_twice, no_annotations, image_id_twice,
    two_annotations, annotation_without_image, image_without_annotation,
    segment_twice, unknown_category, shared_png, missing_image, missing_png,
    empty_image, truncated_image, text_as_image, float_image, empty_png, jpeg_labels,
    gray_labels, deep_labels, deep_image, other_size, turned_labels,
    exif_without_harm, json_size, unnamed_files, mode("L"), mode("RGBA"), mode("P"),
    mode("CMYK"), deep_gray, thin, undescribed, empty_segment, wrong_area, wrong_bbox,
    stuff_in_parts, all_void, only_crowd, same_picture_twice,
)  # fmt: skip


def trains(root):
    """Whether training's own reader takes the split."""
    try:
        for example in CocoPanoptic.from_root(root, "val"):
            assert example.image is not None and example.panoptic is not None
    except (ValueError, FileNotFoundError):
        return False
    return True


@pytest.mark.parametrize("defect", [*INTACT, *DEFECTS], ids=lambda d: d.__name__)
def test_a_defect_is_named(coco_folder, found, defect):
    expected = defect(coco_folder)
    if coco_folder.content is None:
        coco_folder.json_path.write_text("{")
    else:
        coco_folder.save_json()
    seen = found(coco_folder.root)
    # What follows from a defect may be reported, too, but nothing else.
    follows = {"undescribed_ids", "unnamed_file", "annotation_without_image"}
    assert set(expected) <= set(seen)
    assert [f for f in seen if f not in expected and f[0] not in follows] == []
    errors = any(KINDS[kind].severity == "error" for kind, _, _ in seen)
    assert errors == (not trains(coco_folder.root))


def test_the_tiny_folder_is_fine(coco_folder, found):
    assert found(coco_folder.root) == []
    assert trains(coco_folder.root)


def test_several_defects_are_all_named(coco_folder, found):
    missing_image(coco_folder)
    (coco_folder.pngs / "10.png").write_bytes(b"\x89PNG")
    coco_folder.content["annotations"][0]["segments_info"][0]["category_id"] = 99
    coco_folder.save_json()
    assert found(coco_folder.root) == [
        ("unknown_category", JSON, 30),
        ("missing_image", "20.png", 20),
        ("unreadable_labels", "10.png", 10),
    ]


def test_a_missing_file_with_another_suffix_is_suggested(coco_folder):
    (coco_folder.images / "20.png").rename(coco_folder.images / "20.JPG")
    first = examine(coco_folder.root, num_workers=1).findings[0]
    assert first.kind == "missing_image"
    assert "there is 20.JPG" in first.cure


def test_a_huge_image_is_noted(coco_folder, found, monkeypatch):
    monkeypatch.setattr(image_checks, "HUGE_PX", 40)
    huge = [f for f in found(coco_folder.root) if f[0] == "huge_image"]
    assert len(huge) == 3


def test_the_warning_of_pillow_about_huge_images_is_silent(coco_folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    assert not examine(coco_folder.root, num_workers=2).errors


def test_a_damaged_exif_does_no_harm(coco_folder, found):
    path = rename_to_jpg(coco_folder)
    image(coco_folder).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01")
    (coco_folder.images / "20.png").unlink()
    coco_folder.save_json()
    assert found(coco_folder.root) == []


def test_too_many_segments_are_counted_as_in_training(coco_folder):
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    for most in (2, 3, 4):
        examination = examine(coco_folder.root, max_instances=most, num_workers=1)
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


def test_zip_files(coco_folder, found):
    with zipfile.ZipFile(coco_folder.root / "val.zip", "w") as packed:
        for path in coco_folder.images.iterdir():
            if path.name != "20.png":
                packed.write(path, f"val/{path.name}")
            path.unlink()
    coco_folder.images.rmdir()
    assert found(coco_folder.root)[0] == ("missing_image", "20.png", 20)
