r"""Checks a dataset and says what is wrong where; converts labels to COCO panoptic.

  python -m launch.doctor --dataset=DIR
  python -m launch.doctor --dataset=DIR --splits=train2017,val2017 --output=report
  python -m launch.doctor --dataset=DATA_DIR --builder=coco/2017_panoptic
  python -m launch.doctor --dataset=DIR --config=custom:tiny

Decodes every image and label file. Problems, which stop a training or an evaluation,
end in exit status 1; warnings and notes do not. With --output it writes index.html,
findings.json and contact_sheet.png. With --config it says what that config's model
cannot hold; without, what none of configs/custom.py's can.

With --convert_from it first makes one split of a COCO panoptic folder, which training
reads as --config.data.source.name=coco_panoptic, then checks that folder. Run it once
for each split, with the same --categories.

instances: COCO's instance JSON, with polygons or run lengths
  python -m launch.doctor --convert_from=instances --convert_to=OUT --split=train \
      --instances=instances_train.json --images=train
png_pairs: a PNG of classes, and perhaps one of objects, for each image
  python -m launch.doctor --convert_from=png_pairs --convert_to=OUT --split=train \
      --images=train --semantic=classes --instance_maps=objects \
      --categories=categories.json
masks: a PNG for each object, such as street/car_1.png for street.jpg
  python -m launch.doctor --convert_from=masks --convert_to=OUT --split=train \
      --images=train --masks=masks
labelme: a folder of LabelMe's JSON files
  python -m launch.doctor --convert_from=labelme --convert_to=OUT --split=train \
      --dataset=DIR
cvat: an export "Segmentation mask 1.1" of CVAT, as a folder or a zip file
  python -m launch.doctor --convert_from=cvat --convert_to=OUT --split=train \
      --dataset=export.zip
dataset: any dataset that the doctor can check, all its splits or --splits
  python -m launch.doctor --convert_from=dataset --convert_to=OUT --dataset=DIR
"""

import functools
import json
import os
from pathlib import Path

from absl import flags
from PIL import Image

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, doctor_convert
from pix2seq_d.doctor import capacity, page, pictures, report
from pix2seq_d.doctor.examine import Examination, examine
from pix2seq_d.doctor.layouts import LAYOUTS


def main(argv: list[str]) -> int:
    """The command `doctor`; 1 where the report names problems."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)

    def text(name: str, default: str | None, doc: str) -> None:
        flags.DEFINE_string(name, default, doc, flag_values=values)

    def number(name: str, default: int | None, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(name, default, doc, flag_values=values, lower_bound=lowest)

    text("dataset", None, "Folder of the dataset; cvat: or its zip; TFDS: data_dir.")
    text("layout", "auto", f"Layout of its files: {', '.join(LAYOUTS)}.")
    text("builder", None, "Dataset of TFDS, such as coco/2017_panoptic.")
    flags.DEFINE_list(
        "splits", [], "Names of splits; those found by default.", flag_values=values
    )
    text("output", None, "Folder for the report; by default it is only printed.")
    doc = "Number of leading images of each split to decode; all by default."
    number("limit", None, doc, 1)
    number("num_workers", os.cpu_count() or 1, "Threads that decode.", 1)
    doctor_convert.define(values)
    assert __doc__
    sections = {"To convert:": doctor_convert.FLAGS}
    if not app.parse(values, argv, __doc__, sections=sections):
        return 0

    model = None
    if values.config is not None:
        model = capacity.of(config_lib.from_config_dict(values.config))
    look = functools.partial(
        examine,
        model=model,
        limit=values.limit,
        num_workers=values.num_workers,
    )
    if doctor_convert.is_wanted(values):
        examination = look(doctor_convert.convert(values), layout="coco_panoptic")
        print()
    else:
        app.require(values, "dataset")
        examination = look(
            Path(values.dataset),
            layout=values.layout,
            builder=values.builder or "",
            splits=values.splits,
            complete=True,
        )
    print(report.text(examination))
    if values.output:
        write(examination, Path(values.output))
    # The report has said it all: no error line on top.
    return 1 if examination.errors else 0


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
