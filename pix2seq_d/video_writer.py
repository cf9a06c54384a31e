"""Writing a video file, MP4 or WebM, from RGB frames with times."""

import dataclasses
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

_BT709 = 1  # AVCOL_SPC_BT709, and the same number for primaries and transfer
_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
_FRAME_DURATION = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION


@dataclasses.dataclass(frozen=True)
class _Encoder:
    """An encoder, how fine its times are, its options and the container's."""

    codec: str
    ticks_per_s: int
    options: dict[str, str]
    container_options: dict[str, str]


# The index in front: a browser begins to play at once.
_MP4 = {"movflags": "+faststart"}
# 1/60000 s is exact for 24, 25, 30, 50, 60 and 30000/1001 frames a second; MPEG-4
# allows no finer than 1/65535, and WebM is in milliseconds. B-frames would lose the
# duration of the last frame.
_X264 = _Encoder(
    "libx264", 60_000, {"crf": "18", "preset": "veryfast", "bf": "0"}, _MP4
)
_MPEG4 = _Encoder("mpeg4", 60_000, {"qmin": "2", "qmax": "4"}, _MP4)
_VP9 = _Encoder(
    "libvpx-vp9",
    1_000,
    {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    {},
)
_ENCODERS = {".mp4": (_X264, _MPEG4), ".webm": (_VP9,)}
SUFFIXES = tuple(_ENCODERS)


class VideoWriter:
    """Writes a video, one frame in memory; a context manager.

    The file has a temporary name, `<name>.part`, until it is closed; after an error
    there is none. The size is that of the first frame, made even by repeating the last
    row or column where it is odd; frames of another size are scaled to fit it, with
    black bars. Each frame is shown until the next one's time, the last as long as the
    one before.

    Args:
      path: `.mp4` (H.264; MPEG-4 where the library lacks that) or `.webm` (VP9).
      rate: frames a second that are usual; only a single frame's duration and, where
        times do not rise, the distance depends on it.
    Raises:
      ValueError: another suffix, or no encoder for it.
    """

    def __init__(self, path: Path | str, *, rate: float = 24.0) -> None:
        self._path = Path(path)
        if not rate > 0:
            raise ValueError(f"rate {rate}: must be more than 0 frames a second")
        self._encoder = _find_encoder(self._path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._rate = rate
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        # A frame is encoded when the next one says how long it is shown.
        self._waiting: av.VideoFrame | None = None

    def write(self, image: np.ndarray, time_s: float) -> None:
        """Adds a frame.

        Args:
          image: [H, W, 3] uint8 RGB, any size.
          time_s: when it is shown, >= 0; a time that does not rise becomes the next
            one that the file can hold.
        Raises:
          ValueError: not such an image or time.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"frame is {image.dtype} {list(image.shape)}; give uint8 [H, W, 3] RGB"
            )
        if 0 in image.shape or not 0 <= time_s < float("inf"):
            raise ValueError(
                f"frame of {image.shape[1]}x{image.shape[0]} pixels at {time_s} s; "
                "give at least one pixel and a time from 0 on"
            )
        if self._stream is None:
            self._open(image.shape[0], image.shape[1])
        frame = av.VideoFrame.from_ndarray(_fit(image, self._size), format="rgb24")
        frame.pts = round(time_s * self._encoder.ticks_per_s)
        frame.time_base = Fraction(1, self._encoder.ticks_per_s)
        if self._waiting is not None:
            assert self._waiting.pts is not None
            frame.pts = max(frame.pts, self._waiting.pts + 1)
            self._waiting.duration = frame.pts - self._waiting.pts
            self._encode(self._waiting)
        self._waiting, last = frame, self._waiting
        frame.duration = (
            last.duration if last else round(self._encoder.ticks_per_s / self._rate)
        )

    def close(self) -> None:
        """Ends the file and gives it its name.

        Raises:
          ValueError: no frame was written.
        """
        if self._waiting is None or self._container is None:
            raise ValueError(f"{self._path}: no frame was written; write at least one")
        self._encode(self._waiting)
        self._encode(None)
        self._container.close()
        self._container = None
        self._part.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            if self._container is not None:
                self._container.close()
                self._container = None
                self._part.unlink(missing_ok=True)

    def _open(self, height: int, width: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # The encoders halve the resolution of colour.
        self._size = height + height % 2, width + width % 2
        self._container = av.open(
            f"file:{self._part}",  # the prefix, because "a:b.mp4" would be a protocol
            "w",
            format=self._path.suffix.lower()[1:],
            options=dict(self._encoder.container_options),
        )
        stream = self._container.add_stream(
            self._encoder.codec,
            rate=Fraction(self._rate).limit_denominator(1001),
            options=dict(self._encoder.options),
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, self._encoder.ticks_per_s)
        context.flags |= _FRAME_DURATION
        # Untagged, players guess the matrix by the size, and colours shift.
        stream.colorspace = stream.color_primaries = stream.color_trc = _BT709
        stream.color_range = _LIMITED_RANGE
        self._stream = stream

    def _encode(self, frame: av.VideoFrame | None) -> None:
        assert self._stream is not None and self._container is not None
        if frame is not None:
            pts, duration = frame.pts, frame.duration
            frame = frame.reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts, frame.duration = pts, duration
        self._container.mux(self._stream.encode(frame))


def _find_encoder(path: Path) -> _Encoder:
    suffix = path.suffix.lower()
    if suffix not in _ENCODERS:
        raise ValueError(f"{path}: is no name for a video; let it end in .mp4 or .webm")
    for encoder in _ENCODERS[suffix]:
        try:
            Codec(encoder.codec, "w")
        except UnknownCodecError:
            continue
        return encoder
    names = " nor ".join(e.codec for e in _ENCODERS[suffix])
    raise ValueError(f"{path}: this PyAV has no {names}; pip install av, or take .mp4")


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Image [h, w, 3] uint8 -> [*size, 3], even sides; see `VideoWriter`."""
    height, width = image.shape[:2]
    if (height + height % 2, width + width % 2) == size:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    scale = min(size[0] / height, size[1] / width)
    rows, columns = (max(1, round(scale * side)) for side in (height, width))
    photo = Image.fromarray(image).resize((columns, rows), Image.Resampling.LANCZOS)
    fitted = np.zeros((*size, 3), np.uint8)
    y, x = (size[0] - rows) // 2, (size[1] - columns) // 2
    fitted[y : y + rows, x : x + columns] = np.asarray(photo)
    return fitted
