"""Cityscapes: raw and panoptic labels as its own tools write them, and the zips."""

import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from refusal import decode, refused

from pix2seq_d.data import label_spaces
from pix2seq_d.data.cityscapes import Cityscapes
from pix2seq_d.instance_ids import CITYSCAPES, number
from pix2seq_d.panoptic import Segment

IDS = ("aachen_000001_000019", "aachen_000000_000019", "ulm_000000_000019")
OTHER = "bochum_000000_000313"

# Raw ids: void classes, stuff, groups of things, things; 33017 needs 16 bits.
UNLABELED, EGO, CARAVAN_1, POLEGROUP = 0, 1, 29001, 18
ROAD, SKY, PERSON_GROUP, PERSON_0, CAR_1, BICYCLE_17 = 7, 23, 24, 24000, 26001, 33017

SEGMENTS = (
    Segment(ROAD, 7),
    Segment(SKY, 23),
    Segment(PERSON_GROUP, 24, True),
    Segment(PERSON_0, 24),
    Segment(CAR_1, 26),
    Segment(BICYCLE_17, 33),
)


def raw_map():
    rows = [
        [UNLABELED, EGO, CARAVAN_1, POLEGROUP, SKY, SKY],
        [ROAD, ROAD, ROAD, ROAD, ROAD, ROAD],
        [PERSON_GROUP, PERSON_GROUP, PERSON_0, PERSON_0, CAR_1, CAR_1],
        [BICYCLE_17, BICYCLE_17, BICYCLE_17, ROAD, ROAD, ROAD],
    ]
    return np.array(rows, np.uint16)


def kept_map():
    raw = raw_map().astype(np.int32)
    raw[0, :4] = 0
    return raw


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def add_image(root, split, image_id):
    city = image_id.split("_")[0]
    image = np.full((4, 6, 3), len(city), np.uint8)
    write(root / f"leftImg8bit/{split}/{city}/{image_id}_leftImg8bit.png", image)
    folder = root / f"gtFine/{split}/{city}"
    write(folder / f"{image_id}_gtFine_instanceIds.png", raw_map())
    # The download has these beside.
    write(folder / f"{image_id}_gtFine_labelIds.png", np.zeros((4, 6), np.uint8))
    (folder / f"{image_id}_gtFine_polygons.json").write_text("{}")


@pytest.fixture
def root(tmp_path):
    """As downloaded: three images of two cities in val, one in train."""
    root = tmp_path / "cityscapes"
    for image_id in IDS:
        add_image(root, "val", image_id)
    add_image(root, "train", OTHER)
    return root


def add_panoptic(root, *, train_ids=False):
    """What createPanopticImgs.py makes of `root`; its image names have `_gtFine`."""
    name = "cityscapes_panoptic_val" + ("_trainId" if train_ids else "")
    space = label_spaces.read("cityscapes")
    category = {c.id: k if train_ids else c.id for k, c in enumerate(space.categories)}
    ids = kept_map()
    rgb = np.stack([ids % 256, ids // 256, ids // 65536], -1).astype(np.uint8)
    images, annotations = [], []
    for image_id in sorted(IDS):
        write(root / "gtFine" / name / f"{image_id}_gtFine_panoptic.png", rgb)
        images.append(
            {"id": image_id, "file_name": f"{image_id}_gtFine_leftImg8bit.png"}
        )
        annotations.append(
            {
                "image_id": image_id,
                "file_name": f"{image_id}_gtFine_panoptic.png",
                "segments_info": [
                    {
                        "id": s.id,
                        "category_id": category[s.category_id],
                        "iscrowd": int(s.is_crowd),
                    }
                    for s in SEGMENTS
                ],
            }
        )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [c | {"id": category[c["id"]]} for c in space.to_json()],
    }
    path = root / "gtFine" / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def check_source(source):
    assert [e.image_id for e in source] == sorted(IDS)
    assert source[0].file_name == "aachen/aachen_000000_000019_leftImg8bit.png"
    assert [int(e.image.max()) for e in source] == [6, 6, 3]
    assert source.label_space == label_spaces.read("cityscapes")
    for example in source:
        np.testing.assert_array_equal(example.panoptic.ids, kept_map())
        assert example.panoptic.ids.dtype == np.int32
        assert example.panoptic.segments == SEGMENTS
    with pytest.raises(IndexError):
        source[3]


def test_raw_labels_are_exact(root):
    check_source(Cityscapes.from_root(root, "val"))
    assert len(Cityscapes.from_root(root, "train")) == 1


@pytest.mark.parametrize("train_ids", [False, True])
def test_panoptic_labels_give_the_same_and_come_first(root, train_ids):
    add_panoptic(root, train_ids=train_ids)
    shutil.rmtree(root / "gtFine/val")
    check_source(Cityscapes.from_root(root, "val"))


@pytest.mark.parametrize("panoptic", [False, True])
def test_the_official_zip_files_as_downloaded(root, tmp_path, panoptic):
    if panoptic:
        add_panoptic(root)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for name in ("leftImg8bit", "gtFine"):
        with zipfile.ZipFile(zipped / f"{name}_trainvaltest.zip", "w") as packed:
            packed.writestr("README", "text")
            for path in sorted((root / name).rglob("*.*"), reverse=True):
                packed.write(path, path.relative_to(root))
    check_source(Cityscapes.from_root(zipped, "val"))


def test_channels_are_those_of_the_specification(root):
    """Spec 1.2: class + 1; each segment, stuff and crowd too, has its own id."""
    source = Cityscapes.from_root(root, "val")
    panoptic = source[0].panoptic
    made = number([panoptic], source.label_space, max_instances=101, rule=CITYSCAPES)
    semantic, instance = np.moveaxis(made.labels(panoptic.ids), -1, 0)
    train_id = {7: 1, 23: 11, 24: 12, 26: 14, 33: 19, 0: 0}
    ids = kept_map()
    labels = np.where(ids < 1000, ids, ids // 1000)
    np.testing.assert_array_equal(semantic, np.vectorize(train_id.get)(labels))
    assert set(instance[ids > 0].tolist()) == {1, 2, 3, 4, 5, 6}
    assert not instance[ids == 0].any()
    for segment in SEGMENTS:
        assert len(np.unique(instance[ids == segment.id])) == 1
    assert made.id_range == 7  # six segments and void


def test_examples_can_be_pickled(root):
    for prepare in (lambda: None, lambda: add_panoptic(root)):
        prepare()
        example = Cityscapes.from_root(root, "val")[0]
        copy = pickle.loads(pickle.dumps(example))
        np.testing.assert_array_equal(copy.panoptic.ids, kept_map())


def test_missing_root_split_and_folders_are_named(root, tmp_path):
    load = Cityscapes.from_root
    refused(ValueError, "root is empty; set it", load, "", "val")
    refused(FileNotFoundError, "none: no such folder", load, tmp_path / "none", "val")
    message = (
        r"no gtFine/cityscapes_panoptic_test\.json nor gtFine/test/<city>/.*png; "
        r"splits found: train, val; name one"
    )
    refused(FileNotFoundError, message, load, root, "test")
    (root / "gtFine").rename(root / "labels")
    message = r"no folder gtFine/ nor gtFine_trainvaltest\.zip; put Cityscapes' gtFine"
    refused(FileNotFoundError, message, load, root, "val")
    (root / "gtFine").mkdir()
    message = r"instanceIds\.png, nor any other split; give a folder in Cityscapes"
    refused(FileNotFoundError, message, load, root, "val")


def test_missing_files_are_named_at_once(root):
    load = Cityscapes.from_root
    label = root / f"gtFine/val/ulm/{IDS[2]}_gtFine_instanceIds.png"
    label.unlink()
    message = r"gtFine/val: lacks the labels of ulm_000000_000019 \(1 of the images in"
    refused(FileNotFoundError, message, load, root, "val")
    path = add_panoptic(root)
    (root / f"leftImg8bit/val/aachen/{IDS[0]}_leftImg8bit.png").unlink()
    message = r"leftImg8bit: lacks val/aachen/aachen_000001.*\(1 of the 3 files named "
    refused(FileNotFoundError, message, load, root, "val")
    (root / f"gtFine/cityscapes_panoptic_val/{IDS[0]}_gtFine_panoptic.png").unlink()
    message = r"gtFine: lacks cityscapes_panoptic_val/aachen_000001.*named by annotat"
    refused(FileNotFoundError, message, load, root, "val")
    path.write_text("{}")
    refused(ValueError, "has no field 'images'", load, root, "val")


def test_other_categories_are_refused(root):
    path = add_panoptic(root)
    content = json.loads(path.read_text())
    content["categories"][0]["name"] = "street"
    path.write_text(json.dumps(content))
    message = r"val\.json: categories are not the 19 evaluation classes of Cityscapes;"
    refused(ValueError, message, Cityscapes.from_root, root, "val")


def test_bad_label_maps_are_named_at_access(root):
    source = Cityscapes.from_root(root, "val")
    path = root / f"gtFine/val/aachen/{IDS[1]}_gtFine_instanceIds.png"
    write(path, raw_map().astype(np.uint8))
    message = r"000019_gtFine_instanceIds\.png: has mode L; take gtFine's .*16-bit gray"
    refused(ValueError, message, decode, source, 0)
    write(path, raw_map()[:3])
    message = r"instanceIds\.png: has 6x3 pixels, its image .*8bit\.png 6x4 \(width"
    refused(ValueError, message, decode, source, 0)
    add_panoptic(root)
    source = Cityscapes.from_root(root, "val")
    name = f"{IDS[1]}_gtFine_panoptic.png"
    write(root / "gtFine/cityscapes_panoptic_val" / name, raw_map())
    refused(ValueError, r"panoptic\.png: has mode I;16, not RGB", decode, source, 0)
