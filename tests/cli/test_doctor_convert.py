"""The command `doctor` converts labels of every kind, then checks what it made."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.cli import app, doctor
from pix2seq_d.cli.doctor_convert import FLAGS, KINDS
from pix2seq_d.data import arrays
from pix2seq_d.data.coco_panoptic import CocoPanoptic

CAR, ROAD = 1, 2
CATEGORIES = [
    {"id": CAR, "name": "car", "isthing": 1},
    {"id": ROAD, "name": "road", "isthing": 0},
]
SIZE = (6, 8)
COLORS = {CAR: (200, 0, 0), ROAD: (0, 0, 90)}


def cars():
    """Two squares that do not touch, numbered."""
    numbers = np.zeros(SIZE, np.uint8)
    numbers[1:3, 1:3], numbers[4:, 5:] = 1, 2
    return numbers


def outline(rows, cols):
    (y0, y1), (x0, x1) = rows, cols
    return [x0, y0, x1, y0, x1, y1, x0, y1]


POLYGONS = [outline((1, 3), (1, 3)), outline((4, 6), (5, 8))]


class Labels:
    """One labelled image, in the form of each kind: two cars on a road."""

    def __init__(self, root):
        self.root, self.output = root, root / "out"
        rng = np.random.default_rng(0)
        self.image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
        self.save("images/a.png", self.image)
        self.write("categories.json", CATEGORIES)

    def save(self, name, array):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def semantic(self):
        values = np.where(cars() > 0, CAR, ROAD).astype(np.uint8)
        self.save("classes/a.png", values)
        return values

    def flags(self, kind):
        """Writes the labels; the flags that convert them."""
        given = getattr(self, kind)()
        if kind != "dataset":
            given |= {"split": "train"}
        if "categories" in (*KINDS[kind].needs, *KINDS[kind].takes):
            given |= {"categories": self.root / "categories.json"}
        return {"convert_from": kind, "convert_to": self.output} | given

    def instances(self):
        content = {
            "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
            "annotations": [
                {"image_id": 1, "category_id": CAR, "segmentation": [polygon]}
                for polygon in POLYGONS
            ],
            "categories": CATEGORIES[:1],
        }
        self.write("instances.json", content)
        self.semantic()
        return {
            "instances": self.root / "instances.json",
            "images": self.root / "images",
            "semantic": self.root / "classes",
        }

    def png_pairs(self):
        self.semantic()
        self.save("objects/a.png", cars())
        return {
            "images": self.root / "images",
            "semantic": self.root / "classes",
            "instance_maps": self.root / "objects",
        }

    def masks(self):
        for name, mask in (
            ("car_1", cars() == 1),
            ("car_2", cars() == 2),
            ("road", cars() == 0),
        ):
            self.save(f"masks/a/{name}.png", mask.astype(np.uint8) * 255)
        return {"images": self.root / "images", "masks": self.root / "masks"}

    def labelme(self):
        self.save("labelme/a.png", self.image)
        shapes = [("road", outline((0, 6), (0, 8)))]
        shapes += [("car", polygon) for polygon in POLYGONS]
        content = {
            "imagePath": "a.png",
            "shapes": [
                {
                    "label": label,
                    "shape_type": "polygon",
                    "points": np.reshape(polygon, (-1, 2)).tolist(),
                }
                for label, polygon in shapes
            ],
        }
        self.write("labelme/a.json", content)
        return {"dataset": self.root / "labelme"}

    def cvat(self):
        numbers, semantic = cars(), self.semantic()
        rgb = np.array([(0, 0, 0), COLORS[CAR], COLORS[ROAD]], np.uint8)[semantic]
        self.save("cvat/SegmentationClass/a.png", rgb)
        objects = np.stack([numbers * 50] * 3, -1)
        self.save("cvat/SegmentationObject/a.png", objects)
        lines = [f"{n}:{','.join(map(str, COLORS[i]))}::" for n, i in NAMES.items()]
        self.write("cvat/labelmap.txt", "\n".join(["background:0,0,0::", *lines]))
        for subset in ("good", "other"):
            self.write(f"cvat/ImageSets/Segmentation/{subset}.txt", "a\n")
        with zipfile.ZipFile(self.root / "export.zip", "w") as packed:
            for path in (self.root / "cvat").rglob("*.*"):
                packed.write(path, path.relative_to(self.root / "cvat"))
        return {
            "dataset": self.root / "export.zip",
            "images": self.root / "images",
            "subset": "good",
        }

    def dataset(self):
        """An npz of what another kind made."""
        first = self.root / "first"
        assert run(self.flags("png_pairs") | {"convert_to": first}) == 0
        arrays.save(self.root / "npz/train.npz", CocoPanoptic.from_root(first, "train"))
        return {"dataset": self.root / "npz"}


NAMES = {c["name"]: c["id"] for c in CATEGORIES}


def run(given, *more):
    argv = [f"--{name}={value}" for name, value in given.items()]
    return app.run(doctor.main, "doctor", [*argv, "--num_workers=1", *more])


@pytest.fixture
def labels(tmp_path):
    return Labels(tmp_path)


def refused(capsys, given, *more):
    """The one line that says why."""
    capsys.readouterr()
    assert run(given, *more) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = (s for s in printed.err.splitlines() if not s.startswith("convert "))
    assert line.startswith("doctor: error: ")
    return line.removeprefix("doctor: error: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_the_same_set(capsys, labels, kind):
    given = labels.flags(kind)
    capsys.readouterr()
    assert run(given) == 0
    lines = capsys.readouterr().out.splitlines()
    path = labels.output / "panoptic_train.json"
    assert lines[0] == f"{path}: 1 image, 3 segments"
    assert lines[2] == (
        f"{labels.output}: the set is fine to train on: 1 image, 3 segments, 2 "
        "classes (1 thing, 1 stuff); no remarks"
    )
    (example,) = CocoPanoptic.from_root(labels.output, "train")
    np.testing.assert_array_equal(example.image, labels.image)
    ids, numbers = example.panoptic.ids, cars()
    categories = {s.id: s.category_id for s in example.panoptic.segments}
    seen = {n: np.unique(ids[numbers == n]).tolist() for n in range(3)}
    assert [[categories[i] for i in seen[n]] for n in range(3)] == [
        [ROAD],
        [CAR],
        [CAR],
    ]
    assert seen[1] != seen[2]
    assert not any(s.is_crowd for s in example.panoptic.segments)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_and_superfluous_flags_are_named(capsys, labels, kind):
    given = labels.flags(kind)
    for name in ("convert_to", *KINDS[kind].needs):
        line = refused(capsys, {n: v for n, v in given.items() if n != name})
        assert line.startswith(f"--{name} is missing; --convert_from={kind} needs --")
        assert line.count(f"--{name}") == 2
    of_any = {n for k in KINDS.values() for n in (*k.needs, *k.takes)}
    for name in of_any - {*KINDS[kind].needs, *KINDS[kind].takes}:
        value = {"order": "area", "components": "true"}.get(name, "x")
        line = refused(capsys, given | {name: value})
        assert line.startswith(f"--{name} is not for --convert_from={kind}, which take")
        assert all(f"--{n}" in line for n in (*KINDS[kind].needs, *KINDS[kind].takes))
    assert not labels.output.exists()


@pytest.mark.parametrize("name", [n for n in FLAGS if n != "convert_from"])
def test_flags_of_a_conversion_need_its_kind(capsys, tmp_path, name):
    value = {"order": "area", "components": "true", "overwrite": "true"}.get(name, "x")
    line = refused(capsys, {"dataset": tmp_path, name: value})
    assert line.startswith(f"--{name} is for conversions only, which need --convert_fr")
    assert "labelme" in line


def test_a_split_is_replaced_only_on_request(capsys, labels):
    given = labels.flags("masks")
    assert run(given) == 0
    line = refused(capsys, given)
    path = labels.output / "panoptic_train.json"
    assert line.startswith(f"{path}: exists already; pass --overwrite to replace it")
    (labels.root / "masks/a/car_2.png").unlink()
    assert run(given, "--overwrite") == 0
    assert f"{path}: 1 image, 2 segments" in capsys.readouterr().out


def test_other_splits_are_checked_too(capsys, labels):
    given = labels.flags("masks")
    assert run(given) == 0
    assert run(given | {"split": "val"}) == 0
    out = capsys.readouterr().out
    assert "the set is fine to train on: 1 + 1 images" in out
    assert "images that are in two splits" in out
    (labels.output / "images/train/a.png").unlink()
    assert run(given | {"split": "val"}, "--overwrite") == 1
    assert "images that are missing" in capsys.readouterr().out


def test_all_splits_of_a_dataset_or_those_named(capsys, labels):
    given = labels.flags("dataset")
    (labels.root / "npz/val.npz").write_bytes(
        (labels.root / "npz/train.npz").read_bytes()
    )
    assert run(given | {"splits": "val"}) == 0
    assert [p.name for p in labels.output.glob("*.json")] == ["panoptic_val.json"]
    # Named before the first split is written.
    assert "panoptic_val.json: exists already" in refused(capsys, given)
    assert not (labels.output / "panoptic_train.json").exists()
    assert run(given, "--overwrite") == 0
    assert len(CocoPanoptic.from_root(labels.output, "train")) == 1
    line = refused(capsys, given | {"convert_to": labels.root / "b", "layout": "voc"})
    assert line.startswith("--layout=voc: unknown")


def test_options_reach_the_converters(labels):
    given = labels.flags("png_pairs")
    del given["instance_maps"]
    assert run(given, "--components") == 0
    assert len(CocoPanoptic.from_root(labels.output, "train")[0].panoptic.segments) == 3
    # The road is over the cars where the last shape is on top.
    given = labels.flags("labelme")
    path = labels.root / "labelme/a.json"
    content = json.loads(path.read_text())
    content["shapes"].reverse()
    path.write_text(json.dumps(content))
    for order, count in (("given", 1), ("area", 3)):
        assert run(given | {"order": order}, "--overwrite") == 0
        (example,) = CocoPanoptic.from_root(labels.output, "train")
        assert len(example.panoptic.segments) == count


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("instances", "instances.json", "instances.json: is not JSON ("),
        ("png_pairs", "objects/a.png", "objects/a.png: cannot be decoded ("),
        ("masks", "masks/a/car_2.png", "masks/a/car_2.png: cannot be decoded ("),
        ("labelme", "labelme/a.json", "labelme/a.json: is not JSON ("),
        ("cvat", "export.zip", "export.zip: cannot be read as a zip file ("),
        ("dataset", "npz/train.npz", "npz/train.npz: not an npz file, or cut short"),
    ],
)
def test_a_broken_file_is_named_and_nothing_looks_complete(
    capsys, labels, kind, name, message
):
    given = labels.flags(kind)
    truncate(labels.root / name)
    line = refused(capsys, given)
    assert line.startswith(f"{labels.root}/{message}")
    assert not list(labels.output.glob("*.json"))


def test_an_output_that_is_a_file(capsys, labels):
    given = labels.flags("masks") | {"convert_to": labels.root / "categories.json"}
    assert refused(capsys, given).endswith("categories.json: is a file; name a folder")


def test_problems_of_the_output_are_counted(capsys, labels):
    """Without --categories, each split has classes of its own."""
    given = labels.flags("masks")
    del given["categories"]
    assert run(given) == 0
    path = labels.root / "masks/a"
    (path / "road.png").rename(path / "bus.png")
    assert run(given | {"split": "val"}) == 1
    assert "splits with different categories" in capsys.readouterr().out
