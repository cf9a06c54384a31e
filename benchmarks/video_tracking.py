"""Does conditioning on past masks track? Beside simpler ways, and fewer steps.

  python benchmarks/video_tracking.py --videos=work/shapes_video --images=work/shapes \
      [--noisy=work/shapes_video_noisy] [--limit=960] [--output=shapes_video.md]

Evaluates on the validation videos of the first checkpoint, all rows on the same frames:

  * the video model, each mask conditioned on the two before;
  * an image model, whose segments get the ids of the frame before by IoU and class;
  * the video model's first mask, copied to all frames;
  * the video model with other fixed numbers of steps, and with adaptive ones;
  * a second video model, trained with errors in its past masks.

Prints Markdown. STQ is given both ways: with void that is predicted as one more class,
as deeplab2's code has it, and without.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from absl import flags

from pix2seq_d.cli import app, compilation_cache
from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.data.source import VideoSource
from pix2seq_d.evaluation import iou_tracking, text_table
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.inference.video_predictor import BoundVideoPredictor, VideoPredictor
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.evaluate import leading_videos, video_evaluation

_FRAMES = 10_000  # more than any video has; sets their noise apart


class LinkedImages:
    """An image model, and ids by IoU with the frame before."""

    def __init__(self, trained: Trained, *, max_instances: int, seed: int) -> None:
        self._predictor = Predictor(trained.config, meshes.make_mesh(), seed=seed)
        self._trained, self._max_instances = trained, max_instances

    def start(self, index: np.ndarray) -> Any:
        """See `video_runner.VideoPredictor`."""
        linked = [iou_tracking.Linked.start(self._max_instances) for _ in index]
        return index, 0, linked

    def __call__(
        self, state: Any, images: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """See `video_runner.VideoPredictor`."""
        index, frame, linked = state
        videos, count = images.shape[:2]
        numbers = np.maximum(index, 0)[:, None] * _FRAMES + frame + np.arange(count)
        flat = self._predictor.labels(
            self._trained.variables,
            images.reshape(-1, *images.shape[2:]),
            numbers.reshape(-1).astype(np.int32),
        )
        found = flat.reshape(videos, count, *flat.shape[1:]).copy()
        for b in range(videos):
            for t in range(count):
                linked[b] = iou_tracking.link(
                    linked[b], found[b, t], is_thing=self._trained.labels.is_thing
                )
                found[b, t] = linked[b].labels
        steps = self._trained.config.diffusion.num_steps
        return (
            (index, frame + count, linked),
            found,
            np.full((videos, count), steps),
        )


class CopiedFirst:
    """The first mask of a video model, copied to all frames."""

    def __init__(self, predictor: BoundVideoPredictor) -> None:
        self._predictor = predictor

    def start(self, index: np.ndarray) -> Any:
        """See `video_runner.VideoPredictor`."""
        return self._predictor.start(index), None

    def __call__(
        self, state: Any, images: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """See `video_runner.VideoPredictor`."""
        memory, first = state
        steps = np.zeros(images.shape[:2], np.int32)
        if first is None:
            memory, labels, taken = self._predictor(memory, images)
            first, steps[:, 0] = labels[:, :1], taken[:, 0]
        return (memory, first), np.repeat(first, images.shape[1], axis=1), steps


def main(argv: list[str]) -> None:
    """Prints the tables."""
    values = app.new_flags()
    for name, doc in (
        ("videos", "Workdir of a video model."),
        ("images", "Workdir of an image model of the same classes."),
        ("noisy", "Workdir of a second video model."),
        ("output", "Markdown file to write."),
    ):
        flags.DEFINE_string(name, None, doc, flag_values=values)
    flags.DEFINE_integer(
        "limit", 960, "Frames: the leading videos that hold them.", flag_values=values
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "videos", "images")
    compilation_cache.use()
    video = checkpoint.load(values.videos)
    image = checkpoint.load(values.images)
    config = video.config
    source = cast(
        VideoSource,
        sources.make_source(
            config.data.source, train=False, size=config.model.image_size
        ),
    )

    def scored(name: str, predictor: Any, config: Config = config) -> list[str]:
        start = time.monotonic()
        positions = range(leading_videos(source, values.limit))
        evaluation = video_evaluation(
            predictor, meshes.make_mesh(), source, config, positions=positions
        )
        for _ in evaluation:
            pass
        row = _row(name, evaluation.report())
        print(" | ".join(row), f"({time.monotonic() - start:.0f} s)", file=sys.stderr)
        return row

    def conditioned(trained: Trained, **diffusion: Any) -> Any:
        changed = dataclasses.replace(config.diffusion, **diffusion)
        made = VideoPredictor(
            dataclasses.replace(config, diffusion=changed),
            meshes.make_mesh(),
            seed=config.evaluation.seed,
        )
        return made.of(trained.variables)

    d = config.diffusion
    usual = f"{d.num_steps} and {d.num_steps_next} steps"
    linked = LinkedImages(
        image,
        max_instances=config.model.max_instances,
        seed=config.evaluation.seed,
    )
    ways = [scored(f"past masks, {usual}", conditioned(video))]
    ways.append(scored(f"image model, ids by IoU, {d.num_steps} steps", linked))
    ways.append(scored("first mask copied", CopiedFirst(conditioned(video))))
    if values.noisy:
        noisy = checkpoint.load(values.noisy)
        ways.append(
            scored(f"past masks, trained with errors, {usual}", conditioned(noisy))
        )
    steps = [
        scored(f"{d.num_steps} and {n}, fixed", conditioned(video, num_steps_next=n))
        for n in (1, 2, 4, 10)
    ]
    for stop, new in ((0.002, 0.0), (0.01, 0.0), (0.01, 0.2)):
        name = f"at most {d.num_steps}; stop below {stop:g}"
        options = dict(num_steps_next=d.num_steps, stop_changed=stop)
        if new:
            name = f"{d.num_steps} if {new:g} is new, else 4; stop below {stop:g}"
            options = dict(num_steps_next=4, stop_changed=stop, new_share=new)
        steps.append(scored(name, conditioned(video, **options)))
    head = ("", *_COLUMNS)
    text = "\n\n".join(
        (
            text_table.markdown(head, ways),
            text_table.markdown(("steps", *_COLUMNS), steps),
            f"{jax.device_count()} x {jax.devices()[0].device_kind}, "
            f"{len(source.videos)} videos, frames: {values.limit}.",
        )
    )
    print(text)
    if values.output:
        Path(values.output).write_text(text + "\n", encoding="utf-8")


_COLUMNS = (
    *("STQ", "AQ", "SQ", "STQ, void no class", "VPQ"),
    *("id switches in 100 frames", "steps a frame"),
)


def _row(name: str, report: VideoReport) -> list[str]:
    stq, left_out = report.stq["counted"], report.stq["left_out"]
    shown = (stq["STQ"], stq["AQ"], stq["SQ"], left_out["STQ"], report.vpq["vpq"])
    return [
        name,
        *(text_table.percent(value) for value in shown),
        f"{report.id_switches['switches_per_100_frames']:.1f}",
        f"{report.mean_steps:.2f}",
    ]


if __name__ == "__main__":
    sys.exit(app.run(main, "video_tracking"))
