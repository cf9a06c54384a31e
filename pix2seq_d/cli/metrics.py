r"""Scores predictions against the truth, from files; no model is needed.

PQ of COCO panoptic files, what costs it, and how sure it is:
  python -m launch.metrics --kind=pq --gt=panoptic_val2017.json --pred=pred.json \
      --diagnose --bootstrap=1000 --per_image=images.csv --output=metrics.json
STQ of videos as PNGs <sequence>/<frame>.png, R = class, 256 G + B = instance:
  python -m launch.metrics --kind=stq --gt=panoptic_maps/val --pred=results \
      --classes=kitti_step
VPQ of videos, such PNGs or the JSON and PNGs of VIPSeg or Cityscapes-VPS:
  python -m launch.metrics --kind=vpq --gt=panoptic_gt_VIPSeg_val.json --pred=pred.json
STQ, VPQ of arrays <sequence>.npy or .npz, [T, H, W], class * label_divisor + instance:
  python -m launch.metrics --kind=vpq --gt=truth --pred=results --num_classes=7 \
      --things=4,5,6 --ignore_label=255 --label_divisor=1000
J&F of DAVIS 2017, unsupervised:
  python -m launch.metrics --kind=davis --gt=Annotations_unsupervised/480p \
      --pred=results --sequences=ImageSets/2017/val.txt
mIoU of COCO panoptic files, or of folders of PNGs whose values are classes:
  python -m launch.metrics --kind=miou --gt=gtFine/val --pred=results --num_classes=19 \
      --ignore_label=255

The numbers are those of the official tools; docs/metrics.md says where they differ.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from pix2seq_d.cli import app, metrics_inputs
from pix2seq_d.evaluation import pool
from pix2seq_d.progress import Progress

KINDS: dict[str, Callable[[flags.FlagValues], metrics_inputs.AnyTask]] = {
    "pq": metrics_inputs.panoptic,
    "stq": metrics_inputs.tracking,
    "vpq": metrics_inputs.windows,
    "davis": metrics_inputs.objects,
    "miou": metrics_inputs.semantic,
}


def main(argv: list[str]) -> None:
    """The command `metrics`."""
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    flags.DEFINE_enum("kind", None, list(KINDS), "Metric.", flag_values=values)
    text("gt", "Truth: a JSON, or a folder.")
    text("pred", "Predictions, in the layout of the truth.")
    text("output", "JSON file for all values, as fractions.")
    text(
        "per_image",
        "CSV file with a row for each image (stq, vpq: sequence; davis: object), the "
        "worst first.",
    )
    flags.DEFINE_boolean(
        "allow_missing",
        False,
        "Score absent predictions as void (davis: background; stq, miou: ignore). "
        "With stq take --void_class=left_out, or they also count as one more class "
        "with IoU 0.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_workers",
        os.cpu_count() or 1,
        "Processes; any number gives the same values.",
        lower_bound=1,
        flag_values=values,
    )
    metrics_inputs.define(values)
    assert __doc__
    if not app.parse(values, argv, __doc__, sections=metrics_inputs.SECTIONS):
        return
    app.require(values, "kind", "gt", "pred")
    metrics_inputs.check(values)
    taken = {Path(values.gt).resolve(), Path(values.pred).resolve()}
    for path in (values.output, values.per_image):
        if path:
            _check_output(Path(path), taken)

    task = KINDS[values.kind](values)
    progress = Progress(values.kind, len(task), unit=task.unit)
    found = _shown(pool.scores(task, num_workers=values.num_workers), progress)
    outcome = task.outcome(found)
    written: list[str] = []
    try:  # The files first: the terminal may be gone, or the disk full, but not both.
        if values.output:
            inputs = {"kind": values.kind, "gt": values.gt, "pred": values.pred}
            content = _json(inputs | outcome.result)
            Path(values.output).write_text(content + "\n", encoding="utf-8")
            written.append(f"metrics:   {values.output}")
        if values.per_image:
            _write_csv(Path(values.per_image), outcome.rows)
            unit = outcome_unit(values.kind, task.unit)
            written.append(f"per {unit}: {values.per_image}")
    finally:
        parts = (outcome.note, *outcome.tables, "\n".join(written))
        print("\n\n".join(part for part in parts if part))


def outcome_unit(kind: str, unit: str) -> str:
    """What a row of the CSV is about."""
    return "object" if kind == "davis" else unit


def _shown(found: Iterable[Any], progress: Progress) -> Iterator[Any]:
    for done, score in enumerate(found, start=1):
        progress.update(done)
        yield score


def _check_output(path: Path, taken: set[Path]) -> None:
    """Before the first image is scored, not after the last; adds to `taken`."""
    if path.is_dir():
        raise app.UsageError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise app.UsageError(f"{path.parent}: no such folder; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise app.UsageError(
            f"{path}: cannot be written; change the permissions or name another place"
        )
    if path.resolve() in taken:
        raise app.UsageError(f"{path}: is read or written already; name another file")
    taken.add(path.resolve())


def _json(content: Any) -> str:
    """JSON with an entry on each line, but a list of numbers on one."""
    text = json.dumps(content, indent=2)
    # A line break is never within a text, so these brackets are those of lists.
    return re.sub(
        r'\[\n([^][{}"]*)\]', lambda part: f"[{' '.join(part[1].split())}]", text
    )


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
