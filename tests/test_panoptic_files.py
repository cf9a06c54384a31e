"""COCO panoptic files: what is written reads back, and bad files are named."""

import json

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.evaluation import pq
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import PanopticWriter, read_png_ids

SPACE = LabelSpace(
    (
        Category(id=7, name="sky", is_thing=False, color=(0, 0, 255)),
        Category(id=3, name="door", is_thing=True, color=(255, 0, 0)),
    )
)


def example_map():
    ids = np.zeros((6, 8), np.int32)
    ids[:3], ids[4:, 2:5], ids[5, 2] = 1, 2**24 - 1, 300
    return PanopticMap(
        ids, (Segment(1, 7), Segment(300, 3, True), Segment(2**24 - 1, 3))
    )


def test_written_maps_read_back_as_dataset_and_score_one(tmp_path):
    images, panoptic = tmp_path / "images", example_map()
    images.mkdir()
    with PanopticWriter(tmp_path, SPACE) as writer:
        for image_id, name in ((4, "b.jpg"), (2, "a.jpg")):
            Image.new("RGB", (8, 6)).save(images / name)
            png = writer.write(panoptic, image_id=image_id, file_name=name)
            np.testing.assert_array_equal(read_png_ids(png), panoptic.ids)
        assert not writer.json_path.exists()
    source = CocoPanoptic(images, tmp_path / "panoptic.json", tmp_path / "panoptic")
    assert source.label_space == SPACE
    assert [e.file_name for e in source] == ["a.jpg", "b.jpg"]
    np.testing.assert_array_equal(source[0].panoptic.ids, panoptic.ids)
    assert source[0].panoptic.segments == panoptic.segments
    result = pq.evaluate(writer.json_path, writer.json_path)
    assert result["All"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "images",
        "panoptic",
        "panoptic.json",
    ]


def test_segments_info_holds_area_box_and_flags(tmp_path):
    panoptic = example_map()
    unseen = PanopticMap(panoptic.ids, (*panoptic.segments, Segment(9, 3)))
    with PanopticWriter(tmp_path, SPACE, name="found") as writer:
        writer.write(unseen, image_id="x", file_name="a.jpg")
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["images"] == [
        {"id": "x", "file_name": "a.jpg", "height": 6, "width": 8}
    ]
    assert content["categories"] == SPACE.to_json()
    sky = {"id": 1, "category_id": 7, "isthing": 0, "area": 24, "iscrowd": 0}
    crowd = {"id": 300, "category_id": 3, "isthing": 1, "area": 1, "iscrowd": 1}
    door = {"id": 2**24 - 1, "category_id": 3, "isthing": 1, "area": 5, "iscrowd": 0}
    assert content["annotations"] == [
        {
            "image_id": "x",
            "file_name": "a.png",
            "segments_info": [
                sky | {"bbox": [0, 0, 8, 3]},
                crowd | {"bbox": [2, 5, 1, 1]},
                door | {"bbox": [2, 4, 3, 2]},
            ],
        }
    ]


def test_areas_and_boxes_agree_with_official_ones(shared, tmp_path):
    folder = shared / "data/coco_panoptic_sample/sample_data"
    path = folder / "panoptic_examples.json"
    source = CocoPanoptic(folder / "input_images", path, folder / "panoptic_examples")
    with PanopticWriter(tmp_path, source.label_space) as writer:
        for example in source:
            writer.write(
                example.panoptic,
                image_id=example.image_id,
                file_name=example.file_name,
            )
    official = {a["image_id"]: a for a in json.loads(path.read_text())["annotations"]}
    for annotation in json.loads(writer.json_path.read_text())["annotations"]:
        expected = official[annotation["image_id"]]
        assert annotation["file_name"] == expected["file_name"]
        kept = ("id", "category_id", "area", "bbox", "iscrowd")
        assert [{k: s[k] for k in kept} for s in annotation["segments_info"]] == [
            {k: s[k] for k in kept} for s in expected["segments_info"]
        ]


def test_equal_stems_do_not_overwrite_each_other(tmp_path):
    maps = [
        PanopticMap(np.full((2, 2), i, np.int32), (Segment(i, 3),)) for i in range(1, 6)
    ]
    names = ["one/a.jpg", "two/a.jpg", "a-2.jpg", "A.png", "b.jpg"]
    with PanopticWriter(tmp_path, SPACE) as writer:
        for panoptic, name in zip(maps, names, strict=True):
            writer.write(panoptic, image_id=name, file_name=name)
    content = json.loads(writer.json_path.read_text())
    assert [a["file_name"] for a in content["annotations"]] == [
        "a.png",
        "a-2.png",
        "a-2-2.png",
        "A-3.png",
        "b.png",
    ]
    for panoptic, annotation in zip(maps, content["annotations"], strict=True):
        ids = read_png_ids(writer.png_dir / annotation["file_name"])
        np.testing.assert_array_equal(ids, panoptic.ids)


def test_json_appears_only_after_success(tmp_path):
    old = tmp_path / "panoptic.json"
    old.write_text("{}")
    with (
        pytest.raises(RuntimeError, match="stop"),
        PanopticWriter(tmp_path, SPACE) as writer,
    ):
        assert not old.exists()
        writer.write(example_map(), image_id=1, file_name="a.jpg")
        raise RuntimeError("stop")
    assert not old.exists()


def test_writer_refuses_what_a_png_or_the_json_cannot_hold(tmp_path):
    def write(ids, *segments, image_id=1):
        panoptic = PanopticMap(np.array([ids], np.int32), segments)
        writer.write(panoptic, image_id=image_id, file_name="a.jpg")

    writer = PanopticWriter(tmp_path, SPACE)
    with pytest.raises(ValueError, match=r"reach from 1 to 16777216.*renumber"):
        write([1, 2**24], Segment(1, 7), Segment(2**24, 7))
    with pytest.raises(ValueError, match=r"reach from -1 to 1"):
        write([1, -1], Segment(1, 7))
    with pytest.raises(ValueError, match=r"segment 1 has category_id 5"):
        write([1, 0], Segment(1, 5))
    with pytest.raises(ValueError, match=r"ids 2 of the map have no segment"):
        write([1, 2], Segment(1, 7))
    write([1, 0], Segment(1, 7))
    with pytest.raises(ValueError, match=r"image id 1 was written before"):
        write([1, 0], Segment(1, 7))
    writer.close()
    assert len(json.loads(writer.json_path.read_text())["annotations"]) == 1


def test_read_png_ids_refuses_other_files(tmp_path):
    picture = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    for name, image, message in (
        ("palette.png", picture.convert("P"), "has mode P, not RGB"),
        ("alpha.png", picture.convert("RGBA"), "has mode RGBA, not RGB"),
        ("gray.png", picture.convert("L"), "has mode L, not RGB"),
        ("lossy.jpg", picture, "is a JPEG file.*write it as PNG"),
    ):
        image.save(tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            read_png_ids(tmp_path / name)
    (tmp_path / "deep.png").write_bytes(deep_png(np.full((4, 4, 3), 256)))
    message = r"deep\.png: has 16 bits per channel, not 8; write ids as 8-bit RGB"
    with pytest.raises(ValueError, match=message):
        read_png_ids(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"text\.png: cannot be decoded"):
        read_png_ids(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such file"):
        read_png_ids(tmp_path / "none.png")
