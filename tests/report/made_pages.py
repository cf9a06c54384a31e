"""Pages of evaluations made by hand: an image, and clips of a predictor of no worth."""

import datetime

import numpy as np

from pix2seq_d.cli.evaluate_video import scored_map
from pix2seq_d.config import Config, DiffusionConfig
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import summary
from pix2seq_d.evaluation.diagnosis import diagnose
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.evaluation.video_runner import VideoEvaluation
from pix2seq_d.instance_ids import KITTI_STEP
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.report import page
from pix2seq_d.report.frame import image_frame, video_frame
from pix2seq_d.report.provenance import Run
from pix2seq_d.report.viewer import View

SKY, DOOR, TREE, FOX = 7, 3, 9, 70
# Names that break a page which does not escape them.
NAMES = {
    SKY: "sky <b>&amp; \"air\"</b> 'x'",
    DOOR: "door </script><script>alert(1)</script>",
    TREE: "tree {0} ${layer} %s <!--",
    FOX: "never seen",
}
SPACE = LabelSpace(
    tuple(
        Category(i, name, i in (DOOR, TREE, FOX), color)
        for (i, name), color in zip(
            NAMES.items(),
            [(90, 160, 230), (200, 60, 30), (20, 120, 60), (9, 9, 9)],
            strict=True,
        )
    )
)
SIZE = 480, 640  # H, W
LONG_NAME = "a_very_long_file_name_without_any_space_" * 3 + "<i>.png"


def photo(seed=0):
    """Light and noise, as a photo has them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 80
    light = 128 + 60 * np.stack([np.sin(x + y), np.cos(x), np.sin(2 * y)], -1)
    return np.clip(light + rng.normal(0, 6, (*SIZE, 3)), 0, 255).astype(np.uint8)


def maps():
    """Truth and prediction: sky and a door are found, a tree is a door, one is missed.

    In quarters of the picture: the found door in the upper left, the confused tree in
    the lower left, the missed door in the upper right, void in the lower right.
    """
    truth = np.full(SIZE, 1000, np.int32)
    truth[60:180, 60:240] = 2
    truth[300:420, 60:240] = 70000
    truth[60:180, 400:580] = 4
    truth[300:, 400:] = 0
    found = np.full(SIZE, 5, np.int32)
    found[60:180, 60:270] = 6
    found[300:420, 60:240] = 7
    return (
        PanopticMap(
            truth,
            (
                Segment(1000, SKY),
                Segment(2, DOOR),
                Segment(70000, TREE),
                Segment(4, DOOR),
            ),
        ),
        PanopticMap(found, (Segment(5, SKY), Segment(6, DOOR), Segment(7, DOOR))),
    )


def run(**changes):
    fields = {
        "config": Config(diffusion=DiffusionConfig(num_steps=3)),
        "checkpoint": "/models/<b>mine",
        "step": 1234,
        "num_parameters": 94_500_000,
        "evaluated": "1 image",
        "command": "python -m launch.evaluate --workdir='a <b>'",
        "devices": "1 x cpu",
        "time": datetime.datetime(2026, 11, 26, 9, 30, tzinfo=datetime.UTC),
    }
    return Run(**(fields | changes))


def image_report():
    categories = Categories.of(SPACE)
    pq = []
    for found in reversed(maps()):  # the prediction, then the truth itself
        overlap = compare(maps()[0], found, categories)
        errors = diagnose(overlap, overlap.match())
        pq.append(
            (
                errors,
                summary(
                    errors.counts, is_thing=categories.is_thing, ids=categories.ids
                ),
            )
        )
    (errors, found), (_, oracle) = pq
    images = {0: errors.counts.mean_pq()}
    return Report(found, oracle, images, errors.result(categories))


def image_views(count=1):
    truth, found = maps()
    return [
        View(
            kind=("worst", "median", "best")[3 * k // count],
            title=LONG_NAME,
            score="PQ 12.3",
            frames=[image_frame(photo(k), truth, found, SPACE, longest=1024)],
        )
        for k in range(count)
    ]


def image_page(count=1, rungs=()):
    return page.image_page(
        image_report(),
        SPACE,
        run(),
        image_views(count),
        rungs=rungs,
        ladder_command="python -m launch.evaluate --ladder=1,2",
    )


class Squares:
    """Predicts a sky and a disc that walks to the right."""

    def start(self, index):
        return 0

    def __call__(self, first, images):
        shape = images.shape[:2]
        labels = np.zeros((*shape, 16, 16, 2), np.int32)
        labels[..., 0] = 1
        for t in range(shape[1]):
            column = (first + t) % 12
            labels[:, t, 6:10, column : column + 4] = 5, 1
        return first + shape[1], labels, np.ones(shape, np.int32)


def video_page(num_frames=5):
    source = ShapesVideo("val", size=(32, 32), num_videos=2, num_frames=num_frames)
    settings = Settings(
        image_size=(32, 32),
        mask_size=(16, 16),
        max_instances=8,
        batch_size=1,
        min_area=0,
        merge_stuff=True,
        rule=KITTI_STEP,
    )
    evaluation = VideoEvaluation(
        Squares(), source, settings, clips_at_once=1, frames_at_once=num_frames
    )
    frames: dict = {}
    for scored in evaluation:
        made = video_frame(
            scored.example.image,
            scored.example.panoptic,
            scored_map(scored, source.label_space, rule=settings.rule),
            source.label_space,
            longest=512,
            number=4 * scored.frame,
        )
        frames.setdefault(scored.video, []).append(made)
    views = [
        View(kind, name, "STQ 1.2", clip)
        for kind, (name, clip) in zip(("worst", "best"), frames.items(), strict=True)
    ]
    return page.video_page(evaluation.report(), run(), views)
