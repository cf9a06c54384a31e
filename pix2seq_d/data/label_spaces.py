"""Label spaces of public datasets, read from the JSON files in label_spaces/."""

import functools
from importlib import resources

from pix2seq_d.image_files import File
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_index import parse_json

NAMES = ("cityscapes", "coco_panoptic", "davis", "kitti_step")


@functools.cache
def read(name: str) -> LabelSpace:
    """The label space of a dataset, with the dataset's own category ids.

    `cityscapes` has the ids of the public label table (7, 8, 11, ...), for these its
    evaluation server reads; `kitti_step` the train ids 0 ... 18 that its PNGs hold.

    Args:
      name: one of `NAMES`.
    Raises:
      ValueError: there is none of that name.
    """
    if name not in NAMES:
        raise ValueError(f"label space {name!r} is unknown; choose one of {NAMES}")
    path = resources.files("pix2seq_d.data") / "label_spaces" / f"{name}.json"
    content = parse_json(File(str(path), path.read_bytes()))
    return LabelSpace.from_json(content["categories"])
