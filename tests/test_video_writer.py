"""Writing videos: sizes, times and colours come back, and no half file is left."""

import av
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError

from pix2seq_d import video_writer
from pix2seq_d.video_files import VideoFile
from pix2seq_d.video_writer import VideoWriter

COLORS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (240, 240, 30)]


def plain(k, size=(48, 64)):
    return np.full((*size, 3), COLORS[k % len(COLORS)], np.uint8)


def write(path, frames, **options):
    with VideoWriter(path, **options) as writer:
        for image, time_s in frames:
            writer.write(image, time_s)
    with VideoFile(path) as video:
        return list(video)


def codec_of(path):
    with av.open(str(path)) as file:
        return file.streams.video[0].codec_context.name


def seconds_of(path):
    with av.open(str(path)) as file:
        return file.duration / av.time_base


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.mp4", "h264"), ("clip.webm", "vp9"), ("A.MP4", "h264")]
)
def test_frames_come_back_with_their_times_and_colours(tmp_path, name, codec):
    path = tmp_path / "deep" / name
    times = [0, 0.04, 0.08, 0.5, 0.51, 1.0, 1.5]
    frames = write(path, [(plain(k), t) for k, t in enumerate(times)])
    np.testing.assert_allclose([f.time_s for f in frames], times, atol=6e-4)
    for k, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - plain(k)).max() <= 12
    assert codec_of(path) == codec
    # The last frame is shown as long as the one before.
    assert seconds_of(path) == pytest.approx(2.0, abs=0.01)


def test_colours_are_tagged_so_that_players_need_not_guess(tmp_path):
    write(tmp_path / "clip.mp4", [(plain(0), 0.0)])
    with av.open(str(tmp_path / "clip.mp4")) as file:
        stream = file.streams.video[0]
        tags = (stream.colorspace, stream.color_primaries, stream.color_trc)
        assert tags == (1, 1, 1)  # BT.709
        assert stream.color_range == 1  # limited


def test_without_h264_it_is_mpeg_4(tmp_path, monkeypatch):
    real = video_writer.Codec

    def lacking(name, mode):
        if name == "libx264":
            raise UnknownCodecError(name)
        return real(name, mode)

    monkeypatch.setattr(video_writer, "Codec", lacking)
    frames = write(tmp_path / "clip.mp4", [(plain(k), k / 30) for k in range(4)])
    assert codec_of(tmp_path / "clip.mp4") == "mpeg4"
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(4) / 30, atol=1e-4)

    def nothing(name, mode):
        raise UnknownCodecError(name)

    monkeypatch.setattr(video_writer, "Codec", nothing)
    with pytest.raises(ValueError, match=r"clip\.webm: this PyAV has no libvpx-vp9;"):
        VideoWriter(tmp_path / "clip.webm")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_an_odd_side_repeats_its_last_row_or_column(tmp_path, suffix, size):
    image = plain(0, size)
    image[-1], image[:, -1] = (20, 20, 20), (230, 230, 230)
    path = tmp_path / f"odd{suffix}"
    frames = write(path, [(image, k / 24) for k in range(3)])
    height, width = size[0] + size[0] % 2, size[1] + size[1] % 2
    padded = np.pad(
        image, ((0, height - size[0]), (0, width - size[1]), (0, 0)), "edge"
    )
    assert [f.image.shape for f in frames] == [(height, width, 3)] * 3
    # Brightness only, of which nothing is thrown away.
    found, wanted = (x.mean(-1)[-1] for x in (frames[0].image, padded))
    assert np.abs(found - wanted).max() < 20


def test_frames_of_another_size_are_fitted_between_black_bars(tmp_path):
    frames = write(
        tmp_path / "clip.mp4",
        [
            (plain(0), 0.0),
            (plain(1, (96, 64)), 0.1),  # tall: 48 x 32
            (plain(2, (16, 64)), 0.2),  # low: 16 x 64
            (plain(3, (480, 640)), 0.3),  # the same shape, larger
        ],
    )
    assert [f.image.shape for f in frames] == [(48, 64, 3)] * 4
    tall, low, large = (f.image.astype(int) for f in frames[1:])
    assert tall[:, :14].max() < 25 and tall[:, 50:].max() < 25
    assert np.abs(tall[:, 20:44] - COLORS[1]).max() < 15
    assert low[:14].max() < 25 and low[34:].max() < 25
    assert np.abs(low[20:28] - COLORS[2]).max() < 15
    assert np.abs(large - COLORS[3]).max() < 15


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_times_that_do_not_rise_lose_no_frame(tmp_path, suffix):
    times = [0.0, 0.5, 0.5, 0.2, 1.0]
    path = tmp_path / f"clip{suffix}"
    frames = write(path, [(plain(k), t) for k, t in enumerate(times)])
    found = [f.time_s for f in frames]
    np.testing.assert_allclose(found, [0, 0.5, 0.5, 0.5, 1.0], atol=3e-3)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_single_frame_is_shown_for_one_period(tmp_path, suffix):
    path = tmp_path / f"one{suffix}"
    assert len(write(path, [(plain(2), 0.0)], rate=10)) == 1
    assert seconds_of(path) == pytest.approx(0.1, abs=2e-3)


def test_the_index_of_an_mp4_is_in_front(tmp_path):
    write(tmp_path / "clip.mp4", [(plain(k), k / 24) for k in range(5)])
    data = (tmp_path / "clip.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_file_has_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path)
    for k in range(60):  # more than the encoder keeps to itself
        writer.write(plain(k), k / 24)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4.part"]
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("num_frames", [0, 1, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_an_error_leaves_the_earlier_file_and_no_half_one(tmp_path, suffix, num_frames):
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"of an earlier run")
    with pytest.raises(RuntimeError, match="in between"), VideoWriter(path) as writer:
        for k in range(num_frames):
            writer.write(plain(k), k / 24)
        raise RuntimeError("in between")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"of an earlier run"


def test_a_video_without_a_frame_is_refused(tmp_path):
    message = r"clip\.mp4: no frame was written; write at least one"
    with pytest.raises(ValueError, match=message), VideoWriter(tmp_path / "clip.mp4"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.gif"])
def test_another_kind_of_file_is_refused(tmp_path, name):
    message = rf"{name}: is no name for a video; let it end in \.mp4 or \.webm"
    with pytest.raises(ValueError, match=message):
        VideoWriter(tmp_path / name)


@pytest.mark.parametrize(
    ("image", "time_s", "message"),
    [
        (
            plain(0).astype(np.float32),
            0.0,
            r"frame is float32 \[48, 64, 3\]; give uint8",
        ),
        (plain(0)[..., 0], 0.0, r"frame is uint8 \[48, 64\]; give"),
        (plain(0)[:0], 0.0, r"frame of 64x0 pixels at 0\.0 s; give at least one"),
        (plain(0), -0.1, r"at -0\.1 s; give .* a time from 0 on"),
        (plain(0), float("nan"), r"at nan s; give"),
        (plain(0), float("inf"), r"at inf s; give"),
    ],
)
def test_what_is_no_frame_is_refused(tmp_path, image, time_s, message):
    with (
        pytest.raises(ValueError, match=message),
        VideoWriter(tmp_path / "clip.mp4") as writer,
    ):
        writer.write(image, time_s)
    with pytest.raises(ValueError, match=r"rate -1: must be more than 0"):
        VideoWriter(tmp_path / "clip.mp4", rate=-1)
