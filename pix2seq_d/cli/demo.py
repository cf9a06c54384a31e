"""Shows the main job in minutes: train, evaluate and predict on drawn scenes.

  python -m launch.demo --workdir=work/demo

Runs launch.train on configs/shapes.py:tiny, launch.evaluate, and launch.predict on
a folder of pictures, then prints what was reached and which pictures to look at.
Run again, it goes on where it stopped.
"""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from pix2seq_d.cli import app, curves, evaluate, predict, train
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation.runner import finish
from pix2seq_d.inference.postprocess import raw_panoptic
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.writer import JSON_LINES
from pix2seq_d.visualize.curves import read_metrics
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet

NUM_PHOTOS = 12
NUM_ROWS = 5
# Columns of the denoising in the picture: the estimate after these shares of steps.
STATE_SHARES = (0.1, 0.4, 0.7)


def main(argv: list[str]) -> None:
    """The command `demo`."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    flags.DEFINE_string(
        "workdir", "work/demo", "Folder for everything it writes.", flag_values=values
    )
    flags.DEFINE_string(
        "config", "shapes:tiny", "Config of `shapes` to train.", flag_values=values
    )
    assert __doc__
    overrides = [a for a in argv if a.startswith("--config.")]
    if not app.parse(values, [a for a in argv if a not in overrides], __doc__):
        return
    workdir = Path(values.workdir)
    if Path(values.config.partition(":")[0]).stem != "shapes":
        raise app.UsageError("--config: the demo draws its own scenes; use shapes:...")
    photos, masks = workdir / "photos", workdir / "masks"
    _command(
        train.main,
        "train",
        [f"--config={values.config}", f"--workdir={workdir}", *overrides],
    )
    trained = checkpoint.load(workdir)
    _command(evaluate.main, "evaluate", [f"--workdir={workdir}"])
    config = trained.config
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    write_photos(source, photos)
    _command(
        predict.main,
        "predict",
        [f"--checkpoint={workdir}", f"--input={photos}", f"--output={masks}"],
    )
    picture = workdir / "demo.png"
    Image.fromarray(denoising_sheet(trained, source)).save(picture)
    curves.draw([workdir], workdir / "curves.png")
    print(f"\n{summary(workdir, trained.step)}\n")
    print(f"look at   {picture}  (image, truth, denoising, prediction)")
    print(f"          {workdir / 'evaluation' / str(trained.step) / 'examples.png'}")
    print(f"          {masks / 'overlay'}")
    print(f"          {workdir / 'curves.png'}")
    print(f"metrics   {workdir / 'evaluation' / str(trained.step) / 'metrics.json'}")


def write_photos(source: Source, folder: Path) -> None:
    """Writes the first validation scenes as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(min(NUM_PHOTOS, len(source))):
        example = source[index]
        Image.fromarray(example.image).save(folder / example.file_name)


def denoising_sheet(trained: Trained, source: Source) -> np.ndarray:
    """Rows of image, truth, estimates while denoising, prediction: uint8 [H, W, 3]."""
    config, labels = trained.config, trained.labels
    mesh = meshes.make_mesh()
    settings = eval_settings(config, mesh)
    predictor = Predictor(config, mesh, seed=config.evaluation.seed)
    examples = [source[index] for index in range(min(NUM_ROWS, len(source)))]
    fitted = [eval_data.fit_image(e.image, settings.image_size) for e in examples]
    states = predictor.denoising(
        trained.variables,
        np.stack([image for image, _ in fitted]),
        np.arange(len(examples)),
    )
    steps = [round(share * len(states)) or 1 for share in STATE_SHARES]

    def at_size(state: np.ndarray, row: int) -> np.ndarray:
        return eval_data.restore(
            state[row],
            image_size=settings.image_size,
            unpadded=fitted[row][1],
            original=examples[row].image.shape[:2],
        )

    rows = []
    for row, example in enumerate(examples):
        prediction = finish(
            states[-1][row],
            labels,
            settings,
            unpadded=fitted[row][1],
            original=example.image.shape[:2],
        )
        shown = [
            raw_panoptic(at_size(states[step - 1], row), labels, rule=settings.rule)
            for step in steps
        ]
        rows.append(
            SheetRow(example.image, example.panoptic, prediction, states=tuple(shown))
        )
    captions = [f"after step {step} of {len(states)}" for step in steps]
    return contact_sheet(rows, labels, state_captions=captions, panel_size=256)


def summary(workdir: Path, step: int) -> str:
    """PQ of the untrained model, the trained one and the oracle, side by side."""
    untrained = next(r for r in read_metrics(workdir / JSON_LINES) if r["step"] == 0)
    path = workdir / "evaluation" / str(step) / "metrics.json"
    trained = json.loads(path.read_text(encoding="utf-8"))
    keys = ("eval/pq", "eval/things_pq", "eval/stuff_pq")
    groups = ("All", "Things", "Stuff")
    rows = {
        "untrained": [untrained[key] for key in keys],
        f"trained, {step} steps": [trained[group]["pq"] for group in groups],
        "oracle": [trained["oracle"][group]["pq"] for group in groups],
    }
    lines = [f"{'PQ, percent':22s}{'all':>6s}{'things':>9s}{'stuff':>8s}"]
    for name, values in rows.items():
        every, things, stuff = (100 * value for value in values)
        lines.append(f"{name:22s}{every:6.1f}{things:9.1f}{stuff:8.1f}")
    return "\n".join(lines)


def _command(
    command: Callable[[list[str]], int | None], name: str, argv: Sequence[str]
) -> None:
    sys.stdout.flush()
    print(
        f"\n$ python -m launch.{name} {shlex.join(argv)}", file=sys.stderr, flush=True
    )
    command(list(argv))
    sys.stdout.flush()
