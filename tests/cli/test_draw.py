"""Scenes to try a model on: the validation scenes, as files."""

import numpy as np
import pytest
from PIL import Image

from pix2seq_d import assets
from pix2seq_d.cli import app, draw
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.training import model_file
from pix2seq_d.video_files import open_video


def test_pictures_are_the_validation_scenes(tmp_path):
    argv = [f"--output={tmp_path}", "--first=3", "--count=2", "--size=48"]
    assert app.run(draw.main, "draw", argv) == 0
    source = Shapes("val", size=(48, 48))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [source[k].file_name for k in (3, 4)]
    for number, file in zip((3, 4), files, strict=True):
        with Image.open(file) as picture:
            np.testing.assert_array_equal(np.asarray(picture), source[number].image)


@pytest.mark.parametrize(
    ("more", "name"), [((), "shapes"), (("--video",), "shapes_video")]
)
def test_they_are_as_large_as_the_shipped_model_takes_them(tmp_path, more, name):
    argv = [f"--output={tmp_path}", "--count=1", *more]
    assert app.run(draw.main, "draw", argv) == 0
    (file,) = tmp_path.iterdir()
    if more:
        found = next(iter(open_video(file))).image.shape[:2]
    else:
        with Image.open(file) as picture:
            found = picture.size
    model = model_file.load(assets.file_of(name)).config.model
    assert found == model.image_size


def test_videos_are_the_validation_videos(tmp_path):
    argv = [f"--output={tmp_path}", "--video", "--first=1", "--count=1"]
    assert app.run(draw.main, "draw", argv) == 0
    source = ShapesVideo("val")
    video = source.videos[1]
    frames = list(open_video(tmp_path / f"{video.name}.mp4"))
    assert len(frames) == video.stop - video.start
    for k in (0, 23):  # H.264 loses little beside what moves in between
        drawn, other = (source[video.start + n].image.astype(int) for n in (k, 23 - k))
        lost = np.abs(frames[k].image - drawn).mean()
        assert lost < 10 and lost < np.abs(frames[k].image - other).mean() / 1.5
