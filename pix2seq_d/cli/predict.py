"""Predicts panoptic masks for an image, a folder of images or a glob; for a video.

  python -m launch.predict --checkpoint=work/shapes --input=photos --output=masks
  python -m launch.predict --checkpoint=work/shapes_video --input=a.mp4 --output=masks

Writes panoptic.json with panoptic/*.png (COCO panoptic) and overlay/*.png. For a video
file, or a folder of frames where the checkpoint is of a video model: panoptic.json with
panoptic/<video>/*.png (VIPSeg), davis/<video>/*.png, and <video>.mp4 to look at; every
object keeps its number through the video.
"""

import dataclasses
import glob
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from jax.sharding import Mesh
from PIL import Image

from pix2seq_d.cli import app
from pix2seq_d.cli.predict_video import VideoJob, predict_video
from pix2seq_d.data.evaluation import image_batches
from pix2seq_d.evaluation.runner import finish
from pix2seq_d.image_files import read_rgb
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.panoptic_files import PanopticWriter
from pix2seq_d.progress import Progress
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.video_files import is_video
from pix2seq_d.visualize.overlay import overlay

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def main(argv: list[str]) -> None:
    """The command `predict`."""
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def number(name: str, default: int | None, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(name, default, doc, flag_values=values, lower_bound=lowest)

    text("checkpoint", "Workdir of launch.train, or one checkpoint in it.")
    text("input", "An image, a folder or quoted glob of images, or a video.")
    text("output", "Folder for the results.")
    number("num_steps", None, "Sampler steps; the checkpoint's by default.", 1)
    number("seed", 0, "Seed of the sampler's noise.", 0)
    number("min_area", None, "Smallest segment, px; the checkpoint's by default.", 0)
    number("batch_size", 8, "Images at once.", 1)
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
    path = Path(values.input)
    paths = [] if is_video(path) else find_images(values.input)
    trained = checkpoint.load(values.checkpoint)
    config = trained.config
    diffusion = config.diffusion
    for name in ("num_steps", "num_steps_next"):
        if values[name].value is not None:
            diffusion = dataclasses.replace(diffusion, **{name: values[name].value})
    config = dataclasses.replace(config, diffusion=diffusion)
    evaluation = config.evaluation
    if values.min_area is not None:
        evaluation = dataclasses.replace(evaluation, min_area=values.min_area)
    if not paths or (path.is_dir() and config.model.num_cond_frames):
        config = dataclasses.replace(config, evaluation=evaluation)
        job = VideoJob(
            dataclasses.replace(trained, config=config),
            path,
            Path(values.output),
            seed=values.seed,
            rate=values.fps,
            suffix=f".{values.video_format}",
        )
        predict_video(job, resume=values.resume)
        return
    if values.resume:
        raise app.UsageError("--resume is for videos; images are predicted anew")
    mesh = meshes.make_mesh()
    batch_size = min(values.batch_size, len(paths))
    evaluation = dataclasses.replace(evaluation, batch_size=batch_size)
    config = dataclasses.replace(config, evaluation=evaluation)
    failed = predict(
        dataclasses.replace(trained, config=config),
        paths,
        Path(values.output),
        mesh=mesh,
        seed=values.seed,
    )
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(paths)} images could not be read, the others are "
            f"done: {'; '.join(failed)}"
        )


def find_images(pattern: str) -> list[Path]:
    """The images that `--input` means, sorted.

    Raises:
      FileNotFoundError: no such file or folder, or no image in it.
    """
    path = Path(pattern)
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES]
        if not found:
            raise FileNotFoundError(
                f"--input={pattern}: no image in this folder ({', '.join(SUFFIXES)})"
            )
        return sorted(found)
    if path.is_file():
        return [path]
    found = [Path(p) for p in sorted(glob.glob(pattern)) if Path(p).is_file()]
    if not found:
        raise FileNotFoundError(
            f"--input={pattern}: no such image, folder or video; give one, or a glob "
            "of images in quotes"
        )
    return found


def predict(
    trained: Trained,
    paths: list[Path],
    output: Path,
    *,
    mesh: Mesh,
    seed: int,
) -> list[str]:
    """Predicts and writes; returns one message per image that cannot be read."""
    config, labels = trained.config, trained.labels
    predictor = Predictor(config, mesh, seed=seed)
    settings = eval_settings(config, mesh)
    images: dict[int, np.ndarray] = {}
    failed: list[str] = []

    def read() -> Iterator[tuple[int, np.ndarray]]:
        for index, path in enumerate(paths):
            try:
                images[index] = read_rgb(path, upright=True)
            except (OSError, ValueError) as error:
                failed.append(str(error))
                continue
            yield index, images[index]

    (output / "overlay").mkdir(parents=True, exist_ok=True)
    progress = Progress("predict", len(paths), unit="image")
    done = 0
    with PanopticWriter(output, labels) as writer:
        for batch in image_batches(
            read(),
            image_size=config.model.image_size,
            batch_size=settings.batch_size,
        ):
            predicted = predictor.labels(
                trained.variables, batch["image"], batch["index"]
            )
            for row, index in enumerate(batch["index"].tolist()):
                if index < 0:
                    continue
                panoptic = finish(
                    predicted[row],
                    labels,
                    settings,
                    unpadded=batch["unpadded"][row].tolist(),
                    original=batch["original"][row].tolist(),
                )
                png = writer.write(
                    panoptic, image_id=index + 1, file_name=paths[index].name
                )
                picture = overlay(images.pop(index), panoptic, labels)
                Image.fromarray(picture).save(output / "overlay" / png.name)
                done += 1
                if done == 1:
                    progress.restart(done)  # what came before was compiling
                progress.update(done)
    print(f"masks:    {output / 'panoptic.json'} ({done} images)")
    print(f"overlays: {output / 'overlay'}")
    return failed
