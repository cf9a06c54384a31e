"""Semantic and instance PNGs -> COCO panoptic."""

import numpy as np
import pytest
from converter_checks import (
    assert_same_maps,
    load,
    refused,
    save_image,
    save_json,
    save_labels,
    scenes,
)
from deep_png import shallow_png
from PIL import Image

from pix2seq_d.data.converters import png_pairs
from pix2seq_d.data.shapes import LABEL_SPACE
from pix2seq_d.panoptic import Segment

CATEGORIES = [
    {"id": 3, "name": "sky", "isthing": 0},
    {"id": 7, "name": "car", "isthing": 1},
    {"id": 300, "name": "dog", "isthing": 1},
]


class Folders:
    """One image of 6 x 8 pixels: sky, car (7) and dog (300)."""

    def __init__(self, root):
        self.root = root
        self.categories = save_json(root / "categories.json", CATEGORIES)
        save_image(root / "images" / "a.jpg")
        self.semantic = np.full((6, 8), 3)
        self.semantic[1:3, 1:3] = self.semantic[3:5, 3:5] = 7
        self.semantic[:, 7], self.semantic[5] = 0, 255
        self.instance = np.zeros((6, 8), int)
        self.instance[1:3, 1:3], self.instance[3:5, 3:5] = 256, 65535

    def save(self, dtype=np.uint16):
        save_labels(self.root / "semantic" / "a.png", self.semantic, dtype)
        save_labels(self.root / "instance" / "a.png", self.instance, np.uint16)

    def convert(self, **keywords):
        arguments = {
            "split": "train",
            "categories": self.categories,
            "instance_dir": self.root / "instance",
        } | keywords
        root = self.root
        return png_pairs.convert(
            root / "images", root / "semantic", root / "out", **arguments
        )

    def panoptic(self, **keywords):
        return load(self.convert(overwrite=True, **keywords))[1][0].panoptic


@pytest.fixture
def folders(tmp_path):
    made = Folders(tmp_path)
    made.save()
    return made


def test_round_trip_of_drawn_scenes(tmp_path):
    examples = scenes()
    for example in examples:
        ids = example.panoptic.ids
        semantic = np.zeros(ids.shape, np.uint8)
        for segment in example.panoptic.segments:
            semantic[ids == segment.id] = segment.category_id
        save_image(tmp_path / "in" / example.file_name, ids.shape)
        save_labels(tmp_path / "class" / example.file_name, semantic)
        save_labels(tmp_path / "object" / example.file_name, ids)
    report = png_pairs.convert(
        tmp_path / "in",
        tmp_path / "class",
        tmp_path / "out",
        split="train",
        categories=save_json(tmp_path / "c.json", LABEL_SPACE.to_json()),
        instance_dir=tmp_path / "object",
    )
    assert not report.dropped
    for before, after in zip(examples, load(report)[1], strict=True):
        assert before.file_name == after.file_name
        assert_same_maps(before.panoptic, after.panoptic)


def test_instances_and_classes_over_255_and_65535(folders):
    folders.semantic[1, 1], folders.instance[1, 1] = 300, 256
    folders.save()
    panoptic = folders.panoptic()
    found = {
        (s.category_id, s.is_crowd, int((panoptic.ids == s.id).sum()))
        for s in panoptic.segments
    }
    void = 6 + 8 - 1
    sky = 48 - void - 8
    assert found == {(3, False, sky), (7, False, 3), (7, False, 4), (300, False, 1)}


def test_things_without_number_are_a_crowd(folders):
    folders.instance[3:5, 3:5] = 0
    folders.save()
    panoptic = folders.panoptic()
    crowd = [s for s in panoptic.segments if s.is_crowd]
    assert [s.category_id for s in crowd] == [7]
    assert (panoptic.ids == crowd[0].id).sum() == 4


def test_connected_components(folders):
    folders.semantic[0, 6] = folders.semantic[1, 5] = 7  # they touch at a corner
    folders.save()
    panoptic = folders.panoptic(instance_dir=None, components=True)
    sizes = [
        int((panoptic.ids == s.id).sum())
        for s in panoptic.segments
        if s.category_id == 7
    ]
    assert sorted(sizes) == [2, 8]  # the squares touch at a corner too
    refused(ValueError, "exclude each other", folders.convert, components=True)
    message = r"categories\.json: car, dog are things, but there are no instance PNGs"
    refused(ValueError, message, folders.convert, instance_dir=None)


def test_stuff_alone_palettes_and_void_values_that_are_categories(folders):
    entries = [{"id": i, "name": f"class{i}", "isthing": 0} for i in (0, 3, 7, 255)]
    categories = save_json(folders.root / "c.json", {"categories": entries})
    image = Image.fromarray(folders.semantic.astype(np.uint8)).convert("P")
    image.putpalette(bytes(range(256)) * 3)
    image.save(folders.root / "semantic" / "a.png")
    panoptic = folders.panoptic(categories=categories, instance_dir=None)
    assert [s.category_id for s in panoptic.segments] == [0, 3, 7, 255]
    assert panoptic.segments[0] == Segment(1, 0)
    assert (panoptic.ids > 0).all()


@pytest.mark.parametrize(("depth", "palette"), [(1, 0), (2, 0), (4, 0), (2, 1)])
def test_png_of_few_bits(folders, depth, palette):
    """Pillow spreads their gray values over 0..255; indices it leaves."""
    values = np.arange(48).reshape(6, 8) % (1 << depth)
    file = shallow_png(values, bits=depth, palette=bool(palette))
    (folders.root / "semantic" / "a.png").write_bytes(file)
    entries = [{"id": i, "name": str(i), "isthing": 0} for i in range(1, 16)]
    categories = save_json(folders.root / "c.json", entries)
    panoptic = folders.panoptic(categories=categories, instance_dir=None)
    table = {0: 0} | {s.id: s.category_id for s in panoptic.segments}
    np.testing.assert_array_equal(np.vectorize(table.get)(panoptic.ids), values)


def test_images_without_map_are_skipped_and_subfolders_kept(folders):
    save_image(folders.root / "images" / "sub" / "a.png")
    report = folders.convert()
    assert report.dropped == {"images without a semantic PNG": 1}
    for kind in ("semantic", "instance"):
        target = folders.root / kind / "sub" / "a.png"
        target.parent.mkdir()
        target.write_bytes((folders.root / kind / "a.png").read_bytes())
    _, examples = load(folders.convert(overwrite=True))
    assert [e.file_name for e in examples] == ["a.jpg", "sub/a.png"]


def test_bad_values_and_sizes_are_named(folders):
    folders.semantic[0, :3] = [8, 9, 11]
    folders.save()
    message = r"a\.png: values 8, 9, 11 are no category ids \(0 and 255 are void\); add"
    refused(ValueError, message, folders.convert)
    folders.semantic[0] = 3
    folders.semantic = folders.semantic[:, :7]
    folders.save()
    message = r"semantic/a\.png: is for 7x6 pixels, its image .*a\.jpg has 8x6"
    refused(ValueError, message, folders.convert)
    folders.semantic, folders.instance = np.full((6, 8), 3), folders.instance[:5]
    folders.save()
    refused(ValueError, r"instance/a\.png: is for 8x5 pixels", folders.convert)
    assert not (folders.root / "out" / "panoptic_train.json").exists()


def test_bad_png_are_named(folders):
    path = folders.root / "semantic" / "a.png"
    data = path.read_bytes()
    path.write_bytes(data[:45])
    refused(ValueError, r"a\.png: cannot be decoded \(.*; copy or", folders.convert)
    path.write_bytes(b"")
    refused(ValueError, r"a\.png: is empty; copy", folders.convert)
    save_image(path)
    refused(ValueError, r"a\.png: has mode RGB; export labels as", folders.convert)
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(path, format="JPEG")
    refused(ValueError, r"a\.png: is a JPEG file, which may alter", folders.convert)


def test_missing_files_are_named(folders):
    root = folders.root
    (root / "instance" / "a.png").rename(root / "instance" / "b.png")
    refused(FileNotFoundError, r"instance: lacks a\.png", folders.convert)
    save_labels(root / "semantic" / "c.png", folders.semantic)
    message = r"images: has no image for c\.png of .*semantic \(1 of 2\); add"
    refused(FileNotFoundError, message, folders.convert)
    save_image(root / "images" / "a.png")
    refused(ValueError, r"a\.jpg and a\.png differ in their suffix", folders.convert)
    refused(
        FileNotFoundError, "no such file", folders.convert, categories=root / "no.json"
    )
    for name in ("a.jpg", "a.png"):
        (root / "images" / name).unlink()
    refused(ValueError, "images: holds no image; check", folders.convert)
    (root / "images").rmdir()
    refused(FileNotFoundError, "images: no such folder; check", folders.convert)
    for name in ("a.png", "c.png"):
        (root / "semantic" / name).unlink()
    refused(ValueError, "semantic: holds no PNG; give", folders.convert)
