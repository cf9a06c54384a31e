"""Videos as people have them through `launch.predict`: what is written, and said."""

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
import saved_training
from made_videos import cut, half, make, noise, read, spans
from PIL import Image

from pix2seq_d.cli import app, predict, predict_video
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.panoptic_files import read_png_ids
from pix2seq_d.visualize import track_video

SIZE = (32, 40)
# No loss, and full colour: what is read of turned and upright pictures is the same.
EXACT = {"pix_fmt": "yuv444p", "options": {"qp": "0"}}
FASTSTART = {"movflags": "faststart"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    folder = tmp_path_factory.mktemp("model") / "work"
    argv = ["--config=shapes_video:tiny", *micro, "--config.diffusion.num_steps_next=1"]
    saved_training.save(folder, argv, steps=[1])
    return folder


def drawn(count, size=SIZE):
    source = ShapesVideo("val", size=size, num_videos=1)
    return [source[k].image for k in range(count)]


def save_frames(folder, images):
    folder.mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{k}.png")
    return folder


def run(workdir, path, output, *more):
    argv = [f"--checkpoint={workdir}", f"--input={path}", f"--output={output}"]
    return app.run(predict.main, "predict", [*argv, "--min_area=1", *more])


class Written:
    """The results of a video, which have to agree with each other.

    maps, palettes: of its frames; times, pictures: of the video to look at, whose
    length in seconds is `length_s`; text: the JSON.
    """

    def __init__(self, output, name, suffix=".mp4"):
        assert not list(output.rglob("*.part"))
        self.text = (output / "panoptic.json").read_text()
        content = json.loads(self.text)
        (video,), (annotation,) = content["videos"], content["annotations"]
        assert video["video_id"] == annotation["video_id"] == name
        self.maps, self.palettes = [], []
        for image, entry in zip(
            video["images"], annotation["annotations"], strict=True
        ):
            ids = read_png_ids(output / "panoptic" / name / entry["file_name"])
            with Image.open(output / "davis" / name / entry["file_name"]) as palette:
                self.palettes.append(np.array(palette))
            assert (image["height"], image["width"]) == ids.shape
            assert self.palettes[-1].shape == ids.shape
            assert {s["id"]: s["area"] for s in entry["segments_info"]} == {
                i: int((ids == i).sum()) for i in np.unique(ids).tolist() if i
            }
            self.maps.append(ids)
        for kind in ("panoptic", "davis"):
            assert len(list((output / kind / name).iterdir())) == len(self.maps)
        with av.open(str(output / f"{name}{suffix}")) as made:
            decoded = list(made.decode(video=0))
            self.times = [frame.time for frame in decoded]
            self.pictures = [frame.to_ndarray(format="rgb24") for frame in decoded]
            self.length_s = made.duration / av.time_base
        assert len(self.pictures) == len(self.maps)


def same_maps(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    # Not by being empty: random weights draw things and stuff.
    assert len(np.unique(one[0])) > 2


def same_pictures(one, other):
    """Up to what the encoder may choose otherwise: once, on a busy machine, 0.008 % of
    the values of a frame, by at most 7. Frames of one video differ in 70 % of them.
    """
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        away = np.abs(a.astype(int) - b)
        assert (away > 0).mean() < 1e-3 and away.max() < 32


def test_a_variable_frame_rate_lasts_as_long(workdir, tmp_path):
    times = [0, 0.04, 0.08, 0.5, 0.51, 1.7, 1.75]
    images = drawn(len(times))
    phone = make(tmp_path / "phone.mp4", images, times=times, **EXACT)
    even = make(tmp_path / "even.mp4", images, **EXACT)
    for path in (phone, even):
        assert run(workdir, path, tmp_path / path.stem) == 0
    found = Written(tmp_path / "phone", "phone")
    np.testing.assert_allclose(found.times, times, atol=1e-3)
    assert found.length_s == pytest.approx(1.8, abs=2e-3)
    same_maps(found.maps, Written(tmp_path / "even", "even").maps)


def test_a_turned_phone_gives_what_the_upright_one_gives(workdir, tmp_path):
    images = drawn(3)
    turned = make(
        tmp_path / "turned.mp4",
        [np.rot90(image, -1).copy() for image in images],
        prepare=lambda stream: stream.set_display_rotation(90),
        **EXACT,
    )
    upright = make(tmp_path / "upright.mp4", images, **EXACT)
    assert read(turned)[0].facts.coded_size == SIZE[::-1]
    for path in (turned, upright):
        assert run(workdir, path, tmp_path / path.stem) == 0
    found = Written(tmp_path / "turned", "turned")
    expected = Written(tmp_path / "upright", "upright")
    assert found.maps[0].shape == SIZE
    same_maps(found.maps, expected.maps)
    same_pictures(found.pictures, expected.pictures)


def test_a_truncated_file_gives_its_frames_and_says_how_many(workdir, tmp_path, capsys):
    whole = make(
        tmp_path / "whole.mp4", map(noise, range(12)), container_options=FASTSTART
    )
    start, _ = spans(whole)[8]
    broken = cut(whole, start, "broken.mp4")
    assert run(workdir, whole, tmp_path / "whole") == 0
    assert "whole.mp4: " not in capsys.readouterr().err
    assert run(workdir, broken, tmp_path / "broken") == 0
    told = capsys.readouterr()
    assert "broken.mp4: 8 frames (0.7 s) could be read, the file ends " in told.err
    assert "panoptic.json (8 frames)" in told.out
    found = Written(tmp_path / "broken", "broken")
    assert len(found.maps) == 8 and found.length_s == pytest.approx(0.8, abs=2e-3)
    # Some of the last ones are drawn with the help of later ones.
    expected = Written(tmp_path / "whole", "whole").maps
    same_maps(found.maps[:4], expected[:4])


def test_half_a_file_without_its_index_is_named(workdir, tmp_path, capsys):
    whole = make(tmp_path / "whole.mp4", map(noise, range(12)))
    assert run(workdir, half(whole, "half.mp4"), tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "half.mp4: cannot be read as a video (" in error and error.count("\n") == 1
    assert "cut off before its index" in error
    assert not (tmp_path / "out").exists()


def test_odd_sizes_give_what_a_folder_of_their_frames_gives(workdir, tmp_path):
    path = make(tmp_path / "odd.mp4", drawn(3, (33, 41)), **EXACT)
    folder = save_frames(tmp_path / "frames", [f.image for f in read(path)[1]])
    assert run(workdir, path, tmp_path / "out") == 0
    assert run(workdir, folder, tmp_path / "out2", "--fps=10") == 0
    found, expected = (
        Written(tmp_path / "out", "odd"),
        Written(tmp_path / "out2", "frames"),
    )
    assert found.maps[0].shape == (33, 41)
    same_maps(found.maps, expected.maps)
    np.testing.assert_allclose(found.times, expected.times, atol=1e-3)


@pytest.mark.parametrize(
    ("suffix", "format"), [(".mp4", "mp4"), (".webm", "webm"), (".gif", "mp4")]
)
def test_a_clip_of_one_frame_is_a_video(workdir, tmp_path, suffix, format):
    path = make(tmp_path / f"one{suffix}", drawn(1))
    assert run(workdir, path, tmp_path / "out", f"--video_format={format}") == 0
    found = Written(tmp_path / "out", "one", f".{format}")
    assert [ids.shape for ids in found.maps] == [SIZE] and found.times == [0]
    assert found.length_s == pytest.approx(0.1, abs=2e-3)


def test_a_size_that_changes_is_that_of_the_maps(workdir, tmp_path, capsys):
    sizes = [(48, 64), (96, 80)]
    parts = [
        make(tmp_path / f"{k}.ts", drawn(3, size), format="mpegts")
        for k, size in enumerate(sizes)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert read(path)[0].facts.num_frames == 3
    assert run(workdir, path, tmp_path / "out") == 0
    # More frames than the file said are no share of these.
    assert re.findall(r"predict frame (\S+)", capsys.readouterr().err) == ["3/3", "6/6"]
    found = Written(tmp_path / "out", "joined")
    assert [ids.shape for ids in found.maps] == [sizes[0]] * 3 + [sizes[1]] * 3
    assert len({picture.shape for picture in found.pictures}) == 1
    assert (np.diff(found.times) > 0).all()
    assert run(workdir, parts[0], tmp_path / "first") == 0
    same_maps(found.maps[:3], Written(tmp_path / "first", "0").maps)


def test_sound_alone_is_no_video(workdir, tmp_path, capsys):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44_100)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="flt", layout="mono"
        )
        sound.sample_rate, sound.pts = 44_100, 0
        file.mux([*stream.encode(sound), *stream.encode()])
    assert run(workdir, path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "song.mp4: has no video stream (audio only)" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_broken_frame_of_a_folder_is_mended_and_gone_on_from(
    workdir, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(predict_video, "_SAVE_EVERY", 4)
    folder, output = save_frames(tmp_path / "walk", drawn(10)), tmp_path / "out"
    assert run(workdir, folder, tmp_path / "whole") == 0
    broken = folder / "6.png"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    capsys.readouterr()
    assert run(workdir, folder, output) == 1
    # On a busy machine there are lines of progress before it.
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"predict: error: {broken}: cannot be decoded (")
    assert "6 frames are finished and kept; the same command with --resume" in error
    kept = sorted(path.name for path in (output / "panoptic" / "walk").iterdir())
    assert kept == [f"{k}.png" for k in range(6)]
    assert not (output / "panoptic.json").exists()

    broken.rename(tmp_path / "walk" / "6.png.broken")  # is no frame
    broken.write_bytes(content)
    assert run(workdir, folder, output, "--resume") == 0
    assert "going on from frame 6" in capsys.readouterr().err
    found, expected = Written(output, "walk"), Written(tmp_path / "whole", "walk")
    same_maps(found.maps, expected.maps)
    same_maps(found.palettes, expected.palettes)
    assert found.text == expected.text and found.times == expected.times
    same_pictures(found.pictures, expected.pictures)


def test_a_broken_first_frame_leaves_no_results(workdir, tmp_path, capsys):
    folder = save_frames(tmp_path / "walk", drawn(2))
    (folder / "0.png").write_bytes(b"no image")
    assert run(workdir, folder, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"{folder / '0.png'}: " in error and "--resume" not in error
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_the_frames(workdir, tmp_path, monkeypatch):
    """A frame that stays would cost 0.11 MB as it is decoded, 0.23 MB as RGB."""
    path = make(
        tmp_path / "long.mp4",
        (np.roll(noise(0, (240, 320)), 4 * k, 1) for k in range(200)),
        options={"preset": "ultrafast"},
    )
    monkeypatch.setattr(track_video, "_LONG_SIDE", (32, 64))  # quickly drawn
    resident_mb = {}

    class Followed(predict_video.Progress):
        def __init__(self, title, total, **options):
            super().__init__(title, total, **options)
            self._phase = title

        def update(self, done, text=""):
            super().update(done, text)
            resident_mb[self._phase, done] = _resident_mb()

    monkeypatch.setattr(predict_video, "Progress", Followed)
    assert run(workdir, path, tmp_path / "out") == 0
    assert len(Written(tmp_path / "out", "long").maps) == 200
    for phase in ("predict", "draw"):
        growth = resident_mb[phase, 200] - resident_mb[phase, 60]
        # 140 decoded frames would be 16 MB; what grows is 0.1 MB, of the allocators.
        assert growth < 4, (phase, growth)


def _resident_mb():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("resident memory is read from /proc, which only Linux has")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    return int(found[1]) / 1024
