"""Videos made by PyAV for the tests of those who read them."""

from fractions import Fraction

import av
import numpy as np

from pix2seq_d.video_files import open_video

CODECS = {".gif": "gif", ".webm": "libvpx-vp9"}
TICKS = 1000  # a second
CORNERS = [(210, 40, 40), (40, 210, 40), (40, 40, 210), (220, 220, 40)]


def gray(k, size=(48, 64)):
    """Frame k: a shade of grey that tells its number."""
    return np.full((*size, 3), 30 + 8 * k, np.uint8)


def number_of(image):
    return round((float(image.mean()) - 30) / 8)


def quadrants(height, width):
    table = np.array(CORNERS, np.uint8).reshape(2, 2, 3)
    return table.repeat(height // 2, 0).repeat(width // 2, 1)


def noise(k, size=(48, 64)):
    return np.random.default_rng(k).integers(0, 255, (*size, 3), np.uint8)


def make(
    path,
    images,
    *,
    times=None,
    codec=None,
    pix_fmt=None,
    options=None,
    container_options=None,
    format=None,
    prepare=lambda stream: None,
    hold_s=None,
):
    """Writes images as a video, 10 frames a second where no times are given.

    `hold_s` is how long the last frame is shown, where not as long as the others.
    """
    images = list(images)
    codec = codec or CODECS.get(path.suffix, "libx264")
    pix_fmt = pix_fmt or ("rgb8" if codec == "gif" else "yuv420p")
    with av.open(str(path), "w", format=format, options=container_options) as file:
        stream = file.add_stream(codec, rate=10, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, TICKS)
        prepare(stream)
        packets = []
        for k, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round(TICKS * (k / 10 if times is None else times[k]))
            frame.time_base = Fraction(1, TICKS)
            packets += stream.encode(frame)
        packets += stream.encode()
        if hold_s is not None:
            last = max(packets, key=lambda packet: packet.pts)
            last.duration = round(hold_s / last.time_base)
        file.mux(packets)
    return path


def half(path, name):
    return cut(path, path.stat().st_size // 2, name)


def cut(path, size, name):
    """The first bytes of a file, as another file."""
    shorter = path.with_name(name)
    shorter.write_bytes(path.read_bytes()[:size])
    return shorter


def spans(path):
    """First byte and size of every packet of the pictures, in the file's order."""
    with av.open(str(path)) as file:
        return [(p.pos, p.size) for p in file.demux(video=0) if p.size]


def read(path, **options):
    with open_video(path, **options) as video:
        return video, list(video)
