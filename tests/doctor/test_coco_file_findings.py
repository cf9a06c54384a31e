"""One bad file in a tiny COCO folder: kind, file and image id are named."""

import zipfile

import numpy as np
import pytest
from coco_defects import assert_named, entry, image, rename_to_jpg
from deep_png import deep_png
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from pix2seq_d.doctor import image_checks
from pix2seq_d.doctor.examine import examine


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


DEFECTS = (
    missing_image, missing_png, empty_image, truncated_image, text_as_image,
    float_image, empty_png, jpeg_labels, gray_labels, deep_labels, deep_image,
    other_size, turned_labels, exif_without_harm, json_size, right_json_size,
    unnamed_files, deep_gray, thin, mode("L"), mode("RGBA"), mode("P"), mode("CMYK"),
)  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.__name__)
def test_a_defect_is_named(coco_folder, found, defect):
    assert_named(coco_folder, found, defect)


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


def test_an_image_over_the_limit_of_pillow_is_named(coco_folder, monkeypatch):
    image(coco_folder).resize((80, 60)).save(coco_folder.images / "20.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    (error,) = examine(coco_folder.root, num_workers=1).errors
    assert (error.kind, error.image_id) == ("unreadable_image", 20)
    assert "is too large to open (Image size (4800 pixels) exceeds" in error.message
    assert error.cure == "scale it and its labels down, or cut them into parts"


def test_every_file_is_decoded_once(coco_folder, found, monkeypatch):
    decoded = []
    load = PngImageFile.load_prepare
    monkeypatch.setattr(
        PngImageFile, "load_prepare", lambda self: (decoded.append(self), load(self))
    )
    assert found(coco_folder.root) == []
    assert len(decoded) == 6  # three images, three maps


def test_a_damaged_exif_does_no_harm(coco_folder, found):
    path = rename_to_jpg(coco_folder)
    image(coco_folder).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01")
    (coco_folder.images / "20.png").unlink()
    coco_folder.save_json()
    assert found(coco_folder.root) == []


def test_zip_files(coco_folder, found):
    with zipfile.ZipFile(coco_folder.root / "val.zip", "w") as packed:
        for path in coco_folder.images.iterdir():
            if path.name != "20.png":
                packed.write(path, f"val/{path.name}")
            path.unlink()
    coco_folder.images.rmdir()
    assert found(coco_folder.root)[0] == ("missing_image", "20.png", 20)


def test_a_damaged_member_of_a_zip_is_named(coco_folder):
    path = coco_folder.root / "panoptic_val.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for png in sorted(coco_folder.pngs.iterdir()):
            packed.write(png, f"panoptic_val/{png.name}")
            png.unlink()
        offset = packed.getinfo("panoptic_val/20.png").header_offset
    coco_folder.pngs.rmdir()
    data = bytearray(path.read_bytes())
    data[offset + 50 : offset + 58] = b"\xff" * 8  # 30 of header, 19 of name
    path.write_bytes(data)
    (error,) = examine(coco_folder.root, num_workers=2).errors
    assert (error.kind, error.image_id) == ("unreadable_labels", 20)
    assert error.where == f"{path}/panoptic_val/20.png"
    assert error.cure == "download the zip again"
