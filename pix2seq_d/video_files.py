"""Reading videos frame by frame: MP4, WebM, GIF and others, or a folder of images."""

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pix2seq_d.frame_folders import FrameFolder
from pix2seq_d.panoptic_index import list_some
from pix2seq_d.video import Video, VideoFacts, VideoFrame

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".ogv", ".wmv", ".flv"),
)

_USUAL_RATE = 25.0  # frames a second, for time stamps where a file has none
_ROUNDING_S = 0.005  # Matroska's times are in milliseconds
_CURE = "copy or export the file again"


def is_video(path: Path | str) -> bool:
    """Whether a file's name ends like a video's; a GIF is one, a folder is not."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def open_video(path: Path | str, *, skip: int = 0, folder_rate: float = 24.0) -> Video:
    """Opens a video file, or a folder of frames as a video.

    Args:
      path: the file or the folder.
      skip: frames to leave out at the start.
      folder_rate: frames a second of a folder; files have times of their own.
    Raises:
      FileNotFoundError: no such file, or no image in the folder.
      ValueError: as `VideoFile` and `FrameFolder`.
    """
    if Path(path).is_dir():
        return FrameFolder(path, rate=folder_rate, skip=skip)
    return VideoFile(path, skip=skip)


class VideoFile(Video):
    """The frames of a video file.

    Frames are decoded one at a time and turned upright as the file's display matrix
    says (phones). Times are the file's, so a variable frame rate is kept; a stamp
    that is missing or does not rise is one mean frame after the one before. A
    change of size in the middle shows in the frames. Pixels are taken as square.

    A damaged or truncated file is no error: it gives what can be decoded, and `note`
    says so.

    Args:
      path: the file.
      skip: frames to leave out at the start; they are decoded, not converted.
    Raises:
      FileNotFoundError: no such file.
      ValueError: not a video, no video stream in it, or no frame can be decoded.
    """

    def __init__(self, path: Path | str, *, skip: int = 0) -> None:
        self._path, self._skip = Path(path), skip
        self._start_s: float | None = None
        self._last_s = 0.0
        self._num_damaged = self._num_packets = 0
        self._end_s = 0.0  # of the packets so far
        self._is_last_cut = False
        self._error = ""
        self._container = _open(self._path)
        try:
            self._stream = _video_stream(self._container, self._path)
            decoded = self._decode()
            first = next(decoded, None)
            if first is None:
                reason = self._error or "nothing in it can be decoded"
                raise ValueError(f"{path}: has no frame ({reason}); {_CURE}")
        except BaseException:
            self.close()
            raise
        self._decoded = itertools.chain([first], decoded)
        rate: Fraction | None = self._stream.average_rate or self._stream.guessed_rate
        self._duration_s = _duration_s(self._container, self._stream)
        count = self._stream.frames
        if not count and rate and self._duration_s:
            count = max(1, round(self._duration_s * rate))
        height, width = _upright(np.empty((first.height, first.width)), first).shape
        self.facts = VideoFacts(
            size=(height, width),
            coded_size=(self._stream.height, self._stream.width),
            rate=float(rate) if rate else None,
            num_frames=count or None,
        )

    def __iter__(self) -> Iterator[VideoFrame]:
        """See `Video`."""
        for frame in self._decoded:
            time_s, index = self._time_s(frame), self.num_read
            self.num_read += 1
            if index >= self._skip:
                rgb = _upright(frame.to_ndarray(format="rgb24"), frame)
                yield VideoFrame(index, f"{index:05d}", time_s, rgb)
        self.note = self._ending()

    def close(self) -> None:
        """See `Video`."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                # What was read before may still be inside the decoder.
                self._error, packet = str(error.strerror), None
            if packet is not None and packet.size:
                self._count(packet)
            try:
                yield from self._stream.decode(packet)
            except EndOfFile:
                return
            except FFmpegError:
                # As players do: the next key frame is whole again.
                self._num_damaged += 1
            if packet is None:
                return

    def _count(self, packet: av.Packet) -> None:
        self._num_packets += 1
        self._is_last_cut = packet.is_corrupt  # fewer bytes than it should have
        if packet.pts is not None and packet.time_base:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._end_s = max(self._end_s, end_s)

    def _time_s(self, frame: av.VideoFrame) -> float:
        stamp: float | None = frame.time  # None is possible, the stub has it wrong
        if self._start_s is None:
            self._start_s = stamp or 0.0
            return 0.0
        period = 1 / (self.facts.rate or _USUAL_RATE)
        time_s = self._last_s if stamp is None else stamp - self._start_s
        self._last_s = time_s if time_s > self._last_s else self._last_s + period
        return self._last_s

    def _ending(self) -> str:
        reasons = []
        if self._error:
            reasons.append(f"the file ends with an error ({self._error})")
        elif self._is_short():
            reasons.append("the file ends before it should")
        if self._num_damaged:
            reasons.append(f"damaged packets ({self._num_damaged}) were left out")
        if not reasons:
            return ""
        return (
            f"{self._path}: {self.num_read} frames ({self._last_s:.1f} s) could be "
            f"read, {' and '.join(reasons)}; for the rest {_CURE}"
        )

    def _is_short(self) -> bool:
        """Whether the file lacks a part at its end; False where nothing tells.

        A duration alone does not tell: the last picture may be held for long.
        """
        kind = self._container.format.name
        if kind == "gif":
            # Its duration is counted from what is there, but it has an end mark.
            return not _tail(self._path).rstrip(b"\0\r\n").endswith(b";")
        if self._is_last_cut and kind != "mpegts":  # there: any error of the stream
            return True
        if kind.startswith("mov"):
            # Not `frames`: the edit list of a trimmed file leaves some of them out.
            listed = sum(entry.size > 0 for entry in self._stream.index_entries)
            return self._num_packets < listed
        if kind.startswith("matroska"):
            # The index is at the end; without it alone no picture is lost.
            is_whole = (
                self._duration_s is not None
                and self._end_s + _ROUNDING_S >= self._duration_s
            )
            return _is_matroska_cut(self._path) and not is_whole
        return False


def _open(path: Path) -> InputContainer:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty; {_CURE}")
    try:
        # The prefix, because "a:b.mp4" would be the protocol "a".
        return av.open(f"file:{path}", "r", metadata_errors="replace")
    except FFmpegError as error:
        raise ValueError(
            f"{path}: cannot be read as a video ({error.strerror}), it is none or was "
            f"cut off before its index; {_CURE}, as MP4, WebM or GIF"
        ) from error


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    # The cover of a song is a video stream to the library, too.
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise ValueError(
        f"{path}: has no video stream ({list_some(kinds) or 'nothing'} only); give a "
        "file with pictures"
    )


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the pictures of a file last, as far as the file says."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d\d):([\d.]+)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska, WebM
        hours, minutes, seconds = tag.groups()
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return file.read()


def _is_matroska_cut(path: Path) -> bool:
    """Whether a Matroska or WebM file ends before the end of its segment.

    Also if only zeros are there (a download in a file of the final size). False for
    a segment of unknown size (live recordings). Source: RFC 8794, 4 and 5.
    """
    with path.open("rb") as file:
        for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):  # header, segment
            if file.read(4) != name:
                return False
            first = file.read(1)
            length = 9 - first[0].bit_length() if first else 9
            if length > 8:
                return False
            bits = 7 * length
            size = int.from_bytes(first + file.read(length - 1)) & ((1 << bits) - 1)
            if size == (1 << bits) - 1:  # unknown
                return False
            file.seek(size, 1)
        end = file.tell()
    return path.stat().st_size < end or not _tail(path).strip(b"\0")


def _upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turns and mirrors [H, W, ...] as the frame's display matrix says.

    x' = a x + c y, y' = b x + d y, in steps of 90 degrees. Source: libavutil,
    display.h.
    """
    # Not frame.side_data: the frame would keep it, a cycle, and stay in memory.
    container: Any = SideDataContainer  # the stub knows no argument and one kind
    stored = container(frame).get("DISPLAYMATRIX")
    if stored is None:
        return pixels
    matrix = np.frombuffer(bytes(stored), np.int32)
    (a, b), (c, d) = matrix[0:2].tolist(), matrix[3:5].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)
