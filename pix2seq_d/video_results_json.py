"""The logs of finished frames, and the JSON of all videos that is made of them."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pix2seq_d.labels import LabelSpace

JSON_NAME = "panoptic.json"


def write_json(
    directory: Path, label_space: LabelSpace, *, videos: Collection[str] | None = None
) -> None:
    """Writes the JSON of the videos in a directory of `VideoResults`, as VIPSeg's.

    Args:
      directory: of the results; its logs are read, one frame at a time.
      label_space: the categories.
      videos: names of those that the JSON is to have; None: all that are there.
    """
    part = directory / f"{JSON_NAME}.part"
    with part.open("w", encoding="utf-8") as file:
        file.writelines(_json_text(directory, label_space, videos=videos))
    part.replace(directory / JSON_NAME)


def log_path(directory: Path, video: str) -> Path:
    """Where the log of a video is, below the directory of the results."""
    return directory / "frames" / f"{video}.jsonl"


def find_logs(directory: Path) -> list[Path]:
    """The logs of all videos in a directory, sorted by name."""
    return sorted((directory / "frames").glob("*.jsonl"))


def append_line(log: Path, entry: Mapping[str, Any]) -> None:
    """Adds a line to a log: the header of the run, or a frame that is finished."""
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """A line of a log; None for one that was not finished."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def read_frames(log: Path) -> Iterator[dict[str, Any]]:
    """Reads the finished frames of a log, one at a time, without the header."""
    with log.open("rb") as file:
        file.readline()
        for line in file:
            entry = parse_line(line)
            if entry is not None:
                yield entry


def check_same(log: Path, header: Mapping[str, Any], field: str) -> None:
    """Refuses to go on with the log of another run.

    Args:
      log: of the earlier run.
      header: of this one.
      field: of the header, which has to be the same.
    Raises:
      ValueError: it is another; names what has changed.
    """
    before = read_header(log).get(field, header[field])
    if before == header[field]:
        return
    what = f"other {field}"
    if isinstance(before, dict):
        names = sorted(before.keys() | header[field].keys())
        changed = [n for n in names if before.get(n) != header[field].get(n)]
        name = changed[0]
        what = f"{name} {before.get(name)!r}, not {header[field].get(name)!r}"
    raise ValueError(
        f"{log}: was written with {what}; use the same, or another folder for the "
        "results"
    )


def read_header(log: Path) -> dict[str, Any]:
    """The first line of a log: {'video', 'categories', 'run'}; {} if cut off."""
    with log.open("rb") as file:
        return parse_line(file.readline()) or {}


def _json_text(
    directory: Path, label_space: LabelSpace, *, videos: Collection[str] | None
) -> Iterator[str]:
    """The JSON in pieces, so that no more than a frame of it is in memory."""
    logs = [
        log
        for log in find_logs(directory)
        if (videos is None or read_header(log).get("video") in videos)
        and next(read_frames(log), None) is not None
    ]
    yield "{"
    for field, inner, entry_of in (
        ("videos", "images", _image_entry),
        ("annotations", "annotations", _annotation_entry),
    ):
        yield f'"{field}": ['
        for k, log in enumerate(logs):
            video = json.dumps(read_header(log)["video"])
            yield f'{", " if k else ""}{{"video_id": {video}, "{inner}": ['
            for n, frame in enumerate(read_frames(log)):
                yield (", " if n else "") + json.dumps(entry_of(frame))
            yield "]}"
        yield "], "
    yield f'"categories": {json.dumps(label_space.to_json())}}}'


def _image_entry(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": frame["name"],
        "file_name": f"{frame['name']}.png",
        "width": frame["width"],
        "height": frame["height"],
    }


def _annotation_entry(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image_id": frame["name"],
        "file_name": f"{frame['name']}.png",
        "segments_info": frame["segments_info"],
    }
