"""A folder with two splits for the doctor's tests, and a short form of findings."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pix2seq_d.doctor.examine import examine


@pytest.fixture
def two_splits(coco_folder):
    """The tiny folder with a split `train`, too: other pictures, the same labels."""
    root = coco_folder.root
    train = root / "images" / "train"
    shutil.copytree(coco_folder.pngs, root / "panoptic_train")
    train.mkdir()
    for path in coco_folder.images.iterdir():
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_180).save(train / path.name)
    content = json.loads(coco_folder.json_path.read_text())
    for entry in (*content["images"], *content["annotations"]):
        entry["file_name"] = f"t{entry['file_name']}"
    for folder in (train, root / "panoptic_train"):
        for path in list(folder.iterdir()):
            path.rename(folder / f"t{path.name}")
    (root / "panoptic_train.json").write_text(json.dumps(content))
    return coco_folder


@pytest.fixture
def found():
    """Examines a folder: (kind, name of the file, image id) of every finding."""

    def examined(root: Path, **options):
        examination = examine(root, num_workers=1, **options)
        return [
            (f.kind, Path(f.where.partition(": ")[0]).name, f.image_id)
            for f in examination.findings
        ]

    return examined


@pytest.fixture
def facade(shared, tmp_path):
    """A copy of the first 20 images of each split of the real facades."""
    source, root = shared / "data/facade_panoptic_256", tmp_path / "facade"
    for split in ("train", "val"):
        content = json.loads((source / f"panoptic_{split}.json").read_text())
        content["images"] = sorted(content["images"], key=lambda e: e["id"])[:20]
        ids = {entry["id"] for entry in content["images"]}
        content["annotations"] = [
            a for a in content["annotations"] if a["image_id"] in ids
        ]
        for place, entries in (
            (f"images/{split}", content["images"]),
            (f"panoptic_{split}", content["annotations"]),
        ):
            (root / place).mkdir(parents=True)
            for entry in entries:
                name = entry["file_name"]
                shutil.copyfile(source / place / name, root / place / name)
        (root / f"panoptic_{split}.json").write_text(json.dumps(content))
    return root
