"""DAVIS's label 255: an evaluation scores what the files score, with 255 as void."""

import dataclasses
from typing import cast

import numpy as np
import pytest
from davis_video import video
from PIL import Image

from pix2seq_d.config import SourceConfig
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data import sources
from pix2seq_d.data.source import VideoSource
from pix2seq_d.evaluation import davis, stq, vpq
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.evaluation.video_runner import VideoEvaluation
from pix2seq_d.instance_ids import DAVIS

LABELS = "Annotations_unsupervised/480p"
SETTINGS = Settings(
    image_size=(24, 36),
    mask_size=(24, 36),
    max_instances=16,
    batch_size=1,
    min_area=0,
    merge_stuff=True,
    rule=DAVIS,
)
TRUTH = {f"v{seed}": video(seed)[0].astype(int) for seed in range(3)}


def perfect(truth):
    """The truth, with nothing where that is void."""
    return np.where(truth == 255, 0, truth)


def over_void(truth):
    """The truth, and its first object on all that is void."""
    return np.where(truth == 255, 1, truth)


def object_of_its_own(truth):
    """The truth, and void as one more object, as a training has it."""
    return np.where(truth == 255, 9, truth)


def imperfect(truth):
    """Shifted, across the borders of void; ids change names on the way."""
    found = np.roll(over_void(truth), (2, 3), axis=(1, 2))
    found[3:] = np.array([0, 2, 1, *range(3, 16)])[found[3:]]
    return found


class Given:
    """Predicts maps [T, H, W] of videos by their names, at mask size."""

    def __init__(self, source, found, settings):
        self.names, self.found = [v.name for v in source.videos], found
        self.sizes = settings.image_size, settings.mask_size

    def start(self, index):
        return index, 0

    def __call__(self, state, images):
        index, first = state
        labels = np.zeros((*images.shape[:2], *self.sizes[1], 2), np.int32)
        for b, t in np.ndindex(images.shape[:2]):
            maps = self.found[self.names[index[b]]] if index[b] >= 0 else ()
            if first + t < len(maps):
                made = maps[first + t][..., None]
                labels[b, t, ..., 1:] = eval_data.fit_labels(made, *self.sizes)
        steps = np.ones(images.shape[:2], int)
        return (index, first + images.shape[1]), labels, steps


def save_maps(folder, videos):
    for name, maps in videos.items():
        (folder / name).mkdir(parents=True)
        for t, ids in enumerate(maps):
            image = Image.fromarray(ids.astype(np.uint8))
            image.putpalette([*range(256)] * 3)
            image.save(folder / name / f"{t:05d}.png")


def evaluate(root, truth, predict, settings=SETTINGS):
    """What an evaluation reports, and J&F of the same predictions in files.

    The files' are of the videos whose first frame has an object.
    """
    save_maps(root / LABELS, truth)
    for name, maps in truth.items():
        (root / "JPEGImages/480p" / name).mkdir(parents=True)
        for t, ids in enumerate(maps):
            image = Image.fromarray(np.zeros((*ids.shape, 3), np.uint8))
            image.save(root / "JPEGImages/480p" / name / f"{t:05d}.jpg")
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("\n".join(truth))
    config = SourceConfig(name="davis", root=str(root), eval_split="val")
    source = sources.make_source(config, train=False, size=settings.image_size)
    found = {name: predict(maps) for name, maps in truth.items()}
    evaluation = VideoEvaluation(
        Given(source, found, settings),
        cast(VideoSource, source),
        settings,
        clips_at_once=2,
        frames_at_once=2,
        repair=False,
    )
    for _ in evaluation:
        pass
    save_maps(root / "found", found)
    scored = [n for n, maps in truth.items() if perfect(maps[0]).any()]
    return evaluation.report(), davis.evaluate(root / LABELS, root / "found", scored)


@pytest.mark.parametrize(
    "predict",
    [perfect, over_void, object_of_its_own, imperfect],
    ids=lambda f: f.__name__,
)
def test_j_and_f_is_that_of_the_files(tmp_path, predict):
    report, expected = evaluate(tmp_path, TRUTH, predict)
    assert report.without_objects == ()
    assert report.j_and_f == expected  # to the last bit
    score = report.j_and_f["J&F-Mean"]
    assert 0.1 < score < 0.9 if predict is imperfect else score == 1


def test_an_object_beside_void_that_is_found_scores_one(tmp_path):
    """With 255 as a second object, which nobody predicts, it were one half."""
    maps = np.zeros((3, 24, 36), int)
    maps[:, 2:12, 4:20] = 1
    maps[:, 12:20, 4:30] = 255
    report, expected = evaluate(tmp_path, {"v0": maps}, perfect)
    assert report.j_and_f["J&F-Mean"] == expected["J&F-Mean"] == 1
    assert report.j_and_f["per_sequence"]["v0"]["objects"] == 1


def test_a_video_of_void_alone_at_first_is_left_out(tmp_path):
    late = TRUTH["v1"].copy()
    late[0] = np.where(late[0] == 255, 255, 0)
    report, expected = evaluate(tmp_path, {"v0": TRUTH["v0"], "v1": late}, perfect)
    assert report.without_objects == ("v1",)
    assert report.j_and_f == expected
    assert list(expected["per_sequence"]) == ["v0"]


@pytest.mark.parametrize("predict", [perfect, over_void, imperfect])
def test_stq_and_vpq_ignore_void_as_they_do_the_background(tmp_path, predict):
    report, _ = evaluate(tmp_path, TRUTH, predict)
    sequences = [
        (
            name,
            np.where((maps == 0) | (maps == 255), 255_000, maps),
            np.where(predict(maps) == 0, 255_000, predict(maps)),
        )
        for name, maps in TRUTH.items()
    ]
    arguments = {
        "num_classes": 1,
        "things": (0,),
        "ignore_label": 255,
        "label_divisor": 1000,
    }
    assert report.stq["counted"] == stq.evaluate(sequences, **arguments)
    assert report.vpq == vpq.evaluate(sequences, **arguments)
    if predict is not imperfect:
        assert report.stq["counted"]["SQ"] == report.vpq["vpq"] == 1


@pytest.mark.parametrize("mask_size", [(24, 36), (10, 15)])
def test_the_oracle_is_the_truth_through_mask_size(tmp_path, mask_size):
    settings = dataclasses.replace(SETTINGS, mask_size=mask_size)
    report, expected = evaluate(tmp_path, TRUTH, perfect, settings)
    assert report.stq == report.oracle_stq
    assert report.vpq == report.oracle_vpq
    is_whole = mask_size == settings.image_size
    assert (report.oracle_stq["counted"]["STQ"] == 1) == is_whole
    assert report.j_and_f is not None and 0.3 < report.j_and_f["J&F-Mean"] <= 1
    assert (report.j_and_f == expected) == is_whole
