"""Layouts are known by their files; splits, and which segments count, follow."""

import json
import zipfile

import numpy as np
import pytest
from city_vps_folder import CityVps
from PIL import Image

from pix2seq_d import instance_ids
from pix2seq_d.config import SourceConfig
from pix2seq_d.config.training import SOURCES
from pix2seq_d.data.sources import make_source, open_source
from pix2seq_d.doctor import layouts
from pix2seq_d.doctor.capacity import Capacity
from pix2seq_d.doctor.examine import examine
from pix2seq_d.panoptic import ids_to_rgb

SIZE = (6, 8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def save_image(path, seed):
    rng = np.random.default_rng(seed)
    save(path, rng.integers(0, 256, (*SIZE, 3), np.uint8))


def columns(*values):
    """The first value everywhere, one column of each of the others."""
    array = np.full(SIZE, values[0], np.int32)
    for column, value in enumerate(values[1:]):
        array[:, column] = value
    return array


def cityscapes(root, splits=("train", "val", "test")):
    """Road, a group of people, two cars."""
    for seed, split in enumerate(splits):
        stem = f"{split}/ulm/ulm_00000{seed}_000019"
        save_image(root / f"leftImg8bit/{stem}_leftImg8bit.png", seed)
        path = root / f"gtFine/{stem}_gtFine_instanceIds.png"
        save(path, columns(7, 24, 26000, 26001).astype(np.uint16))


def packed_cityscapes(root):
    cityscapes(root / "unpacked")
    for name in ("gtFine", "leftImg8bit"):
        with zipfile.ZipFile(root / f"{name}_trainvaltest.zip", "w") as packed:
            for path in (root / "unpacked" / name).rglob("*.png"):
                packed.write(path, path.relative_to(root / "unpacked"))


def panoptic_cityscapes(root):
    """As createPanopticImgs.py leaves it, val only."""
    cityscapes(root, splits=("val",))
    folder, stem = root / "gtFine/cityscapes_panoptic_val", "ulm_000000_000019"
    save(folder / f"{stem}_gtFine_panoptic.png", ids_to_rgb(columns(7, 24)))
    segments = [{"id": 7, "category_id": 7}, {"id": 24, "category_id": 24}]
    content = {
        "images": [{"id": stem, "file_name": f"{stem}_gtFine_leftImg8bit.png"}],
        "annotations": [
            {
                "image_id": stem,
                "file_name": f"{stem}_gtFine_panoptic.png",
                "segments_info": segments,
            }
        ],
        "categories": open_source("cityscapes", str(root), "val").label_space.to_json(),
    }
    folder.with_suffix(".json").write_text(json.dumps(content))
    for path in (root / "gtFine/val").rglob("*.png"):
        path.unlink()


def kitti_step(root, place="panoptic_maps"):
    """Road, a crowd of people, two cars."""
    for seed, split in enumerate(("train", "val")):
        name = f"{seed:04d}/000000.png"
        save_image(root / "training/image_02" / name, seed)
        kind, instance = columns(0, 11, 13, 13), columns(0, 0, 1, 300)
        rgb = np.stack([kind, instance // 256, instance % 256], -1)
        save(root / place / split / name, rgb.astype(np.uint8))


def unpacked_kitti_step(root):
    kitti_step(root, "kitti-step/panoptic_maps")


def davis(root, lists=("train", "val", "test-dev")):
    """Three objects; in the last frame none."""
    for seed, name in enumerate(("train", "val", "test-dev")):
        for position in (0, 1):
            frame = f"{name}/{position:05d}"
            save_image(root / f"JPEGImages/480p/{frame}.jpg", 2 * seed + position)
            values = (0, 1, 2, 3) if position == 0 else (0,)
            labels = root / f"Annotations_unsupervised/480p/{frame}.png"
            save(labels, columns(*values).astype(np.uint8))
    (root / "ImageSets/2017").mkdir(parents=True)
    for name in lists:
        (root / f"ImageSets/2017/{name}.txt").write_text(name)


def davis_without_lists(root):
    davis(root, lists=())


def vipseg(root, place="VIPSeg_720P"):
    """A wall, two people."""
    categories = [
        {"id": 0, "name": "wall", "isthing": 0},
        {"id": 60, "name": "person", "isthing": 1},
    ]
    for seed, split in enumerate(("train", "val")):
        video = f"{seed}_video"
        save_image(root / place / f"images/{video}/00000000.jpg", seed)
        png = root / place / f"panomasksRGB/{video}/00000000.png"
        save(png, ids_to_rgb(columns(70000, 300, 5)))
        segments = [
            {"id": 70000, "category_id": 0},
            {"id": 300, "category_id": 60},
            {"id": 5, "category_id": 60},
        ]
        frame = {"image_id": "0", "file_name": png.name, "segments_info": segments}
        content = {
            "videos": [],
            "annotations": [{"video_id": video, "annotations": [frame]}],
            "categories": categories,
        }
        path = root / place / f"panoptic_gt_VIPSeg_{split}.json"
        path.write_text(json.dumps(content))


def vipseg_in_the_root(root):
    vipseg(root, "")


def city_vps(root):
    for split in ("train", "val"):
        CityVps(root, split)
        (root / f"panoptic_im_{split}_city_vps.json").write_text("{}")
    rng = np.random.default_rng(0)  # else they are those of val
    for path in (root / "train/img").iterdir():
        save(path, rng.integers(0, 256, (16, 32, 3), np.uint8))


TREES = [
    (cityscapes, "cityscapes", ["train", "val"]),
    (packed_cityscapes, "cityscapes", ["train", "val"]),
    (panoptic_cityscapes, "cityscapes", ["val"]),
    (kitti_step, "kitti_step", ["train", "val"]),
    (unpacked_kitti_step, "kitti_step", ["train", "val"]),
    (davis, "davis", ["train", "val"]),
    (davis_without_lists, "davis", ["all"]),
    (vipseg, "vipseg", ["train", "val"]),
    (vipseg_in_the_root, "vipseg", ["train", "val"]),
    (city_vps, "cityscapes_vps", ["train", "val"]),
]


@pytest.mark.parametrize(
    ("build", "layout", "splits"), TREES, ids=[build.__name__ for build, *_ in TREES]
)
def test_a_layout_is_detected_and_fine(tmp_path, build, layout, splits):
    build(tmp_path)
    examination = examine(tmp_path, num_workers=1)
    assert examination.layout == layout
    assert [result.split.name for result in examination.splits] == splits
    assert examination.errors == []
    kinds = {f.kind for f in examination.findings}
    assert kinds <= {"class_not_in_train", "much_crowd"}


@pytest.mark.parametrize("build", [cityscapes, kitti_step, davis, vipseg])
@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_segments_count_as_in_training(tmp_path, build, most):
    build(tmp_path)
    layout = build.__name__
    source = open_source(layout, str(tmp_path), "val")
    rule = layouts.id_rule(layout)
    dropped = [
        instance_ids.number(
            [example.panoptic], source.label_space, max_instances=most, rule=rule
        ).num_dropped
        for example in source
    ]
    examination = examine(
        tmp_path, model=Capacity(max_instances=most), splits=["val"], num_workers=1
    )
    assert [c.map.num_dropped for c in examination.splits[0].checked] == dropped
    numbered = {"cityscapes": 4, "kitti_step": 2, "davis": 3, "vipseg": 3}[layout]
    assert dropped[0] == max(0, numbered - (most - 1))
    kinds = [f.kind for f in examination.findings]
    assert kinds.count("too_many_instances") == sum(d > 0 for d in dropped)


def test_davis_255_is_void_where_an_evaluation_reads_it(tmp_path):
    davis(tmp_path)
    for name in ("train", "val"):
        path = tmp_path / f"Annotations_unsupervised/480p/{name}/00000.png"
        save(path, columns(0, 1, 2, 255).astype(np.uint8))
    config = SourceConfig(name="davis", root=str(tmp_path), eval_split="val")
    splits = {s.split.name: s for s in examine(tmp_path, num_workers=1).splits}
    for split, objects, void in (("train", 3, 0), ("val", 2, SIZE[0])):
        source = make_source(config, train=split == "train", size=SIZE)
        read = [s for s in source[0].panoptic.segments if not s.is_crowd]
        found = splits[split].checked[0].map
        assert found.num_instances == len(read) == objects
        assert found.crowd_pixels == void
        assert found.num_numbered == objects
        _, shown = splits[split].split.picture(0)
        assert shown.segments == source[0].panoptic.segments


def test_every_layout_of_training_can_be_named():
    assert set(layouts.LAYOUTS) == set(SOURCES) - {"shapes", "shapes_video"}
    assert layouts.id_rule("tfds", "davis/480p") == instance_ids.DAVIS
    assert layouts.id_rule("tfds", "coco/2017_panoptic") == instance_ids.COCO


def test_pascal_voc_is_not_taken_for_davis(tmp_path):
    save_image(tmp_path / "JPEGImages/2007_000027.jpg", 0)
    for folder in ("Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(ValueError, match="name its layout with --layout"):
        layouts.detect(tmp_path)
