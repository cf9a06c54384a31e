"""Image decoding: every pixel mode becomes 8-bit RGB, damaged files are named."""

import struct

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.image_files import (
    File,
    image_size,
    is_animated,
    open_image,
    orientation,
    read_rgb,
)

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return read_rgb(tmp_path / name)


def test_rgb_is_exact_and_writable(tmp_path):
    pixels = saved(tmp_path, Image.fromarray(RGB), "a.png")
    np.testing.assert_array_equal(pixels, RGB)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


def test_gray_is_repeated_and_alpha_dropped(tmp_path):
    gray = Image.fromarray(RGB[..., 0])
    expected = np.repeat(RGB[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(saved(tmp_path, gray, "gray.png"), expected)
    alpha = np.concatenate([RGB, RGB[..., :1]], -1)
    rgba = Image.fromarray(alpha)
    np.testing.assert_array_equal(saved(tmp_path, rgba, "alpha.png"), RGB)


def test_sixteen_bit_gray_is_scaled(tmp_path):
    deep = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
    expected = np.repeat(RGB[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(saved(tmp_path, deep, "deep.png"), expected)


def test_palette_with_transparency_gives_its_colours(tmp_path):
    image = Image.fromarray((np.arange(24) % 3).astype(np.uint8).reshape(4, 6))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    pixels = saved(tmp_path, image, "p.png", transparency=bytes([0, 128, 255]))
    np.testing.assert_array_equal(pixels[0, :3], np.eye(3, dtype=np.uint8) * 255)


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    flat = Image.new("RGB", (16, 16), (200, 60, 30)).convert("CMYK")
    pixels = saved(tmp_path, flat, "c.jpg", quality=95)
    np.testing.assert_allclose(pixels.mean((0, 1)), [200, 60, 30], atol=3)


def test_exif_orientation_is_ignored(tmp_path):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 6
    assert saved(tmp_path, image, "turned.jpg", exif=exif).shape == (4, 6, 3)


def test_a_damaged_exif_block_turns_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    for exif in (b"Exif\0\0garbage", b"Exif\0\0II*\0"):
        Image.fromarray(RGB).save(path, exif=exif)
        assert orientation(open_image(path)) == 1
        np.testing.assert_array_equal(read_rgb(path, upright=True), read_rgb(path))


def test_a_block_that_cannot_be_written_anew_turns_all_the_same(tmp_path):
    """0x010f is text by its definition, here it is a fraction."""
    image, path = Image.fromarray(RGB), tmp_path / "a.jpg"
    exif = image.getexif()
    exif[0x0112] = 6
    entries = [(0x010F, 5, 1, 38), (0x0112, 3, 1, 6)]
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    block += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    block += struct.pack("<III", 0, 7, 2)
    image.save(path, exif=block)
    assert orientation(open_image(path)) == 6
    turned = read_rgb(path, upright=True)
    np.testing.assert_array_equal(turned, np.rot90(read_rgb(path), -1))


def test_cut_animations_are_animations(tmp_path):
    frames = [Image.fromarray(np.roll(RGB, k, 0)).resize((64, 64)) for k in range(4)]
    for name in ("a.gif", "a.tif"):
        path = tmp_path / name
        frames[0].save(path, save_all=True, append_images=frames[1:])
        data = path.read_bytes()
        readable = 0
        for size in range(len(data) // 4, len(data), len(data) // 40):
            path.write_bytes(data[:size])
            try:
                read_rgb(path)
            except ValueError:
                continue
            assert is_animated(File.read(path))
            readable += 1
        assert readable


def test_float_and_32_bit_pixels_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"f\.tif: has floating-point pixels"):
        saved(tmp_path, Image.fromarray(np.ones((4, 4), np.float32)), "f.tif")
    with pytest.raises(ValueError, match=r"i\.tif: has 32-bit pixels"):
        saved(tmp_path, Image.fromarray(np.full((4, 4), 70000, np.int32)), "i.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_files_are_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: cannot be decoded") as info:
        read_rgb(path)
    assert "\n" not in str(info.value)


def test_an_image_over_the_limit_of_pillow_is_to_be_scaled(tmp_path, monkeypatch):
    path = tmp_path / "big.png"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    message = (
        r"big\.png: is too large to open \(Image size \(24 pixels\) exceeds .*\); "
        "scale it and its labels down, or cut them into parts$"
    )
    for read in (read_rgb, lambda path: image_size(File.read(path))):
        with pytest.raises(ValueError, match=message):
            read(path)


def test_orientation_is_that_of_the_exif(tmp_path):
    image = Image.fromarray(RGB)
    for value, expected in ((None, 1), (6, 6), (8, 8), (9, 1)):
        exif = image.getexif()
        if value is not None:
            exif[0x0112] = value
        image.save(tmp_path / "a.jpg", exif=exif)
        assert orientation(open_image(tmp_path / "a.jpg")) == expected
