"""Videos whose frames one COCO panoptic JSON lists, without a list for each video.

So has Cityscapes-VPS: an image id is <video>_<frame>_<its name in Cityscapes>, such as
0005_0025_frankfurt_000000_001736, and a segment keeps its id through a video. Source:
mcahny/vps, prepare_data/create_panoptic_video_labels.py and tools/eval_vpq.py.
"""

import re
from typing import Any

from pix2seq_d.panoptic_index import PanopticIndex

JSON_NAME = re.compile(r"panoptic_gt_(?P<split>.+)_city_vps\.json")
PNGS = "panoptic_video"  # folder of the label maps, below that of the split

_IMAGE_ID = re.compile(r"(?P<video>\d{4})_\d{4}_.+")


def is_flat(content: Any) -> bool:
    """Whether the `annotations` of a JSON are frames, and not videos that hold them."""
    return "segments_info" in _first(content)


def tells_videos(content: Any) -> bool:
    """Whether a flat JSON says by its image ids, as a truth does, what the videos are.

    The first is looked at; `group_frames` checks all.
    """
    return _IMAGE_ID.fullmatch(str(_first(content).get("image_id"))) is not None


def group_frames(index: PanopticIndex) -> dict[str, tuple[str, ...]]:
    """The frames of each video by their image ids; videos and frames are sorted.

    Args:
      index: of the truth.
    Raises:
      ValueError: an image id does not tell the video, or a segment id has two
        categories in one.
    """
    videos: dict[str, list[str]] = {}
    for image_id in index.rows:
        match = _IMAGE_ID.fullmatch(str(image_id))
        if match is None:
            raise ValueError(
                f"{index.path}: image_id {image_id!r} does not begin with video and "
                "frame, as 0005_0025_frankfurt_000000_001736 does; write the JSON with "
                "create_panoptic_video_labels.py of Cityscapes-VPS"
            )
        videos.setdefault(match["video"], []).append(str(image_id))
    grouped = {video: tuple(sorted(videos[video])) for video in sorted(videos)}
    for video, frames in grouped.items():
        _check_categories_last(index, video, frames)
    return grouped


def _check_categories_last(
    index: PanopticIndex, video: str, frames: tuple[str, ...]
) -> None:
    known: dict[int, int] = {}
    for frame in frames:
        for segment in index.segments(frame):
            before = known.setdefault(segment.id, segment.category_id)
            if before != segment.category_id:
                raise ValueError(
                    f"{index.path}: segment {segment.id} of {index.png_name(frame)} "
                    f"has category_id {segment.category_id}, and {before} earlier in "
                    f"video {video}; give what is not the same thing another id"
                )


def _first(content: Any) -> dict[str, Any]:
    """The first of the annotations; {} where there is none."""
    entries = content.get("annotations") if isinstance(content, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    return first if isinstance(first, dict) else {}
