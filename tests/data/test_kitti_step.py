"""KITTI-STEP: its folders and zip, exact ids, crowds, void, and what is broken."""

import pickle
import zipfile

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image
from refusal import decode, refused

from pix2seq_d.data.kitti_step import DIVISOR, KittiStep
from pix2seq_d.data.source import Video
from pix2seq_d.instance_ids import KITTI_STEP, number
from pix2seq_d.panoptic import Segment, ids_to_rgb, rgb_to_ids

ROAD, PERSON, CAR, VOID = 0, 11, 13, 255


def label_map():
    """Class and instance of 4 x 6 pixels, as in the files."""
    kind, instance = np.full((4, 6), ROAD), np.zeros((4, 6), int)
    kind[0, :3], instance[0, :3] = CAR, [1, 300, 65535]
    kind[1, :3], instance[1, :3] = PERSON, [0, 0, 1]
    kind[2, :2], instance[2, :2] = VOID, [0, 7]
    return kind, instance


def save_label(path, kind, instance):
    rgb = np.stack([kind, instance // 256, instance % 256], -1).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


def save_image(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """Sequences 0002 and 0006 of val, 0000 of train; frames written backwards."""
    root = tmp_path / "kitti"
    frames = {"val": {"0006": [1, 0], "0002": [2, 1, 0]}, "train": {"0000": [0]}}
    for split, sequences in frames.items():
        for sequence, numbers in sequences.items():
            for position in numbers:
                name = f"{sequence}/{position:06d}.png"
                save_image(root / "training/image_02" / name, 10 * position)
                save_label(root / "panoptic_maps" / split / name, *label_map())
    return root


def test_frames_come_in_order_and_videos_are_ranges(root):
    source = KittiStep.from_root(root, "val")
    assert len(source) == 5
    assert source.videos == (Video("0002", 0, 3), Video("0006", 3, 5))
    assert [e.image_id for e in source] == [
        "0002/000000",
        "0002/000001",
        "0002/000002",
        "0006/000000",
        "0006/000001",
    ]
    assert source[4].file_name == "0006/000001.png"
    assert [int(e.image.max()) for e in source] == [0, 10, 20, 0, 10]
    assert source[-1].image_id == "0006/000001"
    with pytest.raises(IndexError):
        source[5]
    assert len(KittiStep.from_root(root, "train")) == 1


def test_ids_segments_crowd_and_void_are_exact(root):
    panoptic = KittiStep.from_root(root, "val")[0].panoptic
    kind, instance = label_map()
    expected = np.where(kind == VOID, 0, (kind + 1) * DIVISOR + instance)
    np.testing.assert_array_equal(panoptic.ids, expected)
    assert panoptic.ids.dtype == np.int32
    assert panoptic.segments == (
        Segment(DIVISOR, ROAD, False, 0),
        Segment(12 * DIVISOR, PERSON, True, 0),
        Segment(12 * DIVISOR + 1, PERSON, False, 1),
        Segment(14 * DIVISOR + 1, CAR, False, 1),
        Segment(14 * DIVISOR + 300, CAR, False, 300),
        Segment(14 * DIVISOR + 65535, CAR, False, 65535),
    )
    # The largest possible id survives a COCO panoptic PNG.
    largest = np.array([19 * DIVISOR + 65535])
    assert rgb_to_ids(ids_to_rgb(largest)) == largest


def test_stuff_is_one_segment_whatever_its_instance(root):
    kind, instance = np.full((4, 6), ROAD), np.zeros((4, 6), int)
    instance[0] = 5
    path = root / "panoptic_maps/val/0002/000000.png"
    save_label(path, kind, instance)
    panoptic = KittiStep.from_root(root, "val")[0].panoptic
    assert panoptic.segments == (Segment(DIVISOR, ROAD, False, 0),)


def test_channels_are_those_of_the_specification(root):
    """Spec 1.2: class + 1; track numbers of things; 0 for stuff, crowd and void."""
    source = KittiStep.from_root(root, "val")
    frames = [source[i].panoptic for i in range(3)]
    made = number(frames, source.label_space, max_instances=70000, rule=KITTI_STEP)
    kind, instance = label_map()
    is_void = kind == VOID
    for labels in made.labels(np.stack([f.ids for f in frames])):
        np.testing.assert_array_equal(labels[..., 0], np.where(is_void, 0, kind + 1))
        np.testing.assert_array_equal(labels[..., 1], np.where(is_void, 0, instance))
    assert made.id_range == 65535
    assert made.num_dropped == 0


def test_sorted_images_beside_the_maps_are_read_too(root):
    (root / "images").mkdir()
    (root / "training/image_02").rename(root / "images/val")
    assert len(KittiStep.from_root(root, "val")) == 5


def test_the_archive_of_maps_as_unpacked_and_the_zip_of_images(root):
    with zipfile.ZipFile(root / "data_tracking_image_2.zip", "w") as packed:
        for path in (root / "training").rglob("*.png"):
            packed.write(path, path.relative_to(root))
    (root / "training").rename(root / "unpacked")
    (root / "kitti-step").mkdir()
    (root / "panoptic_maps").rename(root / "kitti-step/panoptic_maps")
    source = KittiStep.from_root(root, "val")
    assert [int(e.image.max()) for e in source] == [0, 10, 20, 0, 10]


def test_examples_can_be_pickled(root):
    example = KittiStep.from_root(root, "val")[0]
    copy = pickle.loads(pickle.dumps(example))
    np.testing.assert_array_equal(copy.panoptic.ids, example.panoptic.ids)


def test_missing_root_split_and_folders_are_named(root, tmp_path):
    load = KittiStep.from_root
    refused(ValueError, "root is empty; set it", load, "", "val")
    refused(ValueError, "split is empty; name one", load, root, "")
    refused(FileNotFoundError, "none: no such folder", load, tmp_path / "none", "val")
    message = r"no panoptic_maps/test/; splits found: train, val; name one"
    refused(FileNotFoundError, message, load, root, "test")
    (root / "training").rename(root / "pictures")
    message = (
        r"no folder images/val/, training/image_02/, .*nor data_tracking_image_2\.zip"
    )
    refused(FileNotFoundError, message, load, root, "val")
    (tmp_path / "bare").mkdir()
    message = r"no panoptic_maps/val/, nor any other split; give a folder in KITTI-STEP"
    refused(FileNotFoundError, message, load, tmp_path / "bare", "val")
    (tmp_path / "bare/panoptic_maps/val").mkdir(parents=True)
    (tmp_path / "bare/training/image_02").mkdir(parents=True)
    message = r"panoptic_maps/val: holds no folders of sequences"
    refused(FileNotFoundError, message, load, tmp_path / "bare", "val")


def test_missing_files_are_named_at_once(root):
    load = KittiStep.from_root
    image = root / "training/image_02/0002/000001.png"
    image.rename(root / "image.png")
    message = r"image_02: lacks the images of 0002/000001 \(1 of 5 frames\)"
    refused(FileNotFoundError, message, load, root, "val")
    (root / "image.png").rename(image)
    (root / "panoptic_maps/val/0006/000000.png").unlink()
    message = r"val: lacks the label maps of 0006/000000 \(1 of 5 frames\), which .*02"
    refused(FileNotFoundError, message, load, root, "val")
    (root / "panoptic_maps/val/0009").mkdir()
    message = r"image_02/0009: holds no images, nor .*val/0009 any label maps"
    refused(FileNotFoundError, message, load, root, "val")


def test_bad_label_maps_are_named_at_access(root):
    source = KittiStep.from_root(root, "val")
    folder = root / "panoptic_maps/val/0002"
    kind, instance = label_map()
    Image.fromarray(kind.astype(np.uint16)).save(folder / "000000.png")
    message = r"0002/000000\.png: has mode I;16; write 8-bit RGB, R = class"
    refused(ValueError, message, decode, source, 0)
    path = root / "panoptic_maps/val/0002/000000.png"
    path.write_bytes(deep_png(np.zeros((4, 6, 3))))
    message = r"000000\.png: has 16 bits per channel; write 8-bit RGB, R = class"
    refused(ValueError, message, decode, source, 0)
    save_label(folder / "000001.png", np.where(kind == VOID, 19, kind), instance)
    message = r"000001\.png: holds classes 19 \(red\), not 0\.\.18 or 255 \(void\);"
    refused(ValueError, message, decode, source, 1)
    save_label(folder / "000002.png", kind[:, :5], instance[:, :5])
    message = r"000002\.png: has 5x4 pixels, its image .*000002\.png 6x4 \(width"
    refused(ValueError, message, decode, source, 2)
    path = root / "panoptic_maps/val/0006/000000.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, format="JPEG")
    refused(ValueError, "is a JPEG file, which may alter", decode, source, 3)
    path.write_bytes(b"")
    refused(ValueError, "is empty; copy", decode, source, 3)
