"""TFDS datasets, prepared here with real files; a slow import, so one file."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusal import decode, refused

from pix2seq_d.data import label_spaces, tfds_source
from pix2seq_d.data.source import Video
from pix2seq_d.data.tfds_source import (
    TfdsPanoptic,
    TfdsVideo,
    find_splits,
    open_tfds,
)
from pix2seq_d.doctor.examine import examine
from pix2seq_d.instance_ids import DAVIS, number
from pix2seq_d.panoptic import Segment, ids_to_rgb

tfds = pytest.importorskip("tensorflow_datasets")

COCO_NAMES = [c.name for c in label_spaces.read("coco_panoptic").categories]
SKY, PERSON = COCO_NAMES.index("sky-other-merged"), 0


def encoded(array, kind="png"):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def panoptic_ids(k):
    ids = np.full((4, 6), 70000 + k, np.int32)
    ids[1, :3], ids[2, :3], ids[:, 5] = 300, 5, 0
    return ids


def panoptic_records():
    box = tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
    for k in range(3):
        yield (
            f"{k:012d}.jpg",
            {
                "image": encoded(np.full((4, 6, 3), 20 * k, np.uint8), "jpeg"),
                "image/filename": f"{k:012d}.jpg",
                "image/id": k,
                "panoptic_image": encoded(ids_to_rgb(panoptic_ids(k))),
                "panoptic_image/filename": f"{k:012d}.png",
                "panoptic_objects": [
                    {"id": i, "area": 1, "bbox": box, "label": c, "is_crowd": crowd}
                    for i, c, crowd in (
                        (70000 + k, COCO_NAMES[SKY], False),
                        (300, "person", False),
                        (5, "person", True),
                    )
                ],
            },
        )


VIDEOS = {"swing": [(1,), (1, 2), (2,)], "bear": [(1,)], "tennis": [(1,), (255,)]}


def video_ids(objects):
    ids = np.zeros((4, 6), np.uint8)
    for column, value in enumerate(objects):
        ids[:, column] = value
    return ids


def video_records():
    for name, frames in VIDEOS.items():
        images = [np.full((4, 6, 3), 20 * k, np.uint8) for k in range(len(frames))]
        yield (
            name,
            {
                "video": {
                    "frames": [encoded(image, "jpeg") for image in images],
                    "segmentations": [video_ids(f)[..., None] for f in frames],
                },
                "metadata": {"num_frames": len(frames), "video_name": name},
            },
        )


def coco_features(names):
    """The features of coco/2017_panoptic."""
    return {
        "image": tfds.features.Image(encoding_format="jpeg"),
        "image/filename": tfds.features.Text(),
        "image/id": np.int64,
        "panoptic_image": tfds.features.Image(encoding_format="png"),
        "panoptic_image/filename": tfds.features.Text(),
        "panoptic_objects": tfds.features.Sequence(
            {
                "id": np.int64,
                "area": np.int64,
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=names),
                "is_crowd": np.bool_,
            }
        ),
    }


def davis_features():
    """The features of davis/480p."""
    return {
        "video": tfds.features.Sequence(
            {
                "frames": tfds.features.Image(shape=(None, None, 3)),
                "segmentations": tfds.features.Image(
                    shape=(None, None, 1), use_colormap=True
                ),
            }
        ),
        "metadata": {"num_frames": np.int64, "video_name": np.str_},
    }


def prepare(class_name, features, records, data_dir, file_format="array_record"):
    def info(self):
        made = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=made)

    body = {
        "VERSION": tfds.core.Version("1.0.0"),
        "__module__": __name__,
        "_info": info,
        "_split_generators": lambda self, dl_manager: {"train": records()},
        "_generate_examples": lambda self: None,
    }
    with tfds.core.registered.skip_registration():
        kind = type(class_name, (tfds.core.GeneratorBasedBuilder,), body)
    builder = kind(data_dir=str(data_dir), file_format=file_format)
    builder.download_and_prepare()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    prepare("TinyCoco", coco_features(COCO_NAMES), panoptic_records, path)
    prepare("TinyDavis", davis_features(), video_records, path)
    prepare("OldDavis", davis_features(), video_records, path, "tfrecord")
    classes = ["person", COCO_NAMES[SKY]]
    prepare("TwoClasses", coco_features(classes), panoptic_records, path)
    numbers = {"image": tfds.features.Image(), "label": np.int64}
    image = np.zeros((4, 6, 3), np.uint8)
    prepare("Numbers", numbers, lambda: [(0, {"image": image, "label": 3})], path)
    return str(path)


def test_panoptic_images_have_official_categories(data_dir):
    source = open_tfds("tiny_coco", "train", data_dir)
    assert isinstance(source, TfdsPanoptic)
    assert len(source) == 3
    assert source.label_space == label_spaces.read("coco_panoptic")
    assert sorted(e.image_id for e in source) == [0, 1, 2]
    for example in source:
        k = example.image_id
        assert example.file_name == f"{k:012d}.jpg"
        assert int(example.image.max()) == 20 * k
        np.testing.assert_array_equal(example.panoptic.ids, panoptic_ids(k))
        assert example.panoptic.segments == (
            Segment(70000 + k, 187),
            Segment(300, 1),
            Segment(5, 1, True),
        )
    assert source[-1].image_id == source[2].image_id
    with pytest.raises(IndexError):
        source[3]
    copy = pickle.loads(pickle.dumps(source[0]))
    np.testing.assert_array_equal(copy.panoptic.ids, source[0].panoptic.ids)
    assert len(open_tfds("tiny_coco", "train[:2]", data_dir)) == 2


def test_frames_of_videos_come_in_order(data_dir):
    source = open_tfds("tiny_davis", "train", data_dir)
    assert isinstance(source, TfdsVideo)
    assert source.videos == (
        Video("bear", 0, 1),
        Video("swing", 1, 4),
        Video("tennis", 4, 6),
    )
    assert [e.image_id for e in source][:3] == [
        "bear/00000",
        "swing/00000",
        "swing/00001",
    ]
    assert source[3].file_name == "swing/00002.jpg"
    assert [int(e.image.max()) for e in source] == [0, 0, 20, 40, 0, 20]
    for index, objects in ((2, (1, 2)), (3, (2,)), (5, (2,))):
        panoptic = pickle.loads(pickle.dumps(source[index])).panoptic
        np.testing.assert_array_equal(panoptic.ids, video_ids(objects))
        assert panoptic.segments == tuple(Segment(i, 1, instance=i) for i in objects)
    void = open_tfds("tiny_davis", "train", data_dir, has_void=True)[5].panoptic
    np.testing.assert_array_equal(void.ids, video_ids((255,)))
    assert void.segments == (Segment(255, 1, is_crowd=True, instance=0),)
    frames = [source[i].panoptic for i in (1, 2, 3)]
    made = number(frames, source.label_space, max_instances=16, rule=DAVIS)
    labels = made.labels(np.stack([f.ids for f in frames]))
    assert not labels[..., 0].any()
    expected = [video_ids(objects) for objects in VIDEOS["swing"]]
    np.testing.assert_array_equal(labels[..., 1], expected)


class Counted:
    """Records that count how often one is read."""

    def __init__(self, count):
        self.count, self.reads = count, 0

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        self.reads += 1
        video = {"frames": [b"jpeg"] * 3, "segmentations": [b"label"] * 3}
        name = f"{row:03d}".encode()
        return {"video": video, "metadata": {"video_name": name}}


def test_a_video_is_read_once_for_all_its_frames(monkeypatch):
    """In any order, as long as the encoded videos fit."""
    order = np.random.default_rng(0).permutation(60)
    records = Counted(20)
    source = TfdsVideo(records, "davis")
    assert [source[int(i)].image_file.data for i in order] == [b"jpeg"] * 60
    assert records.reads == 20  # all of them by the constructor
    # 27 bytes each: ten videos fit, of the others the last eight are kept.
    monkeypatch.setattr(tfds_source, "KEPT_BYTES", 270)
    records = Counted(20)
    source = TfdsVideo(records, "davis")
    found = [source[int(i)].image_id for i in order]
    assert found == [f"{i // 3:03d}/{i % 3:05d}" for i in order]
    assert 30 <= records.reads < 20 + 30


def test_what_cannot_be_opened_is_named(data_dir):
    message = r"no_such: TFDS knows no dataset of this name, .*/tfds\S+; correct"
    refused(FileNotFoundError, message, open_tfds, "no_such", "train", data_dir)
    message = (
        r"davis/480p: is not prepared in .*; run tfds build "
        r"--file_format=array_record davis/480p, or correct data_dir"
    )
    refused(FileNotFoundError, message, open_tfds, "davis/480p", "train", data_dir)
    message = r"old_davis: the files in .* have no random access; prepare it again"
    refused(ValueError, message, open_tfds, "old_davis", "train", data_dir)
    message = r"tiny_davis: Unknown split 'val'.*\(split 'val'; there are train\)"
    refused(ValueError, message, open_tfds, "tiny_davis", "val", data_dir)
    message = r"davis/90p: Failed to construct dataset.*\(give it as coco/2017_pan"
    refused(ValueError, message, open_tfds, "davis/90p", "train", data_dir)
    message = r"two_classes: its 2 classes are not the 133 of COCO panoptic; export"
    refused(ValueError, message, open_tfds, "two_classes", "train", data_dir)
    message = r"numbers: its features are image, label; take a dataset with those"
    refused(ValueError, message, open_tfds, "numbers", "train", data_dir)


def test_the_doctor_examines_what_is_prepared(data_dir):
    assert find_splits("tiny_coco", data_dir) == ["train"]
    for builder, classes, kinds in (
        ("tiny_coco", True, {"class_not_in_train", "needs_8_bits"}),
        ("tiny_davis", False, {"much_void"}),
    ):
        examination = examine(Path(data_dir), builder=builder, num_workers=2)
        assert examination.layout == "tfds"
        (result,) = examination.splits
        assert result.split.name == "train"
        assert result.statistics.num_images == (3 if classes else 6)
        assert {f.kind for f in examination.findings} <= kinds | {"duplicate_image"}
    (finding,) = examine(
        Path(data_dir), layout="tfds", builder="tiny_coco", splits=["val"]
    ).findings
    assert finding.kind == "split" and "Unknown split 'val'" in finding.message
    message = r"no_such: TFDS knows no dataset"
    with pytest.raises(FileNotFoundError, match=message):
        examine(Path(data_dir), builder="no_such")


def test_bad_records_are_named_at_decoding():
    def record(image, labels):
        return {
            "image": encoded(np.zeros((4, 6, 3), np.uint8)),
            "image/filename": image.encode(),
            "image/id": 1,
            "panoptic_image": labels,
            "panoptic_objects": {"id": [5], "label": [0], "is_crowd": [False]},
        }

    records = [
        record("a.jpg", encoded(ids_to_rgb(np.full((4, 5), 5)))),
        record("b.jpg", encoded(ids_to_rgb(np.full((4, 6), 6)))),
        record("c.jpg", encoded(np.zeros((4, 6), np.uint16))),
    ]
    source = TfdsPanoptic(records, "coco train")
    message = r"coco train: a\.jpg: panoptic_image: has 5x4 pixels, its image .* 6x4 \("
    refused(ValueError, message, decode, source, 0)
    message = r"b\.jpg: panoptic_image: ids 6 are not in segments_info of its panoptic_"
    refused(ValueError, message, decode, source, 1)
    refused(ValueError, "has mode I;16, not RGB; write", decode, source, 2)


def test_importing_the_module_imports_neither_tensorflow_nor_tfds():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "sys.modules['tensorflow_datasets'] = None\n"
        "import pix2seq_d.data.tfds_source"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
