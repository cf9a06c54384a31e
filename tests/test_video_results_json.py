"""The JSON of videos: what it says, and what the readers read back."""

import json

import numpy as np
from door_videos import CLIP, DOOR, SKY, SPACE, frame, same, write
from PIL import Image

from pix2seq_d.data.vipseg import VipSeg
from pix2seq_d.evaluation.readers.coco_videos import CocoVideos
from pix2seq_d.panoptic import PanopticMap, Segment


def test_vipsegs_source_reads_the_maps_back(tmp_path):
    write(tmp_path, CLIP)
    images = tmp_path / "images" / "clip"
    images.mkdir(parents=True)
    for k in range(len(CLIP)):
        Image.fromarray(np.zeros((6, 10, 3), np.uint8)).save(images / f"{k:05d}.jpg")
    source = VipSeg(images.parent, tmp_path / "panoptic.json", tmp_path / "panoptic")
    assert [e.image_id for e in source] == [f"clip/{k:05d}" for k in range(len(CLIP))]
    assert source.label_space == SPACE
    for example, panoptic in zip(source, CLIP, strict=True):
        same(example.panoptic, panoptic)


def test_the_reader_of_videos_scores_them(tmp_path):
    for name in ("truth", "found"):
        write(tmp_path / name, CLIP, "a")
        write(tmp_path / name, CLIP[:2], "b")
    videos = CocoVideos(
        tmp_path / "truth/panoptic.json", tmp_path / "found/panoptic.json"
    )
    assert videos.names == ("a", "b") and videos.num_missing == 0
    pairs = [pair for name in videos.names for pair in videos.frames(name)]
    assert len(pairs) == len(CLIP) + 2
    for pair in pairs:
        np.testing.assert_array_equal(pair.truth, pair.found)
        assert len(np.unique(pair.truth)) >= 3


def test_the_json_says_what_the_frames_are(tmp_path):
    maps = [frame(4), frame(4, size=(8, 12))]
    crowd = Segment(1004, DOOR, is_crowd=True, instance=4)
    maps.append(PanopticMap(frame(4).ids, (Segment(1, SKY), crowd)))
    write(tmp_path, maps)
    content = json.loads((tmp_path / "panoptic.json").read_text())
    assert content["categories"] == SPACE.to_json()
    assert content["videos"] == [
        {
            "video_id": "clip",
            "images": [
                {"id": "00000", "file_name": "00000.png", "width": 10, "height": 6},
                {"id": "00001", "file_name": "00001.png", "width": 12, "height": 8},
                {"id": "00002", "file_name": "00002.png", "width": 10, "height": 6},
            ],
        }
    ]
    (video,) = content["annotations"]
    assert video["video_id"] == "clip"
    assert [a["image_id"] for a in video["annotations"]] == ["00000", "00001", "00002"]
    assert video["annotations"][0]["file_name"] == "00000.png"
    sky, door = video["annotations"][0]["segments_info"]
    assert sky["id"] == 1 and sky["area"] == 60 - 6 - 1 and sky["isthing"] == 0
    assert door == {
        "id": 1004,
        "category_id": DOOR,
        "isthing": 1,
        "area": 6,
        "bbox": [0, 1, 2, 3],
        "iscrowd": 0,
        "instance": 4,
    }
    assert video["annotations"][2]["segments_info"][1]["iscrowd"] == 1
