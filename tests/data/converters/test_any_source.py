"""Any source -> COCO panoptic."""

import dataclasses

import numpy as np
import pytest
from converter_checks import assert_same_maps, load, refused

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.converters import any_source
from pix2seq_d.data.davis import Davis
from pix2seq_d.data.shapes import LABEL_SPACE, Shapes
from pix2seq_d.panoptic import PanopticMap, Segment


@dataclasses.dataclass
class Listed:
    examples: list
    label_space = LABEL_SPACE

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]


def test_decoded_examples_become_png(tmp_path):
    source = Shapes("train", size=(24, 32), num_examples=3)
    report = any_source.convert(source, tmp_path, split="train")
    assert not report.dropped
    converted, examples = load(report)
    assert converted.label_space == source.label_space
    for before, after in zip(source, examples, strict=True):
        assert (before.image_id, before.file_name) == (after.image_id, after.file_name)
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.panoptic.ids, after.panoptic.ids)
        assert_same_maps(before.panoptic, after.panoptic)


def test_encoded_images_are_copied_and_crowds_kept(coco_folder, tmp_path):
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    report = any_source.convert(source, tmp_path / "out", split="val")
    converted, examples = load(report, "val")
    assert converted.label_space == source.label_space
    for before, after in zip(source, examples, strict=True):
        assert before.image_file.data == after.image_file.data
        np.testing.assert_array_equal(before.panoptic.ids, after.panoptic.ids)
        assert before.panoptic.segments == after.panoptic.segments
        assert any(s.is_crowd for s in after.panoptic.segments)


def test_a_dataset_is_not_written_into_itself(coco_folder):
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    before = coco_folder.json_path.read_bytes()
    for overwrite in (False, True):
        refused(
            ValueError,
            "would be written into the input",
            any_source.convert,
            source,
            coco_folder.root,
            split="val",
            overwrite=overwrite,
        )
    assert coco_folder.json_path.read_bytes() == before
    assert any_source.convert(source, coco_folder.root, split="other").images == 3


def test_segments_without_pixels_are_counted(tmp_path):
    example = Shapes("train", size=(24, 32))[0]
    ids = np.zeros((24, 32), np.int32)
    ids[2:5, 3:9] = 70_000
    panoptic = PanopticMap(ids, (Segment(3, 1), Segment(70_000, 5, True)))
    example = dataclasses.replace(example, panoptic=panoptic, file_name="a/b.jpg")
    other = dataclasses.replace(example, image_id=9, file_name="a/B.png")
    report = any_source.convert(Listed([example, other]), tmp_path, split="train")
    assert report.dropped == {"segments without a pixel": 2}
    assert str(report).endswith("left out: 2 segments without a pixel")
    _, examples = load(report)
    assert [e.file_name for e in examples] == ["a/b.png", "a/B-2.png"]
    assert examples[0].panoptic.segments == (Segment(70_000, 5, True),)


def test_videos_keep_their_folders(shared, tmp_path):
    source = Davis(
        shared / "data/davis_sample/JPEGImages",
        shared / "data/davis_sample/Annotations",
        ["camel"],
    )
    few = Listed([source[k] for k in range(3)])
    few.label_space = source.label_space
    _, examples = load(any_source.convert(few, tmp_path, split="val"), "val")
    for before, after in zip(few, examples, strict=True):
        assert after.file_name == before.file_name
        assert after.file_name.startswith("camel/")
        assert_same_maps(before.panoptic, after.panoptic)


def test_empty_and_broken_sources_are_named(coco_folder, tmp_path):
    refused(
        ValueError,
        "the source is empty",
        any_source.convert,
        Listed([]),
        "x",
        split="t",
    )
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    png = coco_folder.pngs / "20.png"
    png.write_bytes(png.read_bytes()[:50])
    refused(
        ValueError,
        r"20\.png: cannot be decoded",
        any_source.convert,
        source,
        tmp_path / "out",
        split="val",
    )
    assert not (tmp_path / "out" / "panoptic_val.json").exists()
    example = Shapes("train", size=(24, 32))[0]
    for name, message in (("../a.png", "outside of its folder"), ("b.png", "no segm")):
        bad = dataclasses.replace(
            example, file_name=name, panoptic=PanopticMap(example.panoptic.ids, ())
        )
        refused(
            ValueError,
            message,
            any_source.convert,
            Listed([bad]),
            tmp_path / "bad",
            split="t",
        )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_complete_split_is_replaced_only_on_request(tmp_path, overwrite):
    source = Shapes("train", size=(24, 32), num_examples=1)
    any_source.convert(source, tmp_path, split="train")
    if overwrite:
        any_source.convert(source, tmp_path, split="train", overwrite=True)
    else:
        message = "exists already; give another output or split, or overwrite it"
        refused(
            FileExistsError,
            message,
            any_source.convert,
            source,
            tmp_path,
            split="train",
        )
