"""What the training of the other network has without PyTorch: input, maps, rates."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pix2seq_d.cli import app
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import peer_mask2former
from peer import backbone, data, panoptic, training
from peer.recipe import Recipe

LABELS = LabelSpace(
    (Category(5, "sky", False, (0, 0, 9)), Category(9, "door", True, (9, 0, 0)))
)
SKY, DOOR = 0, 1
RECIPE = Recipe(minutes=5, batch=2, seed=0, learning_rate=1e-4, color_jitter=0.5)


def error_of(capsys, *argv):
    assert app.run(peer_mask2former.main, "peer_mask2former", argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_flag_that_is_missing_is_one_line(capsys):
    line = error_of(capsys, "--resnet=r.npz", "--output=out")
    assert line.startswith("peer_mask2former: error: --root is missing")


def test_a_package_that_is_missing_is_named_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(peer_mask2former, "PACKAGES", ("numpy", "no_such_package"))
    line = error_of(capsys, f"--root={tmp_path}", "--resnet=r.npz", "--output=out")
    says = "error: no_such_package missing; pip install numpy no_such_package"
    assert line.endswith(says)


def test_input_that_is_missing_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(peer_mask2former, "PACKAGES", ())
    argv = [f"--root={tmp_path}", f"--resnet={tmp_path}/r.npz", "--output=out"]
    assert "has no panoptic_train.json" in error_of(capsys, *argv)
    (tmp_path / "panoptic_train.json").touch()
    assert error_of(capsys, *argv).endswith("r.npz: no such file")


def test_stuff_is_one_segment_and_things_stay_apart():
    segmentation = np.array([[0, 1, 2, 2], [3, 3, 4, 0]])
    label_of = {1: SKY, 2: DOOR, 3: DOOR, 4: SKY}
    made = panoptic.fused(segmentation, label_of, LABELS, 0)
    assert made.ids.tolist() == [[0, 1, 2, 2], [3, 3, 1, 0]]
    assert made.ids.dtype == np.int32
    assert {s.id: s.category_id for s in made.segments} == {1: 5, 2: 9, 3: 9}


def test_areas_count_after_stuff_is_one():
    # Sky has two pixels, one in each of its parts; one of the doors has one.
    segmentation = np.array([[1, 2, 2, 3, 4]])
    label_of = {1: SKY, 2: DOOR, 3: SKY, 4: DOOR}
    for min_area, ids in ((2, [1, 2, 2, 1, 0]), (3, [0] * 5)):
        made = panoptic.fused(segmentation, label_of, LABELS, min_area)
        assert made.ids[0].tolist() == ids
        assert {s.id for s in made.segments} == set(ids) - {0}


def test_segments_are_counted_from_1_and_a_crowd_is_void():
    segments = (Segment(70, 9), Segment(80, 9, is_crowd=True), Segment(90, 5))
    ids = np.array([[90, 80, 70, 0]], np.int32)
    number, classes = data.numbered(PanopticMap(ids, segments), LABELS)
    assert number.tolist() == [[2, 0, 1, 0]] and number.dtype == np.int64
    assert classes == [DOOR, SKY]
    # Segment k of an image is in column k.
    assert data.padded([classes, [DOOR]]).tolist() == [[0, DOOR, SKY], [0, DOOR, 0]]


@pytest.mark.parametrize(
    ("share", "factor"),
    [(0.0, 0.05), (0.009, 0.5), (0.0195, 1), (0.02, 1), (0.51, 0.5), (1.0, 0.0)],
)
def test_the_rate_rises_then_falls_to_0_with_the_time(share, factor):
    assert RECIPE.warmup == 0.02
    assert training.schedule(share, RECIPE) == pytest.approx(factor)


def test_every_convolution_of_the_file_has_its_place():
    # Stem; 3, 4 and 6 blocks of three, the first of each with a shortcut.
    places = backbone.places()
    assert len(places) == len(set(places.values())) == 1 + 3 * (3 + 4 + 6) + 3
    assert places["res2a_branch1"] == "encoder.stages.0.layers.0.shortcut"
    assert places["res4f_branch2c"] == "encoder.stages.2.layers.5.layer.2"
