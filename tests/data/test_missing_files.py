"""A file that vanished: refused when a split is opened, or skipped within a budget."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from refusal import decode, refused

from pix2seq_d.config import from_config_dict
from pix2seq_d.data import label_spaces, sources
from pix2seq_d.data.reading import Skipping
from pix2seq_d.panoptic import ids_to_rgb
from pix2seq_d.training import loop

COUNT, GONE = 3, 1  # examples of each split, and which of them loses a file
STEMS = [f"{k:05d}" for k in range(COUNT)]


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_pairs(images, labels, values):
    """Three images and label maps; `images` and `labels` have {} for the stem."""
    for stem in STEMS:
        save(type(images)(str(images).format(stem)), np.zeros((4, 6, 3), np.uint8))
        save(type(labels)(str(labels).format(stem)), values)
    return [type(p)(str(p).format(STEMS[GONE])) for p in (images, labels)]


def panoptic_json(suffix, category, stem="{}"):
    names = {s: stem.format(s) for s in STEMS}
    segment = {"id": 5, "category_id": category}
    return {
        "images": [{"id": i, "file_name": f"{s}.jpg"} for s, i in names.items()],
        "annotations": [
            {"image_id": i, "file_name": i + suffix, "segments_info": [segment]}
            for i in names.values()
        ],
    }


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


IDS = ids_to_rgb(np.full((4, 6), 5))
WALL = [{"id": 1, "name": "wall", "isthing": 0}]


def coco_panoptic(root):
    content = panoptic_json(".png", 1) | {"categories": WALL}
    write_json(root / "panoptic_val.json", content)
    return save_pairs(root / "images/val/{}.jpg", root / "panoptic_val/{}.png", IDS)


def cityscapes(root):
    return save_pairs(
        root / "leftImg8bit/val/ulm/ulm_{}_leftImg8bit.png",
        root / "gtFine/val/ulm/ulm_{}_gtFine_instanceIds.png",
        np.full((4, 6), 7, np.uint16),
    )


def cityscapes_json(root):
    name = "cityscapes_panoptic_val"
    content = panoptic_json("_gtFine_panoptic.png", 7, "ulm_{}")
    content["categories"] = label_spaces.read("cityscapes").to_json()
    write_json(root / f"gtFine/{name}.json", content)
    return save_pairs(
        root / "leftImg8bit/val/ulm/ulm_{}_leftImg8bit.png",
        root / f"gtFine/{name}/ulm_{{}}_gtFine_panoptic.png",
        IDS,
    )


def kitti_step(root):
    labels = root / "panoptic_maps/val/0002/{}.png"
    return save_pairs(
        root / "training/image_02/0002/{}.png", labels, np.zeros((4, 6, 3), np.uint8)
    )


def davis(root):
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("bear\n")
    labels = root / "Annotations_unsupervised/480p/bear/{}.png"
    images = root / "JPEGImages/480p/bear/{}.jpg"
    return save_pairs(images, labels, np.ones((4, 6), np.uint8))


def vipseg(root):
    content = panoptic_json(".png", 1)
    video = {"video_id": "a", "annotations": content["annotations"]}
    content = {"annotations": [video], "categories": WALL}
    write_json(root / "panoptic_gt_VIPSeg_val.json", content)
    return save_pairs(root / "images/a/{}.jpg", root / "panomasksRGB/a/{}.png", IDS)


def cityscapes_vps(root):
    content = panoptic_json("_final_mask.png", 1, "0005_0025_ulm_{}")
    write_json(root / "panoptic_gt_val_city_vps.json", content | {"categories": WALL})
    return save_pairs(
        root / "val/img/{}.jpg",
        root / "val/panoptic_video/0005_0025_ulm_{}_final_mask.png",
        IDS,
    )


LAYOUTS = [
    *(coco_panoptic, cityscapes, cityscapes_json, kitti_step, davis, vipseg),
    cityscapes_vps,
]


@pytest.mark.parametrize("which", ["image", "label map"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_a_vanished_file_is_refused_or_skipped(layout, which, tmp_path, capsys):
    paths = layout(tmp_path)
    name = layout.__name__.removesuffix("_json")
    ids = [e.image_id for e in sources.open_source(name, str(tmp_path), "val")]
    assert len(ids) == COUNT
    paths[which == "label map"].unlink()
    opened = sources.open_source
    refused(FileNotFoundError, "lacks .*add", opened, name, str(tmp_path), "val")
    source = sources.open_source(name, str(tmp_path), "val", max_missing=1)
    assert len(source) == COUNT
    refused(FileNotFoundError, STEMS[GONE], decode, source, GONE)
    # The others keep their places: a training goes on with the same order.
    skipping = Skipping(source, budget=1)
    found = [skipping[k].image_id for k in range(COUNT)]
    assert found == [ids[0], ids[2], ids[2]]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skipped 1 of at most 1: ") and STEMS[GONE] in line


def test_more_than_the_budget_is_refused_at_once(tmp_path):
    paths = coco_panoptic(tmp_path)
    for path in paths[0].parent.iterdir():
        if path != paths[0]:
            path.unlink()
    opened = sources.open_source
    for budget in (0, 1):
        with pytest.raises(FileNotFoundError, match=r"lacks .*2 of the 3 files"):
            opened("coco_panoptic", str(tmp_path), "val", max_missing=budget)
    assert len(opened("coco_panoptic", str(tmp_path), "val", max_missing=2)) == COUNT
    paths[0].unlink()
    with pytest.raises(FileNotFoundError, match="no such folder, or empty"):
        opened("coco_panoptic", str(tmp_path), "val", max_missing=9)


def test_training_may_lack_files_and_its_evaluation_not(tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    asked = []

    def make_source(config, *, train, size, max_missing=0):
        asked.append((train, max_missing))
        if not train:
            raise Stop

    monkeypatch.setattr(sources, "make_source", make_source)
    config = from_config_dict({"data": {"max_skipped": 3}})
    with pytest.raises(Stop):
        loop.train(config, tmp_path)
    assert asked == [(True, 3), (False, 0)]


def test_a_damaged_member_of_a_zip_is_skipped(tmp_path, capsys):
    (image, _) = coco_panoptic(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    with zipfile.ZipFile(tmp_path / "val.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(image.parent.iterdir()):
            save(path, noise)
            packed.write(path, f"val/{path.name}")
            path.unlink()
        place = packed.getinfo(f"val/{image.name}").header_offset
    image.parent.rmdir()
    save_all = tmp_path / "panoptic_val"
    for path in save_all.iterdir():
        save(path, ids_to_rgb(np.full((40, 60), 5)))
    data = bytearray((tmp_path / "val.zip").read_bytes())
    start = place + 30 + len(f"val/{image.name}")
    data[start : start + 8] = b"\xff" * 8  # no deflate stream begins so
    (tmp_path / "val.zip").write_bytes(data)
    source = sources.open_source("coco_panoptic", str(tmp_path), "val")
    message = rf"val\.zip/val/{image.name}: Error -3 .*; download the zip again"
    refused(ValueError, message, decode, source, GONE)
    skipping = Skipping(source, budget=1)
    found = [skipping[k].image_id for k in range(COUNT)]
    assert found == [STEMS[0], STEMS[2], STEMS[2]]
    assert "skipped 1 of at most 1" in capsys.readouterr().err
