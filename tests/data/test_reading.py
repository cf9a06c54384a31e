"""Examples as arrays: clips keep their ids; broken ones are skipped within a budget."""

import dataclasses
import itertools

import numpy as np
import pytest
from tiny_source import LABEL_SPACE, TinySource

from pix2seq_d.data import in_memory, pipeline, reading
from pix2seq_d.data.augment import Augmentation
from pix2seq_d.data.clips import Clips
from pix2seq_d.data.source import DecodedExample, Video
from pix2seq_d.instance_ids import COCO, KITTI_STEP
from pix2seq_d.panoptic import PanopticMap, Segment

SIZES = dict(image_size=(8, 8), mask_size=(8, 8), max_instances=9)


@dataclasses.dataclass
class TinyVideos:
    """Videos of 2, 5 and 3 frames; a cat (track 3) walks right over grass."""

    label_space = LABEL_SPACE
    videos = (Video("short", 0, 2), Video("long", 2, 7), Video("last", 7, 10))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        ids = np.full((8, 8), 92_000, np.int32)
        ids[2:6, index % 6 : index % 6 + 3] = 3003
        segments = (Segment(92_000, 92, instance=0), Segment(3003, 3, instance=3))
        image = np.full((8, 8, 3), index, np.uint8)
        return DecodedExample(index, f"{index}.png", image, PanopticMap(ids, segments))


def cat(index):
    found = TinyVideos()[index].panoptic.ids == 3003
    return np.where(found, 3, 0)


def test_every_window_with_a_whole_past_is_a_clip():
    clips = Clips(TinyVideos())
    assert [clip.image_id for clip in clips] == [4, 5, 6, 9]
    assert [[f.image_id for f in clip.past_frames] for clip in clips] == [
        [2, 3],
        [3, 4],
        [4, 5],
        [7, 8],
    ]
    assert clips[0].file_name == "4.png" and (clips[0].image == 4).all()
    assert len(Clips(TinyVideos(), offsets=(-1,))) == 7
    with pytest.raises(ValueError, match=r"no video has 7 frames"):
        Clips(TinyVideos(), offsets=(-6,))
    for offsets in ((), (0,), (-1, -2), (-1, -1)):
        with pytest.raises(ValueError, match="give rising negative numbers"):
            Clips(TinyVideos(), offsets=offsets)


def test_a_clip_has_its_past_first_and_one_id_for_a_track():
    arrays = reading.read(
        Clips(TinyVideos())[0], LABEL_SPACE, max_instances=9, rule=KITTI_STEP
    )
    labels = arrays.labels()
    assert labels.shape == (8, 8, 6) and (arrays.image == 4).all()
    for frame, index in enumerate((2, 3, 4)):
        np.testing.assert_array_equal(labels[..., 2 * frame + 1], cat(index))
        semantic = np.where(cat(index) > 0, 1, 3)
        np.testing.assert_array_equal(labels[..., 2 * frame], semantic)


@pytest.mark.parametrize("loader", [pipeline, in_memory])
def test_clips_become_batches_with_a_past(loader):
    clips = Clips(TinyVideos())
    batches = loader.train_batches(
        clips,
        **SIZES,
        batch_size=4,
        seed=0,
        augmentation=Augmentation(flip=0.0, frame_dropout=0.5),
        rule=KITTI_STEP,
        num_past=2,
    )
    dropped = 0
    for batch in itertools.islice(batches, 6):
        image, labels, past = (
            np.asarray(batch[k]) for k in ("image", "labels", "past")
        )
        assert past.shape == (4, 8, 8, 4) and labels.shape == (4, 8, 8, 2)
        for row in range(4):
            target = round(float(image[row].mean()) * (255 if image.max() <= 1 else 1))
            (number,) = set(labels[row, ..., 1].ravel().tolist()) - {0}
            np.testing.assert_array_equal(labels[row, ..., 1] > 0, cat(target) > 0)
            for frame, index in enumerate((target - 2, target - 1)):
                shown = past[row, ..., 2 * frame : 2 * frame + 2]
                if not shown.any():
                    dropped += 1
                    continue
                expected = np.where(cat(index) > 0, number, 0)
                np.testing.assert_array_equal(shown[..., 1], expected)
    batches.close()
    assert 12 <= dropped <= 36  # of 48, p 0.5


def test_a_broken_example_gives_way_to_the_next_within_the_budget(capsys):
    source = reading.Skipping(TinySource(5, broken=4), budget=1)
    assert len(source) == 5
    assert [source[i].image_id for i in (3, 4, 4, 0)] == [3, 0, 0, 0]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["skipped 1 of at most 1: 004.png: truncated file; fetch it again"]


def test_beyond_the_budget_the_error_is_the_sources():
    strict = reading.Skipping(TinySource(5, broken=2), budget=0)
    with pytest.raises(ValueError, match=r"^002\.png: truncated"):
        strict[2]

    class Ruins(TinySource):
        def __getitem__(self, index):
            raise FileNotFoundError(f"{index}.png: no such file")

    with pytest.raises(FileNotFoundError, match=r"^2\.png"):
        reading.Skipping(Ruins(5), budget=2)[0]
    with pytest.raises(ValueError, match=r"no example .* can be read"):
        reading.Skipping(Ruins(5), budget=9)[0]


def test_labels_that_cannot_be_decoded_are_skipped_too(coco_folder):
    from pix2seq_d.data.coco_panoptic import CocoPanoptic

    (coco_folder.pngs / "10.png").write_bytes(b"no png")
    source = CocoPanoptic.from_root(coco_folder.root, "val")
    assert reading.Skipping(source, budget=1)[0].image_id == 20


def test_skipping_gives_the_same_batches_in_any_number_of_workers():
    taken = []
    for workers in (1, 5):
        batches = pipeline.train_batches(
            reading.Skipping(TinySource(5, broken=3), budget=1),
            image_size=(16, 24),
            mask_size=(8, 12),
            max_instances=9,
            batch_size=4,
            seed=1,
            num_workers=workers,
        )
        taken.append(list(itertools.islice(batches, 4)))
        batches.close()
    for a, b in zip(*taken, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["labels"], b["labels"])


def test_an_image_of_another_size_than_its_labels_is_named():
    example = DecodedExample(
        1, "1.png", np.zeros((4, 5, 3), np.uint8), TinyVideos()[0].panoptic
    )
    message = (
        r"^1\.png: its label map has 8x8 pixels, its image 5x4 \(width x .*; scale"
    )
    with pytest.raises(ValueError, match=message):
        reading.read(example, LABEL_SPACE, max_instances=9, rule=COCO)


def test_frames_of_other_sizes_are_skipped(capsys):
    @dataclasses.dataclass
    class Resized(TinyVideos):
        """Frame 3 is smaller than the others; of frame 8, the image alone."""

        def __getitem__(self, index):
            made = super().__getitem__(index)
            image, ids = made.image[:4], made.panoptic.ids[:4]
            if index == 3:
                small = PanopticMap(ids, made.panoptic.segments)
                return dataclasses.replace(made, image=image, panoptic=small)
            return dataclasses.replace(made, image=image) if index == 8 else made

    clips = Clips(Resized())  # of the frames (2, 3, 4), (3, 4, 5), (4, 5, 6), (7, 8, 9)
    message = r"^3\.png: its label map has 8x4 pixels, its clip's 4\.png 8x8 \(width"
    with pytest.raises(ValueError, match=message):
        reading.read(clips[0], LABEL_SPACE, max_instances=9, rule=COCO)
    skipping = reading.Skipping(clips, budget=2)
    assert [skipping[k].image_id for k in range(3)] == [6, 6, 6]
    assert len(capsys.readouterr().err.splitlines()) == 2
    skipping = reading.Skipping(Resized(), budget=1)
    assert [skipping[k].image_id for k in (3, 8)] == [3, 9]
