"""The label spaces that are installed with the package."""

import json
from pathlib import Path

import pytest

from pix2seq_d.data import label_spaces
from pix2seq_d.labels import LabelSpace


@pytest.mark.parametrize(
    ("name", "count", "things"),
    [
        ("coco_panoptic", 133, 80),
        ("cityscapes", 19, 8),
        ("kitti_step", 19, 2),
        ("davis", 1, 1),
    ],
)
def test_number_of_categories(name, count, things):
    space = label_spaces.read(name)
    assert len(space.categories) == count
    assert int(space.is_thing.sum()) == things
    assert len(set(space.names())) == count + 1


def test_every_file_has_a_name():
    folder = Path(label_spaces.__file__).parent / "label_spaces"
    assert sorted(p.stem for p in folder.iterdir()) == sorted(label_spaces.NAMES)


def test_coco_is_the_official_list(shared):
    path = shared / "data/coco_panoptic_sample/panoptic_coco_categories.json"
    official = LabelSpace.from_json(json.loads(path.read_text()))
    assert label_spaces.read("coco_panoptic") == official


def test_coco_ids_are_those_of_the_specification():
    ids = [c.id for c in label_spaces.read("coco_panoptic").categories]
    left_out = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert ids[:80] == [i for i in range(1, 91) if i not in left_out]
    assert ids[80:83] == [92, 93, 95]
    assert ids[-17:] == list(range(184, 201))


def test_cityscapes_and_kitti_step_differ_in_ids_and_things():
    city, step = label_spaces.read("cityscapes"), label_spaces.read("kitti_step")
    assert city.names() == step.names()
    assert [c.color for c in city.categories] == [c.color for c in step.categories]
    train_ids = [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]
    assert [c.id for c in city.categories] == train_ids
    assert [c.id for c in step.categories] == list(range(19))
    assert [c.name for c in city.categories if c.is_thing][:3] == [
        "person",
        "rider",
        "car",
    ]
    assert [c.id for c in step.categories if c.is_thing] == [11, 13]


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'vistas' is unknown; choose one of \('cit"):
        label_spaces.read("vistas")
