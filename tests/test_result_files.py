"""Results as files: each format read back by the reader it is meant for."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.converters import labelme
from pix2seq_d.inference.result import Result
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.result_files import FORMATS, ResultWriter, coco_results, two_channel

SPACE = LabelSpace(
    (
        Category(7, "sky", False, (10, 20, 200)),
        Category(200, "cat", True, (200, 20, 10)),
    )
)


@pytest.fixture(scope="module")
def result():
    ids = np.zeros((20, 30), np.int32)
    ids[:8] = 1
    ids[10:16, 3:9] = 2
    ids[12:14, 5:7] = 0  # a hole
    ids[10:20, 20:23] = 3
    ids[9, 25] = 3  # in two parts
    segments = (
        Segment(1, 7),
        Segment(2, 200, instance=2),
        Segment(3, 200, instance=3),
    )
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    certainty = np.where(ids == 2, 0.25, 0.75).astype(np.float32)
    return Result(image, PanopticMap(ids, segments), SPACE, certainty=certainty)


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    return result.save(tmp_path_factory.mktemp("saved"), name="a", formats=FORMATS)


def test_segments_say_where_they_are_and_how_sure(result):
    sky, cat, tall = result.segments
    assert (sky.name, sky.is_thing, sky.instance) == ("sky", False, 0)
    assert sky.centroid == (15.0, 4.0) and sky.bbox == (0, 0, 30, 8)
    assert cat.centroid == (6.0, 13.0) and cat.confidence == pytest.approx(0.25)
    assert tall.area == 31 and tall.bbox == (20, 9, 6, 11)
    rows, columns = np.nonzero(result.panoptic.ids == 3)
    middle = columns.mean() + 0.5, rows.mean() + 0.5
    assert tall.centroid == pytest.approx(middle)
    assert repr(result) == "Result(30 x 20 px: sky, 2 cat)"


def test_panoptic_files_bear_scores_and_are_read_back(result, folder):
    listed = json.loads((folder / "panoptic.json").read_text())
    (annotation,) = listed["annotations"]
    scores = {s["id"]: s["score"] for s in annotation["segments_info"]}
    assert scores == {1: 0.75, 2: 0.25, 3: 0.75}
    (folder / "image").mkdir(exist_ok=True)
    Image.fromarray(result.image).save(folder / "image" / "a.png")
    source = CocoPanoptic(
        folder / "image", folder / "panoptic.json", folder / "panoptic"
    )
    np.testing.assert_array_equal(source[0].panoptic.ids, result.panoptic.ids)


def test_two_channels_hold_classes_and_numbers(result, folder):
    pixels = np.asarray(Image.open(folder / "two_channel" / "a.png"))
    np.testing.assert_array_equal(pixels, two_channel(result))
    np.testing.assert_array_equal(pixels[..., 0], result.semantic)
    # Things are counted from 1, the largest first.
    expected = np.select([result.instance == 2, result.instance == 3], [1, 2], 0)
    np.testing.assert_array_equal(pixels[..., 1], expected)
    assert not pixels[..., 2].any()


def test_what_does_not_fit_two_channels_is_refused(result):
    space = LabelSpace((Category(256, "sky", False, (0, 0, 0)),))
    wide = Result(
        result.image, PanopticMap(result.panoptic.ids, (Segment(1, 256),)), space
    )
    ids = np.minimum(wide.panoptic.ids, 1)
    wide = Result(wide.image, PanopticMap(ids, (Segment(1, 256),)), space)
    with pytest.raises(ValueError, match="category id 256 does not fit 8 bits"):
        two_channel(wide)


def test_instances_are_cocos_detection_results(result, folder):
    entries = json.loads((folder / "instances.json").read_text())
    assert entries == coco_results(result, image_id=1)
    assert [e["category_id"] for e in entries] == [200, 200]
    for entry, segment in zip(entries, result.segments[1:], strict=True):
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            mask = coco_mask.decode(entry["segmentation"])  # warns on NumPy 2
        np.testing.assert_array_equal(mask, result.panoptic.ids == segment.id)
        assert entry["area"] == segment.area and entry["bbox"] == list(segment.bbox)
        assert entry["score"] == pytest.approx(segment.confidence)


def test_labelme_files_become_the_same_map(result, folder, tmp_path):
    categories = tmp_path / "categories.json"
    categories.write_text(json.dumps(SPACE.to_json()))
    labelme.convert(
        folder / "labelme", tmp_path / "coco", split="val", categories=categories
    )
    source = CocoPanoptic.from_root(tmp_path / "coco", "val")
    np.testing.assert_array_equal(source[0].image, result.image)
    found = source[0].panoptic
    category = {s.id: s.category_id for s in found.segments}
    for segment in result.segments:
        (number,) = set(found.ids[result.panoptic.ids == segment.id].tolist())
        assert category[number] == segment.category_id
    assert found.areas[0] == result.panoptic.areas[0]
    assert len(found.segments) == 3


def test_a_name_taken_gets_a_number_in_every_format(result, tmp_path):
    with ResultWriter(tmp_path, SPACE, formats=FORMATS) as writer:
        for number, name in enumerate(("x/a.jpg", "y/A.png"), start=1):
            writer.write(result, image_id=number, file_name=name)
    for kind in ("panoptic", "overlay", "two_channel"):
        names = sorted(p.name for p in (tmp_path / kind).iterdir())
        assert names == ["A-2.png", "a.png"]


def test_an_unknown_format_lists_the_known_ones(result, tmp_path):
    with pytest.raises(ValueError, match=r"'svg' is unknown; .*panoptic, overlay"):
        result.save(tmp_path, formats=["panoptic", "svg"])
    assert not list(tmp_path.iterdir())


def test_void_is_told_from_a_category_of_id_0(result):
    """As KITTI-STEP's road."""
    space = LabelSpace((Category(0, "road", False, (0, 0, 0)),))
    ids = np.array([[0, 1]], np.int32)
    roads = Result(result.image[:1, :2], PanopticMap(ids, (Segment(1, 0),)), space)
    np.testing.assert_array_equal(roads.semantic, [[-1, 0]])
    with pytest.raises(ValueError, match="category id 0 stands for void there"):
        two_channel(roads)
