"""DAVIS: its folders, palettes, the label 255, and one line for what is broken."""

import pickle

import numpy as np
import pytest
from deep_png import shallow_png
from PIL import Image
from refusal import decode, refused

from pix2seq_d.config import SourceConfig
from pix2seq_d.data import sources
from pix2seq_d.data.davis import Davis
from pix2seq_d.data.source import Video
from pix2seq_d.instance_ids import DAVIS, number
from pix2seq_d.panoptic import Segment

LABELS = "Annotations_unsupervised/480p"


def save_palette(path, ids):
    image = Image.fromarray(ids.astype(np.uint8))
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    with Image.open(path) as stored:
        assert stored.mode == "P"


def save_image(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(path)


def frame(*objects):
    """4 x 6 pixels of background with one column of each object."""
    ids = np.zeros((4, 6), int)
    for column, value in enumerate(objects):
        ids[:, column] = value
    return ids


VIDEOS = {
    "tennis": [frame(1, 2), frame(1, 255), frame(255)],
    "bear": [frame(1), frame()],
    "camel": [frame(2, 1)],
}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "DAVIS"
    for video, maps in VIDEOS.items():
        for position, ids in reversed(list(enumerate(maps))):
            save_image(
                root / f"JPEGImages/480p/{video}/{position:05d}.jpg", 20 * position
            )
            save_palette(root / LABELS / video / f"{position:05d}.png", ids)
    folder = root / "ImageSets/2017"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("tennis\nbear\n")
    (folder / "val.txt").write_text("camel")
    return root


def test_frames_come_in_order_and_videos_are_ranges(root):
    source = Davis.from_root(root, "train")
    assert source.videos == (Video("bear", 0, 2), Video("tennis", 2, 5))
    assert [e.image_id for e in source] == [
        "bear/00000",
        "bear/00001",
        "tennis/00000",
        "tennis/00001",
        "tennis/00002",
    ]
    assert source[1].file_name == "bear/00001.jpg"
    assert [int(e.image.max()) for e in source] == [0, 20, 0, 20, 40]
    assert source.label_space.names() == ("void", "object")
    assert [v.name for v in Davis.from_root(root, "val").videos] == ["camel"]
    every = Davis.from_root(root, "all").videos
    assert [v.name for v in every] == ["bear", "camel", "tennis"]


def test_object_ids_are_the_palette_indices(root):
    source = Davis.from_root(root, "val")
    panoptic = source[0].panoptic
    np.testing.assert_array_equal(panoptic.ids, VIDEOS["camel"][0])
    assert panoptic.ids.dtype == np.int32
    assert panoptic.segments == (
        Segment(1, 1, instance=1),
        Segment(2, 1, instance=2),
    )
    assert Davis.from_root(root, "train")[1].panoptic.segments == ()


def test_label_255_is_one_new_object_through_the_video(root):
    source = Davis.from_root(root, "train")
    for index, expected in ((2, (1, 2)), (3, (1, 3)), (4, (3,))):
        panoptic = source[index].panoptic
        np.testing.assert_array_equal(panoptic.ids, frame(*expected))
        assert [s.instance for s in panoptic.segments] == sorted(expected)
    example = pickle.loads(pickle.dumps(source[4]))
    np.testing.assert_array_equal(example.panoptic.ids, frame(3))


def test_an_evaluation_has_label_255_as_void_and_training_as_an_object(root):
    config = SourceConfig(
        name="davis", root=str(root), train_split="train", eval_split="train"
    )
    training, evaluation = (
        sources.make_source(config, train=train, size=(4, 6)) for train in (True, False)
    )
    assert [s.id for s in training[3].panoptic.segments] == [1, 3]
    for source in (evaluation, Davis.from_root(root, "train", has_void=True)):
        assert source.videos == training.videos
        for index, expected in ((2, (1, 2)), (3, (1, 255)), (4, (255,))):
            panoptic = pickle.loads(pickle.dumps(source[index])).panoptic
            np.testing.assert_array_equal(panoptic.ids, frame(*expected))
            assert panoptic.segments == tuple(
                Segment(i, 1, is_crowd=i == 255, instance=i % 255) for i in expected
            )


def test_channels_are_those_of_the_specification(root):
    """Spec 1.2: semantic 0 everywhere, instance = the object's id."""
    source = Davis.from_root(root, "train")
    frames = [source[i].panoptic for i in (2, 3, 4)]
    made = number(frames, source.label_space, max_instances=16, rule=DAVIS)
    labels = made.labels(np.stack([f.ids for f in frames]))
    assert not labels[..., 0].any()
    expected = [frame(1, 2), frame(1, 3), frame(3)]
    np.testing.assert_array_equal(labels[..., 1], expected)
    assert made.id_range == 3


@pytest.mark.parametrize("resolution", ["Full-Resolution", ""])
@pytest.mark.parametrize("annotations", ["Annotations_unsupervised", "Annotations"])
def test_other_folders(root, resolution, annotations):
    for folder in ("JPEGImages", "Annotations_unsupervised"):
        (root / folder / "480p").rename(root / "moved")
        (root / folder).rmdir()
        name = annotations if folder != "JPEGImages" else folder
        if resolution:
            (root / name).mkdir()
        (root / "moved").rename(root / name / resolution)
    assert len(Davis.from_root(root, "train")) == 5
    assert len(Davis.from_root(root, "all")) == 6


def test_unsupervised_annotations_come_first(root):
    for index, ids in enumerate(VIDEOS["camel"]):
        save_palette(root / f"Annotations/480p/camel/{index:05d}.png", ids * 0)
    assert len(Davis.from_root(root, "val")[0].panoptic.segments) == 2


def test_gray_files_are_read(root):
    path = root / LABELS / "camel/00000.png"
    Image.fromarray(frame(3, 1).astype(np.uint8)).save(path)
    panoptic = Davis.from_root(root, "val")[0].panoptic
    np.testing.assert_array_equal(panoptic.ids, frame(3, 1))
    # Pillow gives 255 and 85 for these.
    path.write_bytes(shallow_png(frame(3, 1), bits=2))
    panoptic = Davis.from_root(root, "val")[0].panoptic
    np.testing.assert_array_equal(panoptic.ids, frame(3, 1))


def test_frames_come_in_the_order_of_their_numbers(root):
    for stem in ("2", "10", "shot.10", "shot.9"):
        save_image(root / f"JPEGImages/480p/bear/{stem}.jpg", 0)
        save_palette(root / LABELS / f"bear/{stem}.png", frame())
    names = [e.image_id for e in Davis.from_root(root, "train")][:6]
    assert names[:4] == ["bear/00000", "bear/00001", "bear/2", "bear/10"]
    assert names[4:] == ["bear/shot.9", "bear/shot.10"]


def test_two_files_of_a_frame_are_refused(root):
    save_image(root / "JPEGImages/480p/bear/00001.png", 0)
    message = r"bear: holds 00001\.jpg and 00001\.png, of which only one"
    with pytest.raises(ValueError, match=message):
        Davis.from_root(root, "train")


def test_the_new_object_of_255_counts_all_label_maps_and_no_other_file(root):
    folder = root / LABELS / "tennis"
    (folder / "00000.png").rename(folder / "00000.PNG")
    (folder / "._00001.png").write_bytes(b"of macOS")
    panoptic = Davis.from_root(root, "train")[4].panoptic
    np.testing.assert_array_equal(panoptic.ids, frame(3))


def test_the_sample(shared):
    source = Davis.from_root(shared / "data/davis_sample", "all")
    assert source.videos == (Video("camel", 0, 60), Video("dogs-jump", 60, 126))
    for index, objects in ((0, [1]), (60, [1, 2, 3])):
        example = source[index]
        assert example.image.shape == (240, 432, 3)
        assert [s.id for s in example.panoptic.segments] == objects
        assert np.unique(example.panoptic.ids).tolist() == [0, *objects]


def test_missing_root_split_and_folders_are_named(root, tmp_path):
    load = Davis.from_root
    refused(ValueError, "root is empty; set it", load, "", "val")
    refused(FileNotFoundError, "none: no such folder", load, tmp_path / "none", "val")
    message = r"no ImageSets/2017/test\.txt; splits found: all, train, val; name one"
    refused(FileNotFoundError, message, load, root, "test")
    (root / "ImageSets/2017/train.txt").write_text("\n")
    refused(ValueError, r"train\.txt: names no sequence; write", load, root, "train")
    line = "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png"
    (root / "ImageSets/2017/train.txt").write_text(line)
    refused(ValueError, r"train\.txt: .* not names of sequences", load, root, "train")
    (root / "JPEGImages").rename(root / "images")
    message = r"no folders JPEGImages/480p/ and Annotations_unsupervised/480p/; put"
    refused(FileNotFoundError, message, load, root, "val")
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / "bare" / folder).mkdir(parents=True)
    message = r"bare/Annotations: holds no folders of videos; put"
    refused(FileNotFoundError, message, load, tmp_path / "bare", "all")


def test_missing_files_are_named_at_once(root):
    load = Davis.from_root
    (root / LABELS / "tennis/00001.png").unlink()
    message = r"480p: lacks the label maps of tennis/00001 \(1 of 5 frames\), which"
    refused(FileNotFoundError, message, load, root, "train")
    (root / "JPEGImages/480p/tennis/00001.jpg").unlink()
    assert len(load(root, "train")) == 4
    (root / "JPEGImages/480p/bear/00000.jpg").unlink()
    message = r"480p: lacks the images of bear/00000 \(1 of 4 frames\), which"
    refused(FileNotFoundError, message, load, root, "train")
    (root / "ImageSets/2017/val.txt").write_text("camel\nlion\n")
    message = r"JPEGImages/480p/lion: holds no images, nor .*480p/lion any label maps;"
    refused(FileNotFoundError, message, load, root, "val")


def test_bad_label_maps_are_named_at_access(root):
    source = Davis.from_root(root, "val")
    path = root / LABELS / "camel/00000.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    message = r"00000\.png: has mode RGB; write object ids as palette indices"
    refused(ValueError, message, decode, source, 0)
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(path)
    refused(ValueError, r"00000\.png: has mode I;16; write", decode, source, 0)
    save_palette(path, frame(1)[:3])
    message = r"00000\.png: has 6x3 pixels, its image .*00000\.jpg 6x4 \(width"
    refused(ValueError, message, decode, source, 0)
