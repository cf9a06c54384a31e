"""A prediction that is the same for every image, against scores counted by hand."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from pix2seq_d.data.coco_panoptic import CocoPanoptic

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import trivial_baseline

MOST = "most frequent class of the pixel"


@pytest.fixture
def baselines(coco_folder, tmp_path):
    """Name -> scores, of a folder whose first training image has one door less."""
    root = coco_folder.root
    shutil.copytree(coco_folder.images, root / "images/train")
    shutil.copytree(coco_folder.pngs, root / "panoptic_train")
    ids = coco_folder.ids
    ids[ids == 5] = 1000
    coco_folder.pngs = root / "panoptic_train"
    coco_folder.save_ids("10.png", ids)
    shutil.copy(coco_folder.json_path, root / "panoptic_train.json")
    output = tmp_path / "baseline.json"
    trivial_baseline.main(
        [
            "--config=custom:tiny",
            f"--config.data.source.root={root}",
            "--config.evaluation.min_area=4",
            f"--output={output}",
        ]
    )
    found = json.loads(output.read_text())
    assert found["best"] == MOST
    assert found["images"] == {"train": 3, "val": 3}
    return found["baselines"]


def test_things_are_connected_regions_of_the_most_frequent_class(baselines):
    # Both doors are most frequent where they are, and are told apart; the one that
    # is a crowd does not count. The void column has no class to predict.
    found = baselines[MOST]
    assert found["Things"]["pq"] == found["Stuff"]["pq"] == 1.0
    assert found["per_class"]["3"]["tp"] == 3


def test_what_too_few_images_have_is_void(baselines):
    # The door that one of three training images lacks: 67 %.
    found = baselines["the same, void below 70 % of the images"]
    assert found["Things"]["pq"] == 0.0 and found["Stuff"]["pq"] == 1.0
    assert baselines["the same, void below 50 % of the images"]["Things"]["pq"] == 1.0


def test_one_stuff_class_everywhere(baselines):
    # 30 of the 42 pixels that are not void are sky.
    found = baselines["sky everywhere"]
    assert found["Stuff"]["pq"] == pytest.approx(30 / 42)
    assert found["Things"]["pq"] == 0.0


def test_small_regions_are_left_out(baselines, coco_folder):
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    labels = source.label_space
    semantic = trivial_baseline.count_classes(source, (6, 8)).argmax(-1)
    for min_area, segments in ((6, 3), (7, 1)):
        made = trivial_baseline.segments(semantic, labels, min_area=min_area)
        assert len(made.segments) == segments
