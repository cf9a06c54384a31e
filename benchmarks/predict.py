"""How long from an image file to saved masks, not of the network alone?

  python benchmarks/predict.py --checkpoint=work/shapes [--steps=1,5,10,20] \
      [--output=predict.json]
  python benchmarks/predict.py --config=coco_panoptic:high_res

Drawn scenes are saved as JPEG files, and each is read, segmented and saved again, warm
and one at a time, for each number of steps. Prints the median milliseconds of the whole
and of its parts. Then the command itself, `launch.predict`, in a process of its own:
with an empty compilation cache, with a filled one, and with 16 images. --config takes
random weights, whose masks have more segments than trained ones, and has no command.

Parts: read (file to pixels), fit (into the network's size), network (encoder, sampler,
bits to labels), vote (back to the image's size, vote, segments), panoptic (PNG and
JSON), overlay (picture with names and legend, PNG).
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from PIL import Image
from speed import command, report, workloads

from pix2seq_d import Segmenter
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.data.evaluation import fit_image
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation import text_table
from pix2seq_d.image_files import read_rgb
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.checkpoint import Trained

PARTS = ("read", "fit", "network", "vote", "panoptic", "overlay")
_MANY = 16


def main(argv: list[str]) -> None:
    """Prints the tables."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string("checkpoint", None, "Of an image model.", flag_values=values)
    flags.DEFINE_list("steps", ["1", "5", "10", "20"], "Steps.", flag_values=values)
    flags.DEFINE_list("size", ["480", "640"], "H,W of the images.", flag_values=values)
    flags.DEFINE_integer(
        "repeats", 12, "Images per row.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    report.check_output(values.output)
    size, steps = command.counts(values, "size"), command.counts(values, "steps")
    if len(size) != 2:
        raise app.UsageError(f"--size={','.join(values.size)}: take height,width")
    segmenter = _segmenter(values)
    height, width = size
    with tempfile.TemporaryDirectory() as folder:
        scenes = Shapes("val", size=(height, width), num_examples=_MANY)
        paths = []
        for k in range(_MANY):
            paths.append(Path(folder) / "images" / f"{k:02d}.jpg")
            paths[-1].parent.mkdir(exist_ok=True)
            Image.fromarray(scenes[k].image).save(paths[-1], quality=92)
        print(f"{segmenter!r}, jax {jax.__version__}")
        print(f"images {height} x {width}, one at a time, warm, milliseconds\n")
        output = Path(folder) / "out"
        rows = [
            {"steps": n} | _row(segmenter, paths, output, n, values.repeats)
            for n in steps
        ]
        print(table(rows))
        found = {"benchmark": "predict", "size": size, "rows": rows}
        if values.checkpoint:
            print("\nthe command, seconds")
            commands = _commands(values.checkpoint, paths, Path(folder))
            for name, seconds in commands.items():
                print(f"  {name:<38}{seconds:6.1f}")
            found["commands_s"] = commands
    report.write(values.output, found)


def _segmenter(values: flags.FlagValues) -> Segmenter:
    """Of the checkpoint, or of a config with random weights.

    Raises:
      UsageError: none of the flags is given, or both.
    """
    if bool(values.checkpoint) == bool(values["config"].value):
        raise app.UsageError("give --checkpoint, or --config for random weights")
    if values.checkpoint:
        return Segmenter.from_checkpoint(values.checkpoint)
    config, _ = dry_run.settle(config_lib.from_config_dict(values.config))
    classes = range(1, config.model.num_classes)
    labels = LabelSpace(
        tuple(Category(k, f"class {k}", True, (k, 255 - k, 128)) for k in classes)
    )
    variables = workloads.random_variables(config)
    return Segmenter(Trained(variables, config, labels, step=0, workdir=Path()))


def _row(
    segmenter: Segmenter,
    paths: Sequence[Path],
    output: Path,
    steps: int,
    repeats: int,
) -> dict[str, float]:
    """Median milliseconds of an image, the whole and its parts."""
    network = _network(segmenter, steps)
    times = [
        _one(segmenter, network, paths[k % _MANY], output, steps)
        for k in range(repeats + 1)
    ][1:]  # the first one compiles
    return {
        name: 1000 * statistics.median(t[name] for t in times)
        for name in ("whole", *PARTS)
    }


def table(rows: Sequence[Mapping[str, float]]) -> str:
    """Markdown: a row for each number of steps."""
    cells = [
        [str(row["steps"]), *(f"{row[name]:.1f}" for name in ("whole", *PARTS))]
        for row in rows
    ]
    return text_table.markdown(("steps", "whole", *PARTS), cells)


def _one(
    segmenter: Segmenter,
    network: Callable[[np.ndarray], Any],
    path: Path,
    output: Path,
    steps: int,
) -> dict[str, float]:
    """Seconds of one image, the whole and its parts."""

    def whole() -> None:
        segmenter.predict(path, num_steps=steps).save(output, name=path.stem)

    times = {"whole": _timed(whole)[0]}
    times["read"], image = _timed(lambda: read_rgb(path, upright=True))
    size = segmenter.trained.config.model.image_size
    times["fit"], (fitted, _) = _timed(lambda: fit_image(image, size))
    times["network"], _ = _timed(lambda: network(fitted))
    predict, result = _timed(lambda: segmenter.predict(image, num_steps=steps))
    # What is left of `predict`, with the thread that fits.
    times["vote"] = max(predict - times["fit"] - times["network"], 0.0)
    for name in ("panoptic", "overlay"):
        times[name], _ = _timed(
            lambda name=name: result.save(output, name=path.stem, formats=[name])
        )
    return times


def _network(segmenter: Segmenter, steps: int) -> Callable[[np.ndarray], Any]:
    """The compiled function alone, of one fitted image."""
    config = segmenter.trained.config.replaced(diffusion={"num_steps": steps})
    mesh = meshes.make_mesh(jax.local_devices()[:1])
    predictor = Predictor(config, mesh, seed=0)
    zero = np.zeros(1, np.int32)
    return lambda fitted: predictor.labels_and_certainty(
        segmenter.trained.variables, fitted[None], zero, seed=0
    )


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    made = work()
    return time.monotonic() - started, made


def _commands(checkpoint: str, paths: list[Path], folder: Path) -> dict[str, float]:
    """Seconds of whole processes."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "JAX_ENABLE_COMPILATION_CACHE": "1",
    }

    def run(source: Path) -> float:
        command = [sys.executable, "-m", "launch.predict"]
        command += [f"--checkpoint={checkpoint}", f"--input={source}"]
        command += [f"--output={folder / 'masks'}"]
        return _timed(
            lambda: subprocess.run(
                command, env=environment, check=True, capture_output=True
            )
        )[0]

    return {
        "one image, nothing compiled before": run(paths[0]),
        "one image, compiled before": run(paths[0]),
        f"{_MANY} images, nothing compiled before": run(paths[0].parent),
        f"{_MANY} images, compiled before": run(paths[0].parent),
    }


if __name__ == "__main__":
    sys.exit(app.run(main, "predict"))
