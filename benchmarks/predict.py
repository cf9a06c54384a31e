"""How long from an image file to saved masks, not of the network alone?

  python benchmarks/predict.py --checkpoint=work/shapes [--steps=1,5,10,20]

Drawn scenes are saved as JPEG files, and each is read, segmented and saved again, warm
and one at a time, for each number of steps. Prints the median milliseconds of the whole
and of its parts. Then the command itself, `launch.predict`, in a process of its own:
with an empty compilation cache, with a filled one, and with 16 images.

Parts: read (file to pixels), fit (into the network's size), network (encoder, sampler,
bits to labels), vote (back to the image's size, vote, segments), panoptic (PNG and
JSON), overlay (picture with names and legend, PNG).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from PIL import Image

from pix2seq_d import Segmenter
from pix2seq_d.cli import app
from pix2seq_d.data.evaluation import fit_image
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.image_files import read_rgb
from pix2seq_d.inference.predictor import Predictor
from pix2seq_d.sharding import mesh as meshes

PARTS = ("read", "fit", "network", "vote", "panoptic", "overlay")
_MANY = 16


def main(argv: list[str]) -> None:
    """Prints the tables."""
    values = app.new_flags()
    flags.DEFINE_string("checkpoint", None, "Of an image model.", flag_values=values)
    flags.DEFINE_list("steps", ["1", "5", "10", "20"], "Steps.", flag_values=values)
    flags.DEFINE_list("size", ["480", "640"], "H,W of the images.", flag_values=values)
    flags.DEFINE_integer("repeats", 12, "Images per row.", flag_values=values)
    flags.DEFINE_string("output", None, "Also as JSON here.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint")
    height, width = map(int, values.size)
    with tempfile.TemporaryDirectory() as folder:
        scenes = Shapes("val", size=(height, width), num_examples=_MANY)
        paths = []
        for k in range(_MANY):
            paths.append(Path(folder) / "images" / f"{k:02d}.jpg")
            paths[-1].parent.mkdir(exist_ok=True)
            Image.fromarray(scenes[k].image).save(paths[-1], quality=92)
        segmenter = Segmenter.from_checkpoint(values.checkpoint)
        print(f"{segmenter!r}, jax {jax.__version__}")
        print(f"images {height} x {width}, one at a time, warm, milliseconds\n")
        print("| steps | whole | " + " | ".join(PARTS) + " |")
        print("|--:" * (len(PARTS) + 2) + "|")
        rows = []
        for steps in map(int, values.steps):
            network = _network(segmenter, steps)
            times = [
                _one(segmenter, network, paths[k % _MANY], Path(folder) / "out", steps)
                for k in range(values.repeats + 1)
            ][1:]  # the first one compiles
            row = {
                name: 1000 * statistics.median(t[name] for t in times)
                for name in ("whole", *PARTS)
            }
            rows.append({"steps": steps} | row)
            print(f"| {steps} | " + " | ".join(f"{v:.1f}" for v in row.values()) + " |")
        print("\nthe command, seconds")
        commands = _commands(values.checkpoint, paths, Path(folder))
        for name, seconds in commands.items():
            print(f"  {name:<38}{seconds:6.1f}")
        if values.output:
            found = {"size": [height, width], "rows": rows, "commands_s": commands}
            Path(values.output).write_text(json.dumps(found, indent=2) + "\n")


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
