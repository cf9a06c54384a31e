"""A split that is converted again: nothing of the old one stays, all else does."""

import dataclasses
import json
import shutil

import pytest
from converter_checks import load, refused

from pix2seq_d.data.converters import any_source
from pix2seq_d.data.converters.output import Report
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.doctor.examine import examine


@dataclasses.dataclass
class Renamed:
    """Shapes under other names; one of them may be broken."""

    count: int
    name: str
    broken: int = -1

    def __post_init__(self):
        self._shapes = Shapes("train", size=(24, 32), num_examples=self.count)
        self.label_space = self._shapes.label_space

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.broken:
            raise ValueError(f"{index}: is broken; mend it")
        name = self.name.format(index)
        return dataclasses.replace(self._shapes[index], file_name=name)


def convert(root, *arguments, split="train"):
    return any_source.convert(Renamed(*arguments), root, split=split, overwrite=True)


def files(root):
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}


def expected(names, split="train"):
    pngs = {f"panoptic_{split}/{name.rpartition('/')[2]}" for name in names}
    return {f"images/{split}/{n}" for n in names} | pngs | {f"panoptic_{split}.json"}


def test_files_of_the_replaced_split_are_removed(tmp_path):
    convert(tmp_path, 3, "a{}.png", split="val")
    others = files(tmp_path)
    convert(tmp_path, 5, "sub/a{}.png")
    mine = {"images/train/notes.txt", "images/train/sub/own.png", "panoptic_train/x"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    report = convert(tmp_path, 2, "sub/a{}.png")
    assert files(tmp_path) == others | mine | expected(["sub/a0.png", "sub/a1.png"])
    load(report)
    report = convert(tmp_path, 2, "b{}.png")
    assert files(tmp_path) == others | mine | expected(["b0.png", "b1.png"])
    load(report)
    unnamed = [
        f for f in examine(tmp_path, num_workers=1).findings if f.kind == "unnamed_file"
    ]
    assert len(unnamed) == len(mine)


def test_a_failure_leaves_the_old_names_to_the_next_try(tmp_path):
    convert(tmp_path, 4, "a{}.png")
    old = files(tmp_path)
    refused(ValueError, "1: is broken; mend", convert, tmp_path, 3, "b{}.png", 1)
    left = old - {"panoptic_train.json"} | {"panoptic_train.json.replaced"}
    assert files(tmp_path) == left | expected(["b0.png"]) - {"panoptic_train.json"}
    convert(tmp_path, 2, "b{}.png")
    assert files(tmp_path) == expected(["b0.png", "b1.png"])


@pytest.mark.parametrize(
    "name",
    ["../../mine.png", "{root}/mine.png", "sub/../b0.png", "link/mine.png", ".."],
)
def test_files_elsewhere_stay(tmp_path, name):
    """Whatever an old JSON names: another folder, through a link, a new file."""
    root, mine = tmp_path / "out", tmp_path / "mine.png"
    convert(root, 1, "a{}.png")
    mine.write_bytes(b"mine")
    shutil.copy(mine, root / "mine.png")
    (root / "images/train/sub").mkdir()
    (root / "images/train/link").symlink_to(tmp_path)
    path = root / "panoptic_train.json"
    content = json.loads(path.read_text())
    for entries in (content["images"], content["annotations"]):
        entries[0]["file_name"] = name.format(root=tmp_path)
    path.write_text(json.dumps(content))
    convert(root, 1, "b{}.png")
    assert mine.read_bytes() == (root / "mine.png").read_bytes() == b"mine"
    assert expected(["a0.png", "b0.png"]) <= files(root)


def test_a_folder_behind_a_link_is_left_alone(tmp_path):
    root = tmp_path / "out"
    convert(root, 1, "a{}.png")
    (root / "images/train").rename(tmp_path / "mine")
    (root / "images/train").symlink_to(tmp_path / "mine")
    convert(root, 1, "b{}.png")
    assert (tmp_path / "mine/a0.png").exists()


def test_a_broken_json_is_replaced_all_the_same(tmp_path):
    convert(tmp_path, 1, "a{}.png")
    (tmp_path / "panoptic_train.json").write_text("{")
    convert(tmp_path, 1, "b{}.png")
    assert files(tmp_path) == expected(["a0.png", "b0.png"])


def test_one_image_is_no_plural(tmp_path):
    report = Report(tmp_path, 1, 1, {})
    assert str(report) == f"{tmp_path}: 1 image, 1 segment"
    assert str(dataclasses.replace(report, images=2, segments=0)).endswith(
        ": 2 images, 0 segments"
    )
