"""Checks a dataset and says what is wrong where.

  python -m launch.doctor --dataset=DIR
  python -m launch.doctor --dataset=DIR --splits=train2017,val2017 --output=report

Decodes every image and label file. Problems, which stop a training or an evaluation,
end in exit status 1; warnings and notes do not. With --output it writes index.html,
findings.json and contact_sheet.png.
"""

import json
import os
import sys
from pathlib import Path

from absl import flags
from PIL import Image

from pix2seq_d.cli import app
from pix2seq_d.doctor import page, pictures, report
from pix2seq_d.doctor.examine import Examination, examine
from pix2seq_d.doctor.layouts import LAYOUTS


def main(argv: list[str]) -> None:
    """The command `doctor`; SystemExit(1) where the report names problems."""
    values = app.new_flags()
    flags.DEFINE_string("dataset", None, "Folder of the dataset.", flag_values=values)
    flags.DEFINE_string(
        "layout",
        "auto",
        f"Layout of its files: {', '.join(LAYOUTS)}.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "splits", [], "Names of splits; those found by default.", flag_values=values
    )
    flags.DEFINE_integer(
        "max_instances",
        256,
        "Instance ids of the model, as model.max_instances.",
        flag_values=values,
        lower_bound=2,
    )
    flags.DEFINE_string(
        "output",
        None,
        "Folder for the report; by default it is only printed.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "limit",
        None,
        "Number of leading images of each split to decode; all by default.",
        flag_values=values,
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "num_workers",
        os.cpu_count() or 1,
        "Threads that decode.",
        flag_values=values,
        lower_bound=1,
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "dataset")

    examination = examine(
        Path(values.dataset),
        layout=values.layout,
        splits=values.splits,
        max_instances=values.max_instances,
        limit=values.limit,
        num_workers=values.num_workers,
    )
    print(report.text(examination))
    if values.output:
        write(examination, Path(values.output))
    if examination.errors:
        # The report has said it all: no error line on top.
        sys.exit(1)


def write(examination: Examination, output: Path) -> None:
    """Writes index.html, findings.json and contact_sheet.png."""
    output.mkdir(parents=True, exist_ok=True)
    drawn = pictures.draw(examination)
    sheet = output / "contact_sheet.png"
    sheet.unlink(missing_ok=True)
    if drawn:
        Image.fromarray(pictures.contact_sheet(drawn)).save(sheet)
    content = json.dumps(report.to_json(examination), indent=2)
    (output / "findings.json").write_text(content + "\n", encoding="utf-8")
    (output / "index.html").write_text(page.html(examination, drawn), encoding="utf-8")
    print(f"\npage:     {output / 'index.html'}")
    print(f"findings: {output / 'findings.json'}")
    if drawn:
        print(f"pictures: {sheet}")
