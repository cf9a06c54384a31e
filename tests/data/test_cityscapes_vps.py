"""Cityscapes-VPS: the files that its scripts write, and one line for what is broken."""

import pickle

import numpy as np
import pytest
from city_vps_folder import (
    CAR,
    CAR_ID,
    CATEGORIES,
    IMAGE_IDS,
    ROAD_ID,
    SKY,
    SKY_ID,
    CityVps,
    draw,
    id_map,
)
from PIL import Image
from refusal import decode, refused

from pix2seq_d.data.cityscapes_vps import CityscapesVps
from pix2seq_d.data.source import Video
from pix2seq_d.instance_ids import COCO, number


@pytest.fixture
def folder(tmp_path):
    return CityVps(tmp_path / "cityscapes_vps")


def load(folder, split="val", **options):
    return CityscapesVps.from_root(folder.root, split, **options)


def test_frames_come_in_order_and_videos_are_ranges(folder):
    folder.content["annotations"].reverse()
    folder.save_json()
    source = load(folder)
    assert source.videos == (Video("0005", 0, 6), Video("0010", 6, 12))
    expected = [f"{video}/{i}" for video, ids in IMAGE_IDS.items() for i in ids]
    assert [e.image_id for e in source] == expected
    names = [e.file_name.rpartition("_")[2] for e in source]
    assert names == [*["newImg8bit.png"] * 3, "leftImg8bit.png", *names[4:]]
    assert names[4:] == [*["newImg8bit.png"] * 5, "leftImg8bit.png", *names[:2]]
    np.testing.assert_array_equal(source[7].image, draw(id_map("0010", 1)))
    assert source.label_space.names() == ("void", "road", "sky", "person", "car")
    assert source.label_space.is_thing.tolist() == [False] * 3 + [True] * 2
    with pytest.raises(IndexError):
        source[12]


def test_ids_and_segments_are_exact(folder):
    source = load(folder)
    for index, (video, k) in {2: ("0005", 2), 9: ("0010", 3)}.items():
        example = pickle.loads(pickle.dumps(source[index]))
        np.testing.assert_array_equal(example.panoptic.ids, id_map(video, k))
        found = {s.id: s.category_id for s in example.panoptic.segments}
        assert (found[SKY_ID], found[CAR_ID]) == (SKY, CAR)
        assert len(found) == (5 if video == "0005" else 3)


def test_a_segment_keeps_its_number_through_a_clip(folder):
    source = load(folder)
    frames = [source[k].panoptic for k in range(6)]
    made = number(frames, source.label_space, max_instances=16, rule=COCO)
    ids = np.stack([frame.ids for frame in frames])
    labels = made.labels(ids)
    for value in np.unique(ids).tolist():
        assert len(np.unique(labels[ids == value], axis=0)) == 1
    assert len(np.unique(labels.reshape(-1, 2), axis=0)) == 6  # void and 5 segments


def test_frames_without_annotation_are_left_out(folder):
    """Their images stay in `img`, as those between the labelled ones in `img_all`."""
    del folder.content["annotations"][1]
    folder.save_json()
    source = load(folder)
    assert source.videos[0] == Video("0005", 0, 5)
    assert source[1].image_id == f"0005/{IMAGE_IDS['0005'][2]}"


def test_missing_root_and_split_are_named(folder):
    refused(ValueError, "root is empty", CityscapesVps.from_root, "", "val")
    message = r"no panoptic_gt_test_city_vps\.json; splits found: val; name one"
    refused(FileNotFoundError, message, load, folder, "test")
    folder.json_path.rename(folder.root / "panoptic_im_val_city_vps.json")
    message = r"no panoptic_gt_val_city_vps\.json; write it with .*_video_labels\.py"
    refused(FileNotFoundError, message, load, folder)
    message = r"no panoptic_gt_train_city_vps\.json, nor any other split; give a folder"
    refused(FileNotFoundError, message, load, folder, "train")
    message = "val: no panoptic_gt_val_city_vps.json, nor any"
    refused(
        FileNotFoundError, message, CityscapesVps.from_root, folder.pngs.parent, "val"
    )


def test_missing_files_are_named_at_once(folder):
    image = folder.root / "val/img" / folder.content["images"][4]["file_name"]
    image.unlink()
    message = rf"val/img: lacks {image.name} \(1 of the 12 files named by images of"
    refused(FileNotFoundError, message, load, folder)
    assert len(load(folder, max_missing=1)) == 12
    image.touch()
    (folder.pngs / folder.annotation("0010", 3)["file_name"]).unlink()
    message = r"panoptic_video: lacks 0010_0058_munster_000002_000019_gtFine_color\.png"
    refused(FileNotFoundError, message, load, folder)
    folder.pngs.rename(folder.root / "elsewhere")
    message = r"panoptic_video: no such folder, or empty, but annotations of"
    refused(FileNotFoundError, message, load, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.annotation("0005", 4)["segments_info"][0].update(
                category_id=CAR
            ),
            rf"vps\.json: segment {ROAD_ID} of 0005_0029_\w+_final_mask\.png has "
            "category_id 13, and 0 earlier in video 0005; give",
        ),
        (
            lambda f: f.annotation("0005", 4)["segments_info"][0].update(category_id=5),
            r"0005_0029_\w+_final_mask\.png has category_id 5, which is not in catego",
        ),
        (
            lambda f: f.annotation("0005", 4).update(image_id="0005_9"),
            r"annotations\[4\]: image_id '0005_9' is not in images; add",
        ),
        (
            lambda f: [
                x.update({key: "frankfurt_000000_001736"})
                for x, key in (
                    (f.content["images"][0], "id"),
                    (f.content["annotations"][0], "image_id"),
                )
            ],
            "image_id 'frankfurt_000000_001736' does not begin with video and frame",
        ),
        (
            lambda f: f.content.update(categories=CATEGORIES * 2),
            r"city_vps\.json: category ids given twice: .*; correct categories",
        ),
        (
            lambda f: f.content.update(annotations=[]),
            r"city_vps\.json: annotations is empty; add",
        ),
        (lambda f: f.content.pop("images"), "has no field 'images'"),
    ],
)
def test_bad_json_is_named(folder, change, message):
    change(folder)
    folder.save_json()
    refused(ValueError, message, load, folder)


def test_bad_pixels_are_named_at_access(folder):
    source = load(folder)
    png = folder.annotation("0005", 0)["file_name"]
    folder.save_ids(png, id_map("0005", 0)[:3])
    refused(ValueError, rf"{png}: has 32x3 pixels, its image", decode, source, 0)
    folder.save_ids(png, np.full((16, 32), 9))
    message = rf"{png}: ids 9 are not in segments_info of .*city_vps\.json; add"
    refused(ValueError, message, decode, source, 0)
    Image.fromarray(np.zeros((16, 32), np.uint8)).save(folder.pngs / png)
    refused(ValueError, rf"{png}: has mode L, not RGB; write ids", decode, source, 0)
