"""The logs of finished frames, and the JSON of all videos that is made of them.

The header of a log is {'video', 'categories', 'run'}.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pix2seq_d.json_lines import changed_field, read_entries, read_header
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
    is_group = isinstance(before, dict)
    what = changed_field(before, header[field]) if is_group else f"other {field}"
    raise ValueError(
        f"{log}: was written with {what}; use the same, or another folder for the "
        "results"
    )


def _json_text(
    directory: Path, label_space: LabelSpace, *, videos: Collection[str] | None
) -> Iterator[str]:
    """The JSON in pieces, so that no more than a frame of it is in memory."""
    logs = [
        log
        for log in find_logs(directory)
        if (videos is None or read_header(log).get("video") in videos)
        and next(read_entries(log), None) is not None
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
            for n, frame in enumerate(read_entries(log)):
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
