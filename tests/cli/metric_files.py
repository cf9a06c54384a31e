"""Tiny sets for the command `metrics`, in the layouts of the official tools."""

import contextlib
import csv
import dataclasses
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from davis_video import video
from label_files import save_png
from panoptic_maps import CATEGORIES, random_pair
from volumes import CODING, random_volume

from pix2seq_d.cli import app, metrics
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import PanopticWriter

CODING_FLAGS = ("--num_classes=5", "--things=2,3,4", "--ignore_label=255")


@dataclasses.dataclass(frozen=True)
class Scored:
    """What the command wrote and printed."""

    result: dict[str, Any]
    rows: list[dict[str, str]]
    tables: list[dict[str, dict[str, str]]]
    printed: str


@dataclasses.dataclass(frozen=True)
class Files:
    """Truth and prediction in files, and the flags to score them."""

    kind: str
    gt: Path
    pred: Path
    flags: tuple[str, ...] = ()

    def argv(self, *more: str) -> list[str]:
        paths = f"--gt={self.gt}", f"--pred={self.pred}"
        return [f"--kind={self.kind}", *paths, *self.flags, "--num_workers=1", *more]

    def score(self, *more: str) -> Scored:
        """Runs the command, which has to succeed."""
        stdout = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            output, per_image = Path(folder, "m.json"), Path(folder, "m.csv")
            argv = self.argv(f"--output={output}", f"--per_image={per_image}", *more)
            with contextlib.redirect_stdout(stdout):
                assert app.run(metrics.main, "metrics", argv) == 0
            with per_image.open(newline="") as file:
                rows = list(csv.DictReader(file))
            result = json.loads(output.read_text())
        text = stdout.getvalue()
        parts = [part for part in text.split("\n\n") if part.startswith("|")]
        return Scored(result, rows, [*map(_table, parts)], text)


def _table(text: str) -> dict[str, dict[str, str]]:
    """Markdown -> first cell -> title of the column -> cell."""
    head, _, *rows = (
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in text.splitlines()
    )
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def as_json(result: Any) -> Any:
    """The result as it comes back from a JSON file: keys are texts."""
    return json.loads(json.dumps(result))


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def coco(root, *, count=3, kind="pq"):
    """Images as COCO panoptic JSON and PNGs, and the maps that are in them."""
    pairs = [random_pair(seed) for seed in range(count)]
    space = LabelSpace.from_json(CATEGORIES)
    for side, maps in zip(("gt", "pred"), zip(*pairs, strict=True), strict=True):
        with PanopticWriter(root, space, name=side) as writer:
            for k, panoptic in enumerate(maps):
                writer.write(panoptic, image_id=k, file_name=f"{k:03d}.jpg")
    return Files(kind, root / "gt.json", root / "pred.json"), pairs


def volumes(count=3, coding=CODING):
    return [(f"s{k}", *random_volume(k, coding)) for k in range(count)]


def _step_rgb(labels, coding):
    kind, instance = np.divmod(labels, coding.label_divisor)
    return np.stack([kind, instance // 256, instance % 256], -1).astype(np.uint8)


def step(root, sequences, *, kind="stq", coding=CODING, flags=CODING_FLAGS):
    """Videos as the PNGs of KITTI-STEP."""
    for name, *sides in sequences:
        for side, labels in zip(("gt", "pred"), sides, strict=True):
            for t, frame in enumerate(labels):
                path = root / side / name / f"{t:06d}.png"
                save_png(path, _step_rgb(frame, coding))
    return Files(kind, root / "gt", root / "pred", flags)


def arrays(root, sequences, *, kind="stq"):
    """Videos as NumPy files: truth .npy, prediction .npz."""
    for side in ("gt", "pred"):
        (root / side).mkdir()
    for name, gt, pred in sequences:
        np.save(root / "gt" / f"{name}.npy", gt)
        np.savez(root / "pred" / f"{name}.npz", pred=pred)
    flags = (*CODING_FLAGS, "--label_divisor=10")
    return Files(kind, root / "gt", root / "pred", flags)


def vipseg(root, sequences, *, kind="vpq"):
    """Videos as the JSON and PNGs of VIPSeg: segment id = label + 1, void is 0."""
    files = Files(kind, root / "gt.json", root / "pred.json")
    for side, path in (("gt", files.gt), ("pred", files.pred)):
        entries = []
        for name, *sides in sequences:
            frames = []
            for t, labels in enumerate(sides[side == "pred"]):
                ids = np.where(labels // 10 == CODING.ignore_label, 0, labels + 1)
                rgb = np.stack([ids % 256, ids // 256, 0 * ids], -1).astype(np.uint8)
                save_png(path.with_suffix("") / name / f"{t:08d}.png", rgb)
                segments = [_segment(i, side) for i in np.unique(ids).tolist() if i]
                frames.append({"file_name": f"{t:08d}.png", "segments_info": segments})
            entries.append({"video_id": name, "annotations": frames})
        categories = [
            {"id": k, "name": f"kind {k}", "isthing": int(k in CODING.things)}
            for k in range(CODING.num_classes)
        ]
        content = {"annotations": entries, "categories": categories}
        path.write_text(json.dumps(content))
    return files


def _segment(number, side):
    kind, instance = divmod(number - 1, 10)
    crowd = side == "gt" and kind in CODING.things and not instance
    return {"id": number, "category_id": kind, "iscrowd": int(crowd)}


def davis(root, *, count=2):
    """Videos as the PNGs of DAVIS 2017, and their arrays."""
    videos = {f"v{k}": video(k, frames=4) for k in range(count)}
    for name, sides in videos.items():
        for side, maps in zip(("gt", "pred"), sides, strict=True):
            for t, frame in enumerate(maps):
                save_png(root / side / name / f"{t:05d}.png", frame)
    return Files("davis", root / "gt", root / "pred"), videos


def semantic(root, *, count=3):
    """Images as gray PNGs of classes, and their arrays."""
    maps = [
        [labels[0] // CODING.label_divisor for labels in random_volume(seed)]
        for seed in range(count)
    ]
    for k, sides in enumerate(maps):
        for side, labels in zip(("gt", "pred"), sides, strict=True):
            save_png(root / side / "city" / f"{k}.png", labels.astype(np.uint8))
    flags = ("--num_classes=5", "--ignore_label=255")
    return Files("miou", root / "gt", root / "pred", flags), maps


def edit(path, change):
    """Changes what a JSON file holds."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
