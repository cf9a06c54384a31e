"""Panoptic videos in the layout of VIPSeg, and one line for what is broken."""

import json
import pickle

import numpy as np
import pytest
from label_files import refused, save_png
from volumes import arguments

from pix2seq_d.evaluation import stq, vpq
from pix2seq_d.evaluation.readers.coco_videos import CocoVideos


def save_ids(path, ids):
    ids = np.asarray(ids)
    save_png(path, np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1).astype("u1"))


WALL, PERSON, CAR = 0, 60, 61
CATEGORIES = [
    {"id": WALL, "name": "wall", "isthing": 0},
    {"id": PERSON, "name": "person", "isthing": 1},
    {"id": CAR, "name": "car", "isthing": 1},
]
WALL_ID, FIRST, SECOND, GROUP = 7895160, 197379, 16711935, 9
KIND = {WALL_ID: WALL, FIRST: PERSON, SECOND: CAR, GROUP: PERSON}


class Videos:
    """Truth and prediction as VIPSeg's scripts read them; equal but for crowd."""

    def __init__(self, root):
        self.root = root
        base = np.array([[WALL_ID, WALL_ID, FIRST], [0, SECOND, GROUP]])
        moved = np.array([[WALL_ID, FIRST, FIRST], [0, SECOND, GROUP]])
        self.maps = {"1001_a": [base, moved], "12_b": [moved, base, base]}
        self.content = {}
        for side, folder in (("gt", "panomasksRGB"), ("pred", "pan_pred")):
            annotations = []
            for video, maps in self.maps.items():
                for t, ids in enumerate(maps):
                    save_ids(root / side / folder / video / f"{t:08d}.png", ids)
                annotations.append(
                    {"video_id": video, "annotations": self.frames(side, maps)}
                )
            self.content[side] = {"annotations": annotations}
        self.content["gt"]["categories"] = CATEGORIES
        self.save()

    def frames(self, side, maps):
        frames = []
        for t, ids in reversed(list(enumerate(maps))):
            segments = [
                {
                    "id": i,
                    "category_id": KIND[i],
                    "iscrowd": int(side == "gt" and i == GROUP),
                }
                for i in np.unique(ids).tolist()
                if i
            ]
            suffix = "png" if side == "gt" else "jpg"
            frame = {"file_name": f"{t:08d}.{suffix}", "segments_info": segments}
            if side == "gt":
                frame["image_id"] = f"{t:08d}"
            frames.append(frame)
        return frames

    @property
    def paths(self):
        return [
            self.root / "gt/panoptic_gt_VIPSeg_val.json",
            self.root / "pred/pred.json",
        ]

    def save(self):
        for path, side in zip(self.paths, ("gt", "pred"), strict=True):
            path.write_text(json.dumps(self.content[side]))

    def segments(self, side, frame=-1):
        """Segments of a frame of video 1001_a; its first frame is the last entry."""
        return self.content[side]["annotations"][0]["annotations"][frame][
            "segments_info"
        ]


@pytest.fixture
def videos(tmp_path):
    return Videos(tmp_path)


def test_coco_videos_labels_are_exact(videos):
    reader = pickle.loads(pickle.dumps(CocoVideos(*videos.paths)))
    assert reader.names == ("1001_a", "12_b")
    assert reader.label_space.names() == ("void", "wall", "person", "car")
    assert arguments(reader.coding) == {
        "num_classes": 3,
        "things": (1, 2),
        "ignore_label": 3,
        "label_divisor": 2**24,
    }
    step = 2**24
    kinds = {0: 3 * step, WALL_ID: WALL_ID, FIRST: step + FIRST}
    kinds |= {SECOND: 2 * step + SECOND}
    for name in reader.names:
        ids = np.stack(videos.maps[name])
        for labels, group in zip(reader.read(name), (0, GROUP), strict=True):
            table = kinds | {GROUP: step + group}
            np.testing.assert_array_equal(labels, np.vectorize(table.get)(ids))


def test_coco_videos_numbers_need_no_leading_zeros(videos):
    for side, folder, suffix in (
        ("gt", "panomasksRGB", "png"),
        ("pred", "pan_pred", "jpg"),
    ):
        (frames,) = (
            v["annotations"]
            for v in videos.content[side]["annotations"]
            if v["video_id"] == "12_b"
        )
        # The last of three frames comes first.
        for k, frame in zip((11, 10, 9), frames, strict=True):
            frame["file_name"] = f"{k}.{suffix}"
        for t in range(3):
            path = videos.root / side / folder / f"12_b/{t:08d}.png"
            path.rename(path.with_stem(str(9 + t)))
    videos.save()
    before = videos.maps["12_b"]
    truth, _ = CocoVideos(*videos.paths).read("12_b")
    kept = [np.isin(ids, [WALL_ID, FIRST, SECOND]) for ids in before]
    for labels, ids, where in zip(truth, before, kept, strict=True):
        np.testing.assert_array_equal(labels[where] % 2**24, ids[where])


def test_coco_videos_equal_to_the_truth_score_one(videos):
    reader = CocoVideos(*videos.paths)
    result = vpq.evaluate(reader, **arguments(reader.coding), window_sizes=(1, 2))
    assert result["vpq"] == 1
    # Crowd is no miss and excuses what is predicted on it.
    row = result["vpq_k"][1]["per_class"][1]
    assert (row["tp"], row["fp"], row["fn"]) == (5, 0, 0)
    assert stq.evaluate(reader, **arguments(reader.coding))["STQ"] == 1


def test_coco_videos_png_folders(videos):
    gt_json, pred_json = videos.paths
    (videos.root / "pred/pan_pred").rename(videos.root / "pred/pred")
    assert len(CocoVideos(gt_json, pred_json)) == 2
    (videos.root / "pred/pred").rename(videos.root / "elsewhere")
    message = "pred/pred or .*pan_pred: no such folder of PNGs of .*pred.json; name it"
    refused(FileNotFoundError, message, CocoVideos, gt_json, pred_json)
    pngs = videos.root / "elsewhere"
    assert len(CocoVideos(gt_json, pred_json, pred_pngs=pngs)) == 2
    message = "none: no such folder of PNGs"
    refused(
        FileNotFoundError, message, CocoVideos, gt_json, pred_json, pred_pngs=pngs,
        gt_pngs=videos.root / "none",
    )  # fmt: skip


def test_coco_videos_missing_are_named_or_void(videos):
    (videos.root / "pred/pan_pred/1001_a/00000001.png").unlink()
    message = (
        r"pan_pred: lacks 1001_a/00000001.png \(1 of the 5 predictions that .*json"
    )
    refused(FileNotFoundError, message, CocoVideos, *videos.paths)
    videos.content["pred"]["annotations"].pop()
    videos.save()
    message = r"pred.json: lacks 12_b/00000000.png, .* \(3 of the 5 predictions"
    refused(FileNotFoundError, message, CocoVideos, *videos.paths)
    reader = CocoVideos(*videos.paths, allow_missing=True)
    assert (reader.read("12_b")[1] == 3 * 2**24).all()
    _, pred = reader.read("1001_a")
    assert (pred[1] == 3 * 2**24).all()
    assert (pred[0] != 3 * 2**24).sum() == 5
    (videos.root / "gt/panomasksRGB/12_b/00000002.png").unlink()
    message = "panomasksRGB: lacks 12_b/00000002.png"
    refused(FileNotFoundError, message, CocoVideos, *videos.paths, allow_missing=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: v.segments("pred").pop(0),
            r"pred/pan_pred/1001_a/00000000.png: ids 9 are not in segments_info of",
        ),
        (
            lambda v: v.segments("pred").append({"id": 3, "category_id": WALL}),
            "1001_a/00000000.png: predicted segments 3 of .*pred.json.* have no pixel;",
        ),
        (
            lambda v: v.segments("pred")[0].update(category_id=5),
            "pred.json: video 1001_a: segment 9 of 00000000.jpg has category_id 5",
        ),
        (
            lambda v: v.segments("pred")[0].update(id=SECOND),
            "pred.json: video 1001_a: .*a segment id occurs twice",
        ),
        (
            lambda v: v.segments("gt")[-2].update(iscrowd=1),
            "segment 7895160 of .*gt_VIPSeg_val.json.* is stuff and iscrowd; only",
        ),
        (
            lambda v: v.content["pred"]["annotations"][1].update(video_id="1001_a"),
            r"pred.json: annotations\[1\]: video_id is '1001_a', which is empty or",
        ),
        (
            lambda v: v.content["pred"]["annotations"].clear(),
            "pred.json: annotations is empty; add videos",
        ),
        (
            lambda v: v.content["pred"]["annotations"][0].pop("annotations"),
            r"pred.json: annotations\[0\] has no list 'annotations'; give a panoptic",
        ),
        (
            lambda v: v.content["gt"].pop("categories"),
            "val.json has no list 'categories'; give a panoptic JSON of videos",
        ),
        (
            lambda v: v.content["gt"].update(categories=CATEGORIES * 2),
            "val.json: category ids given twice",
        ),
    ],
)
def test_coco_videos_bad_files_are_named(videos, change, message):
    change(videos)
    videos.save()
    refused(ValueError, message, lambda: list(CocoVideos(*videos.paths)))
