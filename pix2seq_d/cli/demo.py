"""Shows the main job in minutes: evaluate, predict and train on drawn scenes.

  python -m launch.demo --workdir=work/demo

First the shipped model, in two minutes: launch.evaluate, launch.draw and
launch.predict with --checkpoint=shapes. Then a fresh one: launch.train on
configs/shapes.py:tiny, launch.evaluate and launch.predict. Ends with demo.html, the
scores and pictures of both. Run again, it goes on where it stopped.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from pix2seq_d import html_page
from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import (
    app,
    curves,
    draw,
    evaluate,
    evaluate_report,
    predict,
    train,
)
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data import sources
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation.runner import finish
from pix2seq_d.inference.postprocess import raw_panoptic
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.panoptic_files import read_map
from pix2seq_d.panoptic_index import read_index
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.writer import JSON_LINES
from pix2seq_d.visualize.curves import read_metrics
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet

SHIPPED = "shapes"
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
    overrides, own = app.split_overrides(argv)
    if not app.parse(values, own, __doc__):
        return
    workdir = Path(values.workdir)
    if Path(values.config.partition(":")[0]).stem != "shapes":
        raise app.UsageError("--config: the demo draws its own scenes; use shapes:...")
    photos, masks = workdir / "photos", workdir / "masks"
    shipped = workdir / "shipped"

    def predict_with(checkpoint: Path | str, output: Path) -> None:
        argv = [f"--checkpoint={checkpoint}", f"--input={photos}", f"--output={output}"]
        _command(predict.main, "predict", argv)

    _command(draw.main, "draw", [f"--output={photos}", f"--count={NUM_PHOTOS}"])
    argv = [f"--checkpoint={SHIPPED}", f"--output={shipped / 'evaluation'}"]
    _command(evaluate.main, "evaluate", [*argv, "--report"])
    predict_with(SHIPPED, shipped / "masks")
    _command(
        train.main,
        "train",
        [f"--config={values.config}", f"--workdir={workdir}", *overrides],
    )
    trained = checkpoint.load(workdir)
    evaluation = workdir / "evaluation" / str(trained.step)
    _command(evaluate.main, "evaluate", [f"--workdir={workdir}", "--report"])
    predict_with(workdir, masks)
    config = trained.config
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    picture, page = workdir / "demo.png", workdir / "demo.html"
    sheet = denoising_sheet(trained, source, shipped / "evaluation")
    Image.fromarray(sheet).save(picture)
    curves.draw([workdir], workdir / "curves.png")
    table = summary(workdir, trained.step, shipped / "evaluation")
    reports = {"the shipped model": shipped / "evaluation", "the fresh one": evaluation}
    replace_text(page, _page(page, table, sheet, reports))
    print(f"\n{table}\n")
    print(f"look at   {page}  (both models: scores, pictures, links)")
    print(f"          {picture}  (image, truth, both models, denoising)")
    print(f"          {shipped / 'masks' / 'overlay'} and {masks / 'overlay'}")
    print(f"          {workdir / 'curves.png'}")
    print(f"metrics   {shipped / 'evaluation' / 'metrics.json'}")
    print(f"          {evaluation / 'metrics.json'}")


def denoising_sheet(trained: Trained, source: Source, shipped: Path) -> np.ndarray:
    """Rows of image, truth, shipped model, denoising, prediction: uint8 [H, W, 3].

    Args:
      trained: the fresh model.
      source: the validation scenes.
      shipped: results of the shipped model on them.
    """
    index = read_index(shipped / "panoptic.json")
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
        before = read_map(index, shipped / "panoptic", example.image_id)
        maps = (before, *shown)
        rows.append(SheetRow(example.image, example.panoptic, prediction, states=maps))
    captions = [f"after step {step} of {len(states)}" for step in steps]
    captions = ["Shipped model", *captions]
    return contact_sheet(rows, labels, state_captions=captions, panel_size=256)


def summary(workdir: Path, step: int, shipped: Path) -> str:
    """PQ of the untrained model, the trained one, the shipped one and their oracles.

    Args:
      workdir: of the demo.
      step: of the trained model.
      shipped: results of the shipped model.
    """
    untrained = next(r for r in read_metrics(workdir / JSON_LINES) if r["step"] == 0)
    trained, ready = (
        json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        for folder in (workdir / "evaluation" / str(step), shipped)
    )
    keys = ("eval/pq", "eval/things_pq", "eval/stuff_pq")
    groups = ("All", "Things", "Stuff")
    rows = [("untrained", [untrained[key] for key in keys])]
    for name, found in (
        (f"trained, {step} steps", trained),
        (f"shipped, {ready['step']} steps", ready),
    ):
        rows.append((name, [found[group]["pq"] for group in groups]))
        rows.append(("  oracle", [found["oracle"][group]["pq"] for group in groups]))
    lines = [f"{'PQ, percent':22s}{'all':>6s}{'things':>9s}{'stuff':>8s}"]
    for name, values in rows:
        every, things, stuff = (100 * value for value in values)
        lines.append(f"{name:22s}{every:6.1f}{things:9.1f}{stuff:8.1f}")
    return "\n".join(lines)


def _page(
    path: Path, table: str, sheet: np.ndarray, reports: Mapping[str, Path]
) -> str:
    """The report of both models: HTML whose links are relative to its folder."""
    links = []
    for name, folder in reports.items():
        file = os.path.relpath(folder / evaluate_report.FILE, path.parent)
        links.append(f'<li><a href="{escape(file)}">Evaluation of {name}</a></li>')
    picture = html_page.png_url(sheet)
    return html_page.document(
        title="pix2seq_d demo",
        body=[
            "<h1>A shipped model and a fresh one</h1>",
            f"<pre>{escape(table)}</pre>",
            f"<ul>{''.join(links)}</ul>",
            '<img style="max-width:100%" alt="Image, truth, shipped model, denoising '
            f'and prediction of scenes" src="{picture}">',
        ],
    )


def _command(
    command: Callable[[list[str]], int | None], name: str, argv: Sequence[str]
) -> None:
    sys.stdout.flush()
    print(
        f"\n$ python -m launch.{name} {shlex.join(argv)}", file=sys.stderr, flush=True
    )
    command(list(argv))
    sys.stdout.flush()
