"""VPQ's files of Cityscapes-VPS: a flat truth, predictions in either form."""

import json
import pickle

import numpy as np
import pytest
from city_vps_folder import (
    CAR_ID,
    IMAGE_IDS,
    KIND,
    OTHER_CAR_ID,
    PERSON,
    PERSON_ID,
    ROAD_ID,
    SKY_ID,
    CityVps,
    id_map,
    segments,
)
from label_files import refused, save_png
from volumes import arguments

from pix2seq_d.evaluation import vpq
from pix2seq_d.evaluation.readers.coco_videos import DIVISOR, CocoVideos
from pix2seq_d.panoptic import ids_to_rgb

CLASSES = {ROAD_ID: 0, SKY_ID: 1, PERSON_ID: 2, CAR_ID: 3, OTHER_CAR_ID: 3}


def found_map(video, k):
    """The truth, one pixel lower, with the cars of one video changed half-way."""
    ids = np.roll(id_map(video, k), 1, axis=0)
    if video == "0005" and k > 2:
        cars = ids == CAR_ID
        ids[ids == OTHER_CAR_ID], ids[cars] = CAR_ID, OTHER_CAR_ID
    return ids


class Files:
    """Truth and prediction as tools/eval_vpq.py of mcahny/vps reads them."""

    def __init__(self, root):
        self.truth = CityVps(root / "gt")
        self.pngs = root / "pred/pan_pred"
        self.json_path = root / "pred/pred.json"
        self.annotations = []
        for video, image_ids in IMAGE_IDS.items():
            for k, image_id in enumerate(image_ids):
                ids = found_map(video, k)
                save_png(self.pngs / f"{image_id}.png", ids_to_rgb(ids))
                self.annotations.append({"segments_info": segments(ids)})
        self.save_json()

    def name_frames(self):
        """With image ids the order does not matter."""
        order = [a["image_id"] for a in self.truth.content["annotations"]]
        for image_id, annotation in zip(order, self.annotations, strict=True):
            annotation["image_id"] = image_id
        self.annotations.reverse()
        self.save_json()

    def nest(self):
        """As VIPSeg's, which `launch.evaluate` writes."""
        videos = []
        for video, image_ids in IMAGE_IDS.items():
            frames = []
            for image_id in image_ids:
                png = self.pngs / video / f"{image_id}.png"
                png.parent.mkdir(exist_ok=True)
                (self.pngs / png.name).rename(png)
                frames.append({"file_name": png.name} | self.annotations.pop(0))
            videos.append({"video_id": video, "annotations": frames})
        self.annotations = videos
        self.save_json()

    def save_json(self):
        self.truth.save_json()
        self.json_path.write_text(json.dumps({"annotations": self.annotations}))

    def open(self, **options):
        return CocoVideos(self.truth.json_path, self.json_path, **options)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def label(ids):
    labels = np.full(ids.shape, 4 * DIVISOR, np.int64)
    for segment, kind in CLASSES.items():
        labels[ids == segment] = kind * DIVISOR + segment
    return labels


@pytest.mark.parametrize("form", ["in order", "with image ids", "nested"])
def test_labels_are_exact(files, form):
    if form == "with image ids":
        files.name_frames()
    elif form == "nested":
        files.nest()
    reader = pickle.loads(pickle.dumps(files.open()))
    assert reader.names == ("0005", "0010") and reader.num_missing == 0
    assert reader.label_space.names()[1:] == ("road", "sky", "person", "car")
    for video in reader.names:
        truth, found = reader.read(video)
        for k in range(6):
            np.testing.assert_array_equal(truth[k], label(id_map(video, k)))
            np.testing.assert_array_equal(found[k], label(found_map(video, k)))


def test_a_switch_of_ids_costs_the_windows_that_it_is_in(files):
    """Windows are of labelled frames: 1 ... 4 of them are 0, 5, 10, 15 frames apart."""
    reader = files.open()
    result = vpq.evaluate(reader, **arguments(reader.coding))
    rows = {k: size["per_class"][3] for k, size in result["vpq_k"].items()}
    # In video 0005 both cars are lost where k frames reach over the switch, and half
    # of either is another; the only car of 0010 is always found.
    assert {k: (row["tp"], row["fn"]) for k, row in rows.items()} == {
        1: (18, 0),
        2: (13, 2),
        3: (8, 4),
        4: (3, 6),
    }
    assert [row["fp"] for row in rows.values()] == [0, 2, 4, 6]
    assert 0 < result["vpq"] < 1


def test_folders_of_pngs_are_found(files):
    folder = files.truth.root
    files.truth.pngs.rename(folder / "elsewhere")
    message = (
        "gt/panoptic_gt_val_city_vps or .*gt/val/panoptic_video: no such folder of PNGs"
    )
    refused(FileNotFoundError, message, files.open)
    assert len(files.open(gt_pngs=folder / "elsewhere")) == 2


def test_missing_predictions_are_named_or_void(files):
    name = IMAGE_IDS["0010"][2]
    (files.pngs / f"{name}.png").unlink()
    message = rf"pan_pred: lacks {name}\.png \(1 of the 12 predictions that .*vps\.json"
    refused(FileNotFoundError, message, files.open)
    reader = files.open(allow_missing=True)
    assert reader.num_missing == 1
    void = [(frame == 4 * DIVISOR).all() for frame in reader.read("0010")[1]]
    assert void == [False, False, True, False, False, False]
    files.name_frames()
    del files.annotations[0]  # the last frame's
    files.save_json()
    refused(FileNotFoundError, rf"pred\.json: lacks {name[:5]}0060\w+\.png", files.open)
    assert files.open(allow_missing=True).num_missing == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.annotations.pop(),
            r"pred\.json: has 11 annotations without image_id, the truth 12; give",
        ),
        (
            lambda f: f.annotations[3].update(image_id=IMAGE_IDS["0005"][3]),
            r"pred\.json: annotations\[0\] has no field 'image_id'",
        ),
        (
            lambda f: f.annotations[1]["segments_info"].pop(),
            r"pan_pred/0005_0026_\w+\.png: ids 11829830 are not in segments_info of",
        ),
        (
            lambda f: f.annotations[1]["segments_info"][0].update(category_id=7),
            r"pred\.json: segment \d+ of 0005_0026_\w+\.png has category_id 7, which",
        ),
        (
            lambda f: f.truth.annotation("0005", 2)["segments_info"][-1].update(
                category_id=PERSON
            ),
            r"vps\.json: segment 11829830 of 0005_0027_\w+_final_mask\.png has",
        ),
        (
            lambda f: f.truth.content["annotations"][-1].update(image_id="10_60"),
            r"vps\.json: image_id '10_60' does not begin with video and frame",
        ),
    ],
)
def test_bad_files_are_named(files, change, message):
    change(files)
    files.save_json()
    refused(ValueError, message, lambda: list(files.open()))


def test_a_flat_prediction_of_a_nested_truth(files):
    flat = files.json_path.read_text()
    files.nest()
    files.truth.content["annotations"] = files.annotations
    files.truth.save_json()
    files.json_path.write_text(flat)
    message = r"pred\.json: lists frames, as of Cityscapes-VPS, but the truth lists vid"
    refused(ValueError, message, files.open)


def test_the_drawn_frames_hold_what_the_tests_speak_of():
    assert set(KIND) == set(CLASSES) == set(np.unique(id_map("0005", 0))) - {0}
