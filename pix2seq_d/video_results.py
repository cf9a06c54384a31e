"""Results of a video: panoptic PNGs and JSON as VIPSeg's, DAVIS PNGs; resumable."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pix2seq_d.atomic_file import WrittenWhole, link
from pix2seq_d.image_files import File
from pix2seq_d.json_lines import append_line, parse_line, read_entries
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment, ids_to_rgb, runs
from pix2seq_d.panoptic_files import decode_map, describe_segments
from pix2seq_d.video_results_json import (
    JSON_NAME,
    check_same,
    find_logs,
    log_path,
    write_json,
)

MAX_INDEX = 254  # largest track number in a palette PNG; 255 is DAVIS's void


class VideoResults(WrittenWhole):
    """Writes the results of one video, frame by frame; a context manager.

    Below `directory`, which may hold the results of other videos, too:

    * `panoptic/<video>/<frame>.png`: ids, R + 256 G + 65536 B;
    * `panoptic.json`: of all videos there, as VIPSeg's, written by `close`;
    * `davis/<video>/<frame>.png`: palette PNGs, index = `Segment.instance` of a
      thing, its track number; 0 for the rest, also for numbers above 254;
    * `frames/<video>.jsonl`: a line for each finished frame.

    The line is written when the frame's PNGs are there, and no file has its name
    before it is complete: so a killed run goes on at `next_frame` with `resume`.
    After an error there is no JSON. Memory holds one frame and the frames' names.

    Args:
      directory: made if absent.
      video: its name, as a folder's.
      label_space: its categories go into the JSON.
      resume: keep the frames that an earlier run has finished; else remove them.
      run: what has to be the same to go on, as checkpoint and seed; fit for JSON.
    Raises:
      ValueError: no name for a folder; the directory holds videos of other
        categories; with `resume`, the earlier run was another; without, the folder
        holds PNGs that no earlier run has written.
    """

    def __init__(
        self,
        directory: Path | str,
        video: str,
        label_space: LabelSpace,
        *,
        resume: bool = False,
        run: Mapping[str, Any] | None = None,
    ) -> None:
        _check_name(video)
        self._directory, self._label_space = Path(directory), label_space
        self._video = video
        self._panoptic = self._directory / "panoptic" / video
        self._davis = self._directory / "davis" / video
        self._names: set[str] = set()
        self._without_index: set[int] = set()
        header = {"video": video, "categories": label_space.to_json(), "run": run or {}}
        header = json.loads(json.dumps(header))  # as it is read
        log = log_path(self._directory, video)
        for other in find_logs(self._directory):
            if other != log or resume:
                check_same(other, header, "categories")
        for folder in (self._panoptic, self._davis, log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if resume and log.exists():
            check_same(log, header, "run")
            self._keep(log)
        else:
            self._clear(log)
        # The PNGs will not be those that it describes.
        (self._directory / JSON_NAME).unlink(missing_ok=True)
        self._log = log
        if not log.exists() or not log.stat().st_size:
            append_line(log, header)

    @property
    def next_frame(self) -> int:
        """Number of the frames that are finished, which is the next one's index."""
        return len(self._names)

    @property
    def files(self) -> list[str]:
        """The log and the PNGs of all finished frames, relative to the directory."""
        pngs = (
            folder / f"{name}.png"
            for name in self._names
            for folder in (self._panoptic, self._davis)
        )
        paths = (self._log, *pngs)
        return [path.relative_to(self._directory).as_posix() for path in paths]

    @property
    def note(self) -> str:
        """One line on tracks that are not among the DAVIS PNGs; "" if all are."""
        if not self._without_index:
            return ""
        return (
            f"{self._davis}: lacks {len(self._without_index)} tracks with numbers "
            f"above {MAX_INDEX}, the most that a palette holds; they are in "
            f"{self._panoptic}"
        )

    def write(
        self, panoptic: PanopticMap, *, time_s: float, name: str | None = None
    ) -> Path:
        """Writes the next frame.

        Args:
          panoptic: ids in [0, 2**24), the same for a track in all frames; numbers of
            things in `Segment.instance`. Segments without a pixel are left out.
          time_s: when it is shown.
          name: of the PNGs, without suffix; by default the index as `00012`.
        Returns:
          Path of the panoptic PNG.
        Raises:
          ValueError: a name given twice or none for a file, an id without segment or
            too large, an unknown category.
        """
        name = f"{self.next_frame:05d}" if name is None else name
        _check_name(name)
        if name in self._names:
            raise ValueError(f"frame {name!r} was written before; use each name once")
        segments_info = describe_segments(panoptic, self._label_space)
        instance = {s.id: s.instance for s in panoptic.segments}
        for entry in segments_info:
            entry["instance"] = instance[entry["id"]]
        tracks = _track_numbers(segments_info)
        _save(Image.fromarray(ids_to_rgb(panoptic.ids)), self._panoptic / f"{name}.png")
        _save(_palette_image(panoptic.ids, tracks), self._davis / f"{name}.png")
        height, width = panoptic.ids.shape
        append_line(
            self._log,
            {
                "name": name,
                "time_s": round(time_s, 6),
                "width": width,
                "height": height,
                "segments_info": segments_info,
            },
        )
        self._add(name, tracks)
        return self._panoptic / f"{name}.png"

    def take(self, directory: Path) -> None:
        """Adds the finished frames of the same video in another directory.

        PNGs become links, or copies where the file system has none.
        """
        for entry in read_entries(log_path(directory, self._video)):
            png = f"{entry['name']}.png"
            for folder in (self._panoptic, self._davis):
                link(directory / folder.parent.name / self._video / png, folder / png)
            append_line(self._log, entry)
            self._add(entry["name"], _track_numbers(entry["segments_info"]))

    def finished(self) -> Iterator[PanopticMap]:
        """Reads the finished frames again, in order, one at a time.

        Raises:
          FileNotFoundError: a PNG was removed.
          ValueError: a PNG is damaged.
        """
        yield from finished_frames(self._directory, self._video)

    def close(self) -> None:
        """Writes the JSON of all videos in the directory."""
        write_json(self._directory, self._label_space)

    def _add(self, name: str, tracks: Mapping[int, int]) -> None:
        self._names.add(name)
        self._without_index.update(n for n in tracks.values() if n > MAX_INDEX)

    def _keep(self, log: Path) -> None:
        """Takes over an earlier run's frames, up to the first that is not whole."""
        end = 0
        with log.open("rb") as file:
            for line in file:
                entry = parse_line(line)
                if entry is None:
                    break
                if end:  # after the header
                    paths = (
                        d / f"{entry['name']}.png"
                        for d in (self._panoptic, self._davis)
                    )
                    if not all(p.is_file() and p.stat().st_size for p in paths):
                        break
                    self._add(entry["name"], _track_numbers(entry["segments_info"]))
                end += len(line)
        with log.open("r+b") as file:
            file.truncate(end)

    def _clear(self, log: Path) -> None:
        """Removes what an earlier run has written, and nothing else."""
        if log.exists():
            for entry in read_entries(log):
                for folder in (self._panoptic, self._davis):
                    (folder / f"{entry['name']}.png").unlink(missing_ok=True)
            log.unlink()
        for folder in (self._panoptic, self._davis):
            if next(folder.glob("*.png"), None) is not None:
                raise ValueError(
                    f"{folder}: holds PNGs that are not of an earlier run; move them, "
                    "or give another folder for the results"
                )


def finished_frames(directory: Path, video: str) -> Iterator[PanopticMap]:
    """Reads the finished frames of a video, in order, one at a time; changes nothing.

    Args:
      directory: of the `VideoResults` that wrote them.
      video: its name.
    Raises:
      FileNotFoundError: there is no such video, or a PNG was removed.
      ValueError: a PNG is damaged.
    """
    log = log_path(directory, video)
    for entry in read_entries(log):
        segments = tuple(
            Segment(s["id"], s["category_id"], bool(s["iscrowd"]), s["instance"])
            for s in entry["segments_info"]
        )
        file = File.read(directory / "panoptic" / video / f"{entry['name']}.png")
        yield decode_map(file, segments=segments, described_in=log)


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or set(name) & set('/\\:*?"<>|\n'):
        raise ValueError(f"{name!r}: cannot name a file or folder; give another name")


def _track_numbers(segments_info: list[dict[str, Any]]) -> dict[int, int]:
    """Segment id -> track number, of the things that have one."""
    return {
        s["id"]: s["instance"]
        for s in segments_info
        if s["isthing"] and not s["iscrowd"] and s["instance"]
    }


def _palette_image(ids: np.ndarray, tracks: Mapping[int, int]) -> Image.Image:
    """DAVIS's PNG: index = track number up to `MAX_INDEX`, else 0."""
    known = np.array(sorted({0, *tracks}))
    number = np.array([tracks.get(i, 0) for i in known.tolist()])
    number = np.where(number <= MAX_INDEX, number, 0).astype(np.uint8)
    values, lengths = runs(ids)
    row = np.minimum(np.searchsorted(known, values), len(known) - 1)
    row[known[row] != values] = 0
    image = Image.fromarray(np.repeat(number[row], lengths).reshape(ids.shape))
    image.putpalette(_palette())
    return image


def _palette() -> bytes:
    """The 256 colours of PASCAL VOC and DAVIS: the bits of an index, dealt out."""
    index = np.arange(256)[:, None] >> np.arange(3)  # bits 0, 3, 6 are red's ...
    bits = [((index >> 3 * k) & 1) << (7 - k) for k in range(3)]
    return np.sum(bits, axis=0).astype(np.uint8).tobytes()


def _save(image: Image.Image, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    image.save(part, format="PNG")
    part.replace(path)
