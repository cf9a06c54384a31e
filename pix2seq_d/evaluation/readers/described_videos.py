"""Which frames the panoptic JSONs of videos describe, and in which PNG each one is.

Two forms: `annotations` lists videos, which list their frames (VIPSeg), or it lists
the frames of all videos (Cityscapes-VPS, `pix2seq_d.flat_videos`).
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from pix2seq_d import flat_videos
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_index import ImageId, PanopticIndex, parse_json, read_index


@dataclasses.dataclass(frozen=True, eq=False)
class DescribedVideo:
    """The frames of a video, in the order of their names.

    Attributes:
      index: what the JSON says of them.
      image_ids: name of each frame -> its image id in the index.
    """

    index: PanopticIndex
    image_ids: dict[str, ImageId]


@dataclasses.dataclass(frozen=True, eq=False)
class DescribedVideos:
    """The videos of a JSON, sorted by name.

    Attributes:
      videos: name -> its frames. A frame has one name in truth and prediction: its
        file's without suffix or, where the truth is flat, its image id.
      is_flat: of the JSON; then the PNGs of all videos lie in one folder.
      is_truth: of the JSON. A flat one names its PNGs, in a prediction they are
        <image id>.png.
    """

    videos: dict[str, DescribedVideo]
    is_flat: bool
    is_truth: bool

    def png(self, video: str, frame: str) -> str:
        """Path of a frame's PNG below the folder of PNGs, whether or not described."""
        if not self.is_flat:
            return f"{video}/{frame}.png"
        if not self.is_truth:
            return f"{frame}.png"
        described = self.videos[video]
        return described.index.png_name(described.image_ids[frame])

    def pngs(self) -> Iterator[str]:
        """Paths of the PNGs of all frames that are described."""
        for name, video in self.videos.items():
            for frame in video.image_ids:
                yield self.png(name, frame)

    def folder(self, video: str) -> str:
        """The folder of a video's PNGs below that of all, "" for the same."""
        return "" if self.is_flat else video


def read_truth(file: File) -> DescribedVideos:
    """Reads the JSON of a truth, in either form.

    Raises:
      ValueError: it is no such file, or not consistent.
    """
    content = parse_json(file)
    if not (flat_videos.is_flat(content) and flat_videos.tells_videos(content)):
        return DescribedVideos(_nested(content, file), is_flat=False, is_truth=True)
    index = read_index(file, required=("annotations", "categories"))
    videos = {
        video: DescribedVideo(index, {frame: frame for frame in frames})
        for video, frames in flat_videos.group_frames(index).items()
    }
    return DescribedVideos(videos, is_flat=True, is_truth=True)


def read_prediction(file: File, truth: DescribedVideos) -> DescribedVideos:
    """Reads the JSON of a prediction; frames without truth are left out of a flat one.

    Args:
      file: in the truth's form or, where that is flat, in either.
      truth: what is predicted.
    Raises:
      ValueError: it is no such file, not consistent, or of another form.
    """
    content = parse_json(file)
    if not flat_videos.is_flat(content):
        return DescribedVideos(_nested(content, file), is_flat=False, is_truth=False)
    if not truth.is_flat:
        raise ValueError(
            f"{file.where}: lists frames, as of Cityscapes-VPS, but the truth lists "
            "videos, as of VIPSeg; give the prediction in the truth's form"
        )
    order = list(next(iter(truth.videos.values())).index.rows)
    index = _flat_prediction(content["annotations"], file, order)
    videos = {}
    for name, video in truth.videos.items():
        frames = {f: i for f, i in video.image_ids.items() if i in index.rows}
        videos[name] = DescribedVideo(index, frames)
    return DescribedVideos(videos, is_flat=True, is_truth=False)


def _flat_prediction(
    frames: list[Any], file: File, order: list[ImageId]
) -> PanopticIndex:
    """The official predictions have no image ids but the truth's order."""
    if not any(isinstance(f, dict) and "image_id" in f for f in frames):
        if len(frames) != len(order):
            raise ValueError(
                f"{file.where}: has {len(frames)} annotations without image_id, the "
                f"truth {len(order)}; give each its image_id, or all in the truth's "
                "order"
            )
        frames = [
            {"image_id": image_id} | frame if isinstance(frame, dict) else frame
            for image_id, frame in zip(order, frames, strict=True)
        ]
    frames = [
        frame | {"file_name": f"{frame.get('image_id')}.png"}
        if isinstance(frame, dict)
        else frame
        for frame in frames
    ]
    return _read_part(file.where, frames)


def _nested(content: Any, file: File) -> dict[str, DescribedVideo]:
    videos: dict[str, DescribedVideo] = {}
    for k, entry in enumerate(videos_list(content, "annotations", file.where)):
        where = f"{file.where}: annotations[{k}]"
        frames = videos_list(entry, "annotations", where)
        name = str(entry.get("video_id", ""))
        if not name or name in videos:
            raise ValueError(
                f"{where}: video_id is {name!r}, which is empty or given before; name "
                "each video once, as its folder"
            )
        # Frames have one name in both JSONs, and predictions often no image_id.
        frames = [
            {"image_id": frame.get("file_name")} | frame
            if isinstance(frame, dict)
            else frame
            for frame in frames
        ]
        index = _read_part(f"{file.where}: video {name}", frames)
        # The JSON may name the JPEG.
        videos[name] = DescribedVideo(index, index.frames())
    if not videos:
        raise ValueError(f"{file.where}: annotations is empty; add videos")
    return dict(sorted(videos.items()))


def _read_part(where: str, frames: list[Any]) -> PanopticIndex:
    text = json.dumps({"annotations": frames}).encode()
    return read_index(File(where, text), required=("annotations",))


def videos_list(entry: Any, name: str, where: str) -> list[Any]:
    """A list of a JSON of videos; ValueError says which JSONs have it."""
    if not isinstance(entry, dict) or not isinstance(entry.get(name), list):
        raise ValueError(
            f"{where} has no list {name!r}; give a panoptic JSON of videos as VIPSeg's "
            "or Cityscapes-VPS's"
        )
    return entry[name]
