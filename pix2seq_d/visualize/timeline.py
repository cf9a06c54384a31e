"""The timeline of a video's tracks, and the strip that shows it."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, runs
from pix2seq_d.visualize.colors import Color
from pix2seq_d.visualize.legend import GREY, INK, PAPER, font, shorten
from pix2seq_d.visualize.track_colors import track_color, track_name, tracks_in

_SCALE = 2  # supersampling, for smooth shapes
_LANE: Color = (238, 240, 243)


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """Which tracks were seen in the last frames; R rows, N frames, whatever comes.

    A track is a class and a public number (`Segment.instance`), and keeps its row
    while it is seen.

    Attributes:
      tracks: [R, 2] int64, semantic id and number of each row; 0, 0: none yet.
      seen: [R, N] bool, frame `first + column`.
      frame: number of the frames seen.
      num_hidden: tracks of the last frame that found no row.
      rowless: (semantic id, number) of tracks without a row -> [N] bool, as `seen`, so
        that one that gets a row has its past.
    """

    tracks: np.ndarray
    seen: np.ndarray
    frame: int = 0
    num_hidden: int = 0
    rowless: Mapping[tuple[int, int], np.ndarray] = dataclasses.field(
        default_factory=dict
    )

    @classmethod
    def start(cls, *, num_rows: int = 6, window: int = 120) -> "Timeline":
        """Before the first frame.

        Args:
          num_rows: most tracks to show.
          window: frames to show; take that of a video that is known to be shorter.
        Raises:
          ValueError: one of them is less than 1.
        """
        if min(num_rows, window) < 1:
            raise ValueError(
                f"num_rows {num_rows}, window {window}: must be at least 1"
            )
        return cls(
            np.zeros((num_rows, 2), np.int64), np.zeros((num_rows, window), bool)
        )

    @property
    def first(self) -> int:
        """The frame of the first column."""
        return max(0, self.frame - self.seen.shape[1])


def advance(
    panoptic: PanopticMap, label_space: LabelSpace, timeline: Timeline
) -> Timeline:
    """The timeline with the next frame.

    A new track takes a free row, or the row of that which is gone for longest; where
    all rows are of tracks in the frame it has to wait.

    Args:
      panoptic: ids [H, W] int; numbers in `Segment.instance`.
      label_space: the categories.
      timeline: of the frames before.
    Raises:
      ValueError: an id without a segment, or an unknown category.
    """
    now = sorted({t for t in tracks_in(panoptic, label_space).values() if t[1]})
    seen, tracks = timeline.seen.copy(), timeline.tracks.copy()
    rowless = {track: row.copy() for track, row in timeline.rowless.items()}
    window = seen.shape[1]
    if timeline.frame >= window:
        for row in (*seen, *rowless.values()):
            row[:-1], row[-1] = row[1:].copy(), False
    column = min(timeline.frame, window - 1)
    row_of = {(int(k), int(n)): row for row, (k, n) in enumerate(tracks) if n}
    # Never seen or out of sight: -1; these rows go first, the upper ones before.
    last = np.where(seen.any(1), window - 1 - seen[:, ::-1].argmax(1), -1)
    kept = {row_of[track] for track in now if track in row_of}
    free = [row for row in np.argsort(last, kind="stable").tolist() if row not in kept]
    hidden = 0
    for track in now:
        row = row_of.get(track)
        if row is None and not free:
            hidden += 1
            rowless.setdefault(track, np.zeros(window, bool))[column] = True
            continue
        if row is None:
            row = free.pop(0)
            kind, number = tracks[row].tolist()
            rowless[kind, number] = seen[row].copy()
            tracks[row] = track
            seen[row] = rowless.pop(track, False)
        seen[row, column] = True
    rowless = {track: row for track, row in rowless.items() if row.any()}
    return Timeline(tracks, seen, timeline.frame + 1, hidden, rowless)


def draw_timeline(
    timeline: Timeline, label_space: LabelSpace, text: str, width: int, font_size: int
) -> np.ndarray:
    """Draws a heading, a row for each track, the axis of frames and the cursor.

    A row has bars for the frames in which the track was seen, gaps where it was
    absent; the name of a track that is not in the newest frame is grey.

    Args:
      timeline: at least one frame.
      label_space: the categories.
      text: the heading.
      width: of the picture, pixels.
      font_size: pixels; heights follow it.
    Returns:
      [h, width, 3] uint8; h depends on the number of rows and the font only.
    """
    num_rows, window = timeline.seen.shape
    unit = _SCALE * font_size
    pad, row_height, face = round(0.8 * unit), round(1.55 * unit), font(unit)
    small = font(round(0.85 * unit))
    names = [
        n for n, t in zip(label_space.names(), label_space.is_thing, strict=True) if t
    ]
    # As wide for all frames of a video, whatever is in them.
    name_width = max((face.getlength(f"{n} 000") for n in names), default=0)
    name_width = min(name_width, 0.3 * _SCALE * width)
    left = round(pad + 1.7 * unit + name_width + 0.6 * unit)
    right = max(left + 1, _SCALE * width - pad)
    top = round(2.1 * unit)
    bottom = top + num_rows * row_height
    canvas = Image.new("RGB", (_SCALE * width, bottom + round(1.9 * unit)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((pad, round(1.1 * unit)), text, INK, face, anchor="lm")
    if timeline.num_hidden:
        more = f"+ {timeline.num_hidden} more"
        draw.text((right, round(1.1 * unit)), more, GREY, face, anchor="rm")

    def column(frame: float) -> float:
        return left + (frame - timeline.first) / window * (right - left)

    newest = timeline.frame - 1
    for row in range(num_rows):
        y = top + row * row_height
        middle, half = y + row_height / 2, 0.36 * row_height
        draw.rounded_rectangle(
            (left, middle - half, right, middle + half), half / 3, _LANE
        )
        semantic, number = timeline.tracks[row].tolist()
        if not number or not timeline.seen[row].any():
            continue
        color = track_color(label_space, semantic, number)
        is_here = timeline.seen[row, newest - timeline.first]
        edge = tuple(round(0.7 * v) for v in color)
        draw.rounded_rectangle(
            (pad, middle - half, pad + 2 * half, middle + half),
            half / 3,
            color,
            edge,
            _SCALE,
        )
        name = shorten(track_name(label_space, semantic, number), face, name_width)
        ink = INK if is_here else GREY
        draw.text((pad + 1.7 * unit, middle), name, ink, face, anchor="lm")
        values, lengths = runs(timeline.seen[row])
        stops = timeline.first + np.cumsum(lengths)
        for value, length, stop in zip(values, lengths, stops, strict=True):
            if value:
                bar = column(stop - length), middle - half, column(stop), middle + half
                draw.rounded_rectangle(bar, half / 3, color, edge, _SCALE)
    for frame in linear_ticks(timeline.first, timeline.first + window, count=6):
        if timeline.first <= frame < timeline.first + window and frame == int(frame):
            x = column(frame + 0.5)
            draw.line((x, bottom, x, bottom + 0.3 * unit), GREY, _SCALE)
            spot = x, bottom + 1.0 * unit
            draw.text(spot, f"{frame:.0f}", GREY, small, anchor="mm")
    x, size = column(newest + 0.5), 0.32 * unit
    draw.line((x, top - size, x, bottom), INK, _SCALE)
    draw.polygon(
        [(x - size, top - 2 * size), (x + size, top - 2 * size), (x, top - size / 2)],
        INK,
    )
    size = canvas.width // _SCALE, canvas.height // _SCALE
    return np.asarray(canvas.resize(size, Image.Resampling.LANCZOS))


def linear_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round ticks (1, 2 or 5 times a power of ten apart), from <= low to >= high."""
    if not high > low:
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s / rough - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]
