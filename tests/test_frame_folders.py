"""Folders of images as videos: their order, and what is wrong with them."""

import numpy as np
import pytest
from made_videos import gray, number_of, quadrants, read
from PIL import Image

from pix2seq_d.frame_folders import FrameFolder
from pix2seq_d.video_files import open_video


def folder_of(path, names):
    path.mkdir()
    for k, name in enumerate(names):
        Image.fromarray(gray(k)).save(path / name)
    return path


def test_a_folder_is_a_video_in_the_order_of_its_numbers(tmp_path):
    names = ["f1.png", "f2.png", "f9.PNG", "f10.png", "f100.bmp"]
    folder = folder_of(tmp_path / "frames", names)
    (folder / "notes.txt").write_text("no frame")
    (folder / ".f3.png").write_bytes(b"of a file manager")
    video, frames = read(folder, folder_rate=20.0)
    assert [f.name for f in frames] == ["f1", "f2", "f9", "f10", "f100"]
    assert [number_of(f.image) for f in frames] == list(range(5))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(5) / 20)
    assert video.facts.num_frames == video.num_read == 5
    assert video.facts.rate == 20.0 and video.facts.size == (48, 64)
    skipped, rest = read(folder, skip=3)
    assert [(f.index, f.name) for f in rest] == [(3, "f10"), (4, "f100")]
    assert skipped.num_read == 5 and skipped.note == ""


def test_frames_of_a_folder_are_upright(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    Image.fromarray(quadrants(48, 64)).save(folder / "1.png", exif=exif)
    video, frames = read(folder)
    np.testing.assert_array_equal(frames[0].image, np.rot90(quadrants(48, 64), -1))
    assert video.facts.size == (64, 48) and video.facts.coded_size == (48, 64)


def test_what_is_wrong_with_a_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: no such folder; check"):
        FrameFolder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no image in this folder \("):
        open_video(tmp_path / "empty")
    twice = folder_of(tmp_path / "twice", ["1.png", "2.png", "2.jpg"])
    with pytest.raises(ValueError, match=r"holds 2\.jpg and 2\.png, of which only one"):
        open_video(twice)
    with pytest.raises(ValueError, match=r"rate 0\.0: must be more than 0"):
        FrameFolder(twice, rate=0.0)
    broken = folder_of(tmp_path / "broken", ["1.png", "2.png"])
    (broken / "2.png").write_bytes((broken / "2.png").read_bytes()[:50])
    with open_video(broken) as video:
        frames = iter(video)
        assert next(frames).name == "1"
        with pytest.raises(ValueError, match=r"2\.png: cannot be decoded"):
            next(frames)
        assert video.num_read == 1
