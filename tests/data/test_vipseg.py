"""VIPSeg: the files that its converters write, and one line for what is broken."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusal import decode, refused

from pix2seq_d.data.source import Video
from pix2seq_d.data.vipseg import VipSeg
from pix2seq_d.instance_ids import COCO, number
from pix2seq_d.panoptic import Segment, ids_to_rgb

WALL, PERSON = 0, 60  # the converter counts categories from 0
WALL_ID, FIRST_ID, SECOND_ID = 7895160, 197379, 16711935

CATEGORIES = [
    {"id": WALL, "name": "wall", "isthing": 0, "color": [120, 120, 120]},
    {"id": PERSON, "name": "person", "isthing": 1, "color": [150, 5, 61]},
]


def id_map(*people):
    ids = np.full((4, 6), WALL_ID, np.int32)
    ids[:, 5] = 0
    for column, person in enumerate(people):
        ids[1:, column] = person
    return ids


VIDEOS = {
    "12_b": [id_map(FIRST_ID), id_map(SECOND_ID, FIRST_ID), id_map(SECOND_ID)],
    "1001_a": [id_map(SECOND_ID)],
}


class Folder:
    """A tiny VIPSeg_720P; tests break one thing at a time."""

    def __init__(self, root):
        self.root = root
        self.place = root / "VIPSeg_720P"
        videos, annotations = [], []
        for video, maps in VIDEOS.items():
            for folder in ("images", "panomasksRGB"):
                (self.place / folder / video).mkdir(parents=True)
            images, frames = [], []
            for position, ids in reversed(list(enumerate(maps))):
                stem = f"{position:08d}"
                image = Image.fromarray(np.full((4, 6, 3), 20 * position, np.uint8))
                image.save(self.place / "images" / video / f"{stem}.jpg")
                self.save_ids(video, stem, ids)
                # The converter names the PNG here.
                images.append({"id": stem, "file_name": f"{stem}.png"})
                segments = [
                    {"id": i, "category_id": c, "iscrowd": 0, "area": 1}
                    for i, c in (
                        (WALL_ID, WALL),
                        (FIRST_ID, PERSON),
                        (SECOND_ID, PERSON),
                    )
                    if (ids == i).any()
                ]
                frames.append(
                    {
                        "image_id": stem,
                        "file_name": f"{stem}.png",
                        "segments_info": segments,
                    }
                )
            videos.append({"video_id": video, "images": images})
            annotations.append({"video_id": video, "annotations": frames})
        self.content = {
            "videos": videos,
            "annotations": annotations,
            "categories": CATEGORIES,
        }
        self.save_json()

    @property
    def json_path(self):
        return self.place / "panoptic_gt_VIPSeg_val.json"

    def png(self, video, stem):
        return self.place / "panomasksRGB" / video / f"{stem}.png"

    def save_ids(self, video, stem, ids):
        Image.fromarray(ids_to_rgb(ids)).save(self.png(video, stem))

    def save_json(self):
        self.json_path.write_text(json.dumps(self.content))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "VIPSeg")


def load(folder, split="val"):
    return VipSeg.from_root(folder.root, split)


def test_frames_come_in_order_and_videos_are_ranges(folder):
    source = load(folder)
    assert source.videos == (Video("1001_a", 0, 1), Video("12_b", 1, 4))
    assert [e.image_id for e in source] == [
        "1001_a/00000000",
        "12_b/00000000",
        "12_b/00000001",
        "12_b/00000002",
    ]
    assert source[3].file_name == "12_b/00000002.jpg"
    assert [int(e.image.max()) for e in source] == [0, 0, 20, 40]
    assert source.label_space.names() == ("void", "wall", "person")
    with pytest.raises(IndexError):
        source[4]
    assert len(VipSeg.from_root(folder.place, "val")) == 4


def test_numbers_need_no_leading_zeros(folder):
    stems = {f"{k:08d}": str(9 + k) for k in range(3)}
    video = folder.content["annotations"][0]
    for frame in video["annotations"]:
        before = Path(frame["file_name"]).stem
        after = frame["image_id"] = stems[before]
        frame["file_name"] = f"{after}.png"
        for path in (
            folder.png("12_b", before),
            folder.place / f"images/12_b/{before}.jpg",
        ):
            path.rename(path.with_stem(after))
    folder.save_json()
    source = load(folder)
    assert [e.image_id for e in source][1:] == ["12_b/9", "12_b/10", "12_b/11"]
    assert [int(e.image.max()) for e in source][1:] == [0, 20, 40]


def test_two_annotations_of_one_frame_are_refused(folder):
    frames = folder.content["annotations"][0]["annotations"]
    again = Path(frames[0]["file_name"]).with_suffix(".jpg").name
    frames.append(frames[0] | {"image_id": "again", "file_name": again})
    folder.save_json()
    with pytest.raises(ValueError, match=f"{again} are of one frame"):
        load(folder)


def test_ids_and_segments_are_exact(folder):
    source = load(folder)
    example = source[2]
    np.testing.assert_array_equal(example.panoptic.ids, VIDEOS["12_b"][1])
    assert example.panoptic.segments == (
        Segment(WALL_ID, WALL),
        Segment(FIRST_ID, PERSON),
        Segment(SECOND_ID, PERSON),
    )
    copy = pickle.loads(pickle.dumps(example))
    np.testing.assert_array_equal(copy.panoptic.ids, example.panoptic.ids)


def test_a_segment_keeps_its_instance_through_a_clip(folder):
    source = load(folder)
    frames = [source[i].panoptic for i in (1, 2, 3)]
    made = number(frames, source.label_space, max_instances=16, rule=COCO)
    ids = np.stack([f.ids for f in frames])
    labels = made.labels(ids)
    np.testing.assert_array_equal(
        labels[..., 0],
        np.select([ids == 0, ids == WALL_ID], [0, 1], default=2),
    )
    # By falling area: wall, then two people of 6 pixels each.
    found = [np.unique(labels[..., 1][ids == i]).tolist() for i in np.unique(ids)]
    assert found[0] == [0]
    assert sorted(found) == [[0], [1], [2], [3]]
    assert found[2] == [1]


def test_the_folder_imgs(folder):
    (folder.place / "images").rename(folder.place / "imgs")
    assert len(load(folder)) == 4


def test_frames_without_annotation_are_left_out(folder):
    del folder.content["annotations"][0]["annotations"][1]
    folder.save_json()
    assert [e.image_id for e in load(folder)][1:] == ["12_b/00000000", "12_b/00000002"]


def test_missing_root_and_split_are_named(folder, tmp_path):
    refused(ValueError, "root is empty", VipSeg.from_root, "", "val")
    message = r"no panoptic_gt_VIPSeg_test\.json; splits found: val; name one"
    refused(FileNotFoundError, message, load, folder, "test")
    folder.json_path.unlink()
    message = r"no panoptic_gt_VIPSeg_val\.json, nor any other split; give a folder"
    refused(FileNotFoundError, message, load, folder)
    (folder.root / "panomasks").mkdir()
    message = r"no panoptic_gt_VIPSeg_val\.json; write it with VIPSeg's create_panop"
    refused(FileNotFoundError, message, load, folder)


def test_missing_files_are_named_at_once(folder):
    image = folder.place / "images/12_b/00000001.jpg"
    image.unlink()
    message = r"images: lacks 12_b/00000001\.jpg \(1 of the 4 files named by annotatio"
    refused(FileNotFoundError, message, load, folder)
    image.touch()
    folder.png("1001_a", "00000000").unlink()
    message = r"panomasksRGB: lacks 1001_a/00000000\.png \(1 of the 4 files named"
    refused(FileNotFoundError, message, load, folder)
    (folder.place / "panomasksRGB").rename(folder.place / "elsewhere")
    message = r"panomasksRGB: no such folder, or empty, but"
    refused(FileNotFoundError, message, load, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": 3}, r"val\.json has no list 'annotations'; write it with"),
        ({"annotations": []}, r"val\.json: annotations is empty; write"),
        ({"annotations": [{}]}, r"annotations\[0\] has no list 'annotations'; write"),
        ({"annotations": [{"annotations": []}]}, r"\[0\]: video_id is '', which is"),
        ({"categories": None}, r"has no list 'categories'"),
        ({"categories": [3]}, r"val\.json: .*; correct categories"),
        (
            {"categories": CATEGORIES[:1]},
            r"val\.json: video 1001_a: segment .* has cat",
        ),
    ],
)
def test_bad_json_is_named(folder, change, message):
    folder.content |= change
    folder.save_json()
    refused(ValueError, message, load, folder)


def test_bad_entries_name_the_video(folder):
    frames = folder.content["annotations"][0]["annotations"]
    frames[0]["segments_info"][0]["id"] = 0
    folder.save_json()
    message = r"val\.json: video 12_b: annotations\[0\]: segment id 0 is not in"
    refused(ValueError, message, load, folder)
    folder.content["annotations"].append(folder.content["annotations"][1])
    frames[0]["segments_info"][0]["id"] = WALL_ID
    folder.save_json()
    message = r"annotations\[2\]: video_id is '1001_a', which is empty or given before;"
    refused(ValueError, message, load, folder)


def test_bad_pixels_are_named_at_access(folder):
    source = load(folder)
    folder.save_ids("12_b", "00000000", id_map(FIRST_ID)[:3])
    message = r"12_b/00000000\.png: has 6x3 pixels, its image .* 6x4 \(width"
    refused(ValueError, message, decode, source, 1)
    folder.save_ids("12_b", "00000001", id_map(9))
    message = r"ids 9 are not in segments_info of .*val\.json: video 12_b"
    refused(ValueError, message, decode, source, 2)
    raw = Image.fromarray(np.full((4, 6), 6100, np.uint16))
    raw.save(folder.png("12_b", "00000002"))
    refused(ValueError, "has mode I;16, not RGB; write ids", decode, source, 3)
