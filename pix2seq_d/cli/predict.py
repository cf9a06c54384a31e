"""Predicts panoptic masks for an image, a folder of images or a glob; for a video.

  python -m launch.predict --checkpoint=work/mine --input=photos --output=masks
  python -m launch.predict --checkpoint=shapes --input=scenes --output=masks
  python -m launch.predict --checkpoint=shapes_video --input=a.mp4 --output=masks

Writes panoptic.json with panoptic/*.png (COCO panoptic) and overlay/*.png, and what
else --formats names. For a video file, or a folder of frames where the checkpoint is of
a video model: panoptic.json with panoptic/<video>/*.png (VIPSeg), davis/<video>/*.png,
and <video>.mp4 to look at; every object keeps its number through the video.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from absl import flags

from pix2seq_d.cli import (
    app,
    compilation_cache,
    predict_denoising,
    predict_inputs,
    sampler_flags,
)
from pix2seq_d.cli.predict_video import VideoJob, predict_video
from pix2seq_d.config.training import INSTANCES
from pix2seq_d.image_files import File, is_animated, read_rgb
from pix2seq_d.progress import Progress
from pix2seq_d.result_files import FOLDERS, FORMATS, ResultWriter
from pix2seq_d.segmenter import Segmenter, Settings, is_exported
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.video_files import is_video

_VIDEO_FLAGS = ("num_steps_next", "resume", "fps", "video_format")


def main(argv: list[str]) -> None:
    """The command `predict`."""
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def number(name: str, default: int | None, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(
            name,
            default,
            doc,
            flag_values=values,
            lower_bound=lowest,
            upper_bound=2**32 - 1,
        )

    text("checkpoint", f"{app.CHECKPOINT}; or any other file of launch.export.")
    text("input", "An image, a folder or quoted glob of images, or a video.")
    text("output", "Folder for the results.")
    number("num_steps", None, "Sampler steps; the checkpoint's by default.", 1)
    sampler_flags.define(values)
    number("seed", 0, "Seed of the sampler's noise.", 0)
    number("min_area", None, "Smallest segment, px; the checkpoint's by default.", 0)
    flags.DEFINE_enum(
        "instances",
        None,
        list(INSTANCES),
        "What a thing is: what has an id, or a connected region of a class. Of images; "
        "the checkpoint's by default.",
        flag_values=values,
    )
    number("batch_size", 8, "Images at once.", 1)
    flags.DEFINE_list(
        "formats",
        ["panoptic", "overlay"],
        f"Of the results of images: some of {', '.join(FORMATS)}.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "denoising",
        None,
        sorted(predict_denoising.SUFFIXES),
        "Of images: also write <output>/denoising/*, the decoded map after every step, "
        "as an animation or a film strip.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "single_images",
        False,
        "With a video model: take a folder as unrelated images, not as frames.",
        flag_values=values,
    )
    number("num_steps_next", None, "Of a video: for every frame but the first.", 1)
    flags.DEFINE_boolean(
        "resume",
        False,
        "Of a video: go on where an earlier run into this output was stopped.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "fps",
        24.0,
        "Frames a second of a folder of frames.",
        flag_values=values,
        lower_bound=0.01,
        upper_bound=1000.0,
    )
    flags.DEFINE_enum(
        "video_format",
        "mp4",
        ["mp4", "webm"],
        "Of the video to look at.",
        flag_values=values,
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint", "input", "output")
    output = Path(values.output)
    path = Path(values.input)
    paths, others = predict_inputs.find(values.input)
    compilation_cache.use()
    if is_exported(values.checkpoint):
        if values.denoising:
            raise app.UsageError(
                f"--denoising: {values.checkpoint} is an exported file, which gives no "
                "steps of the sampler; take the checkpoint"
            )
        segmenter = Segmenter.from_checkpoint(values.checkpoint)
        _predict_images(values, segmenter, paths, others, output)
        return
    trained = checkpoint.load(values.checkpoint)
    # A bad value is refused before anything is written.
    trained.config.replaced(
        diffusion=sampler_flags.given(values),
        evaluation={"instances": values.instances},
    )
    clips = trained.config.model.num_cond_frames and not values.single_images
    # A model of images takes an animation for its first picture.
    animation = path.suffix.lower() == ".gif"
    if (is_video(path) and not (animation and not clips)) or (path.is_dir() and clips):
        _predict_video(values, trained, path, output)
        return
    segmenter = Segmenter(trained, devices=jax.devices())
    _predict_images(values, segmenter, paths, others, output)


def _predict_images(
    values: flags.FlagValues,
    segmenter: Segmenter,
    paths: list[Path],
    others: list[Path],
    output: Path,
) -> None:
    for name in _VIDEO_FLAGS:
        if values[name].present:
            raise app.UsageError(f"--{name} is for videos; leave it out for images")
    settings = Settings(
        num_steps=values.num_steps,
        sampler=values.sampler,
        time_difference=values.time_difference,
        start_time=values.start_time,
        seed=values.seed,
        min_area=values.min_area,
        instances=values.instances,
        batch_size=min(values.batch_size, len(paths)),
    )
    failed = predict(
        segmenter,
        paths,
        output,
        settings,
        formats=values.formats,
        denoising=values.denoising,
    )
    if others:
        names = ", ".join(sorted(p.name for p in others))
        print(f"skipped:     {len(others)} files that are no images: {names}")
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(paths)} images could not be read, the others are "
            f"done: {'; '.join(failed)}"
        )


def _predict_video(
    values: flags.FlagValues, trained: Trained, path: Path, output: Path
) -> None:
    for name in ("instances", "batch_size", "formats", "denoising"):
        if values[name].present:
            raise app.UsageError(f"--{name} is for images; leave it out for videos")
    config = trained.config.replaced(
        diffusion=sampler_flags.given(values)
        | {
            "num_steps": values.num_steps,
            "num_steps_next": values.num_steps_next,
        },
        evaluation={"min_area": values.min_area},
    )
    job = VideoJob(
        dataclasses.replace(trained, config=config),
        path,
        output,
        seed=values.seed,
        rate=values.fps,
        suffix=f".{values.video_format}",
    )
    predict_video(job, resume=values.resume)


def predict(
    segmenter: Segmenter,
    paths: list[Path],
    output: Path,
    settings: Settings,
    *,
    formats: Sequence[str],
    denoising: str | None = None,
) -> list[str]:
    """Predicts and writes; returns one message per image that cannot be read.

    Raises:
      UsageError: an image lies where results are written.
    """
    folders = [name for name in formats if name in ("panoptic", *FOLDERS)]
    folders += [predict_denoising.FOLDER] if denoising else []
    predict_inputs.check_apart(paths, output, folders)
    read: list[int] = []
    failed: list[str] = []
    animated: list[str] = []

    def images() -> Iterator[np.ndarray]:
        for index, path in enumerate(paths):
            try:
                file = File.read(path)
                image = read_rgb(file, upright=True)
            except (OSError, ValueError) as error:
                failed.append(str(error))
                continue
            if is_animated(file):
                animated.append(path.name)
            read.append(index)
            yield image

    names = predict_inputs.names(paths)
    progress = Progress("predict", len(paths), unit="image")
    with ResultWriter(output, segmenter.label_space, formats=formats) as writer:
        found = segmenter.predict_each(images(), **settings)
        for done, result in enumerate(found, start=1):
            index = read[done - 1]
            name = names[index]
            stem = writer.write(result, image_id=index + 1, file_name=name)
            if denoising:
                file = stem + predict_denoising.SUFFIXES[denoising]
                path = output / predict_denoising.FOLDER / file
                predict_denoising.write_denoising(segmenter, result, path, settings)
            if done == 1:
                progress.restart(done)  # what came before was compiling
            progress.update(done)
    for name in formats:
        made = output / (name if name in FOLDERS else f"{name}.json")
        print(f"{name + ':':<13}{made}")
    if denoising:
        print(f"{'denoising:':<13}{output / predict_denoising.FOLDER}")
    if animated:
        print(f"animations:  the first picture was taken of {', '.join(animated)}")
    return failed
