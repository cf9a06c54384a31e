"""The page of an evaluation: what is read and written for it."""

import datetime
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import jax

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli.evaluate_records import made_of
from pix2seq_d.cli.evaluate_video import frames_of
from pix2seq_d.data.source import Source, VideoSource
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.image_files import File
from pix2seq_d.models import parameter_count
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import parse_json, read_index
from pix2seq_d.report import ladder, page
from pix2seq_d.report.chosen import choose
from pix2seq_d.report.frame import image_frame, video_frame
from pix2seq_d.report.ladder import Rung
from pix2seq_d.report.provenance import Run
from pix2seq_d.report.viewer import View
from pix2seq_d.scored_settings import same_settings
from pix2seq_d.training.checkpoint import Trained

FILE = "report.html"
_IMAGES = 3  # worst, median and best each
_IMAGE_SIDE, _FRAME_SIDE = 1024, 512  # long side at most, pixels
_MAX_FRAMES = 24  # of a clip, evenly spaced
_LADDER = "--ladder=1,2,5,10,20"


def write(
    report: Report | VideoReport,
    trained: Trained,
    source: Source,
    output: Path,
    *,
    command: str,
    overrides: Sequence[str] = (),
) -> Path:
    """Writes report.html beside the results of an evaluation; one process calls it.

    Args:
      report: of the evaluation.
      trained: the checkpoint, with the config that it was evaluated with.
      source: what it was evaluated on.
      output: folder of the results; predictions are read from it, and ladder.json
        where it is there.
      command: that was called.
      overrides: what it changed in the config.
    Returns:
      Path of the page.
    Raises:
      ValueError: a file in the folder is damaged.
      OSError: the page cannot be written.
    """
    path = output / FILE
    if isinstance(report, VideoReport):
        run = _run(trained, _videos(report), command)
        views = _video_views(report, cast(VideoSource, source), output)
        text = page.video_page(report, run, views)
    else:
        run = _run(trained, f"{report.num_images:,} images", command)
        steps = output / ladder.FILE
        place = [f"--workdir={trained.workdir}", f"--step={trained.step}"]
        if trained.workdir.is_file():
            place = [f"--checkpoint={trained.workdir}"]
        measure = [
            *("python", "-m", "launch.evaluate", *place),
            *(f"--output={output}", *overrides, _LADDER),
        ]
        text = page.image_page(
            report,
            source.label_space,
            run,
            _image_views(report, source, output),
            rungs=_rungs(steps, report, trained) if steps.exists() else (),
            ladder_command=shlex.join(measure),
        )
    replace_text(path, text)
    return path


def _rungs(path: Path, report: Report, trained: Trained) -> tuple[Rung, ...]:
    """The ladder of the same weights, images and settings; () where it is another."""
    diffusion = trained.config.diffusion
    rungs = ladder.read(path, time_difference=diffusion.time_difference)
    content = parse_json(File.read(path))
    made = made_of(trained)
    expected = made | {"images": report.num_images}
    found = {name: content.get(name) for name in expected}
    # The ladder's own: its rows say them.
    varied = ("num_steps", "num_steps_next", "time_difference")
    if isinstance(found["sampler"], dict):  # a ladder of before does not say
        found["sampler"] |= {name: made["sampler"][name] for name in varied}
    return rungs if same_settings(found, expected) else ()


def _run(trained: Trained, evaluated: str, command: str) -> Run:
    devices = jax.devices()
    return Run(
        config=trained.config,
        checkpoint=str(trained.workdir),
        step=trained.step,
        num_parameters=parameter_count(trained.variables["params"]),
        evaluated=evaluated,
        command=command,
        devices=f"{len(devices)} x {devices[0].device_kind}",
        time=datetime.datetime.now(datetime.UTC),
    )


def _videos(report: VideoReport) -> str:
    frames = f"{report.num_videos:,} videos with {report.num_frames:,} frames"
    if report.max_frames is not None:
        frames += f" (the first {report.max_frames} of each)"
    return frames


def _image_views(report: Report, source: Source, output: Path) -> list[View]:
    index = read_index(output / "panoptic.json")
    views = []
    for kind, numbers in choose(report.images, each=_IMAGES).items():
        for number in numbers:
            example = source[number]
            frame = image_frame(
                example.image,
                example.panoptic,
                read_map(index, output / "panoptic", example.image_id),
                source.label_space,
                longest=_IMAGE_SIDE,
            )
            score = f"PQ {100 * report.images[number]:.1f}"
            views.append(View(kind, example.file_name, score, [frame]))
    return views


def _video_views(report: VideoReport, source: VideoSource, output: Path) -> list[View]:
    per_video = report.stq[report.void_class]["per_sequence"]
    scores = {name: entry["STQ"] or 0.0 for name, entry in per_video.items()}
    views = []
    for kind, names in choose(scores, each=1).items():
        for name in names:
            count = per_video[name]["frames"]
            shown = min(count, _MAX_FRAMES)
            numbers = {k * count // shown for k in range(shown)}
            frames = [
                video_frame(
                    example.image,
                    example.panoptic,
                    prediction,
                    source.label_space,
                    longest=_FRAME_SIDE,
                    number=number,
                )
                for number, example, prediction in frames_of(
                    source, output, name, numbers
                )
            ]
            views.append(View(kind, name, f"STQ {100 * scores[name]:.1f}", frames))
    return views
