"""Curves of a training, or of several in one figure, against the training step.

  python -m launch.curves --workdir=work/shapes
  python -m launch.curves --workdir=work/a --workdir=work/b --output=both.png

Draws training loss, PQ (of videos STQ and VPQ), learning rate and gradient norm, of all
that the runs have logged so far, scores of `launch.evaluate --follow` included.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pix2seq_d.cli import app

METRICS = ("metrics.jsonl", "evaluation/metrics.jsonl")  # in a workdir


def main(argv: list[str]) -> None:
    """The command `curves`."""
    values = app.new_flags()
    flags.DEFINE_multi_string(
        "workdir",
        None,
        "Workdir of launch.train; several for several runs.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "The figure, FILE.svg or .png; curves.svg in the first workdir by default.",
        flag_values=values,
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "workdir")
    workdirs = [Path(workdir) for workdir in values.workdir]
    output = Path(values.output) if values.output else workdirs[0] / "curves.svg"
    draw(workdirs, output)
    print(f"figure: {output}")


def draw(workdirs: Sequence[Path], output: Path) -> None:
    """Draws the metrics of workdirs; they are named after their folders.

    Raises:
      FileNotFoundError: a workdir has no metrics, or the figure no folder.
      ValueError: a workdir is given twice, its metrics are damaged or hold nothing to
        draw, or the figure is neither .png nor .svg.
    """
    from pix2seq_d.visualize import curves, diagram

    resolved = [workdir.resolve() for workdir in workdirs]
    for k, workdir in enumerate(resolved):
        if workdir in resolved[:k]:
            raise app.UsageError(f"--workdir={workdirs[k]}: is there twice; drop one")
    names = [workdir.name for workdir in resolved]
    if len(set(names)) < len(names):
        names = [str(workdir) for workdir in workdirs]
    runs = {n: _records(w) for n, w in zip(names, workdirs, strict=True)}
    diagram.check_path(output)
    diagram.save(curves.draw_curves(runs), output)


def _records(workdir: Path) -> list[dict[str, Any]]:
    from pix2seq_d.visualize.curves import read_metrics

    files = [workdir / name for name in METRICS if (workdir / name).is_file()]
    if not files:
        raise FileNotFoundError(
            f"{workdir}: no metrics in it; give the --workdir of a launch.train that "
            "has logged a step"
        )
    return [record for file in files for record in read_metrics(file)]
