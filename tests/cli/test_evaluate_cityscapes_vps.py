"""Cityscapes-VPS by command: what an evaluation writes scores what it reported."""

import json

import jax
import numpy as np
import pytest
import saved_training
from city_vps_folder import IMAGE_IDS, CityVps

from pix2seq_d.cli import app, evaluate_video, metrics
from pix2seq_d.cli.evaluate_shard import Share
from pix2seq_d.panoptic_files import read_png_ids
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.checkpoint import Trained

NAMES = [i for image_ids in IMAGE_IDS.values() for i in image_ids]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return CityVps(tmp_path_factory.mktemp("city"))


class Frames:
    """A predictor that sees in the drawn images what they show; the fifth has others.

    `change` is made of the labels [B, T, h, w, 2].
    """

    def __init__(self, change=lambda labels: labels):
        self.change = change
        self.mesh = meshes.make_mesh(jax.devices()[:1])

    def of(self, variables):
        return self

    def start(self, index):
        return 0

    def __call__(self, start, images):
        red, green, _ = np.moveaxis(255 * images[:, :, ::2, ::2], -1, 0)
        semantic = np.clip(np.rint(red / 40), 0, 4).astype(np.int32)
        instance = np.rint(green / 40).astype(np.int32) + 1
        if start <= 4 < start + images.shape[1]:
            instance[:, 4 - start] += 5
        labels = np.stack([semantic, np.where(semantic > 2, instance, 0)], -1)
        steps = np.ones(labels.shape[:2], np.int32)
        return start + images.shape[1], self.change(labels), steps


def evaluate(trained, source, output, *, limit=None, **options):
    predictor = Frames(**options)
    share = Share(limit=limit)
    report = evaluate_video.evaluate(trained, predictor, source, output, share=share)
    told = evaluate_video.summary(report, trained.labels, output)
    for name in ("panoptic.json (VIPSeg)", "pred.json (Cityscapes-VPS)"):
        assert f"{output}/{name}" in told


@pytest.fixture(scope="module")
def trained(micro, folder):
    argv = [
        "--config=custom:tiny",
        *micro,
        "--config.model.num_cond_frames=2",
        "--config.data.source.name=cityscapes_vps",
        f"--config.data.source.root={folder.root}",
    ]
    config, labels = saved_training.make_config(argv)
    return Trained({}, config, labels, 1, folder.root)


@pytest.fixture(scope="module")
def source(trained):
    return evaluate_video.prepare(trained.config)[1]


@pytest.fixture(scope="module")
def evaluated(trained, source, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluated")
    evaluate(trained, source, output)
    return output


@pytest.mark.parametrize("name", ["panoptic.json", "pred.json"])
def test_the_files_score_what_the_evaluation_reports(evaluated, folder, name, tmp_path):
    reported = json.loads((evaluated / "metrics.json").read_text())
    path = tmp_path / "metrics.json"
    argv = ["--kind=vpq", f"--gt={folder.json_path}", f"--pred={evaluated / name}"]
    argv += [f"--output={path}", "--num_workers=1"]
    assert app.run(metrics.main, "metrics", argv) == 0
    found = json.loads(path.read_text())
    expected = reported["vpq"]
    assert 0.1 < expected["vpq"] < 0.9
    for key in ("vpq", "vpq_things", "vpq_stuff", "vpq_k"):
        assert found[key] == expected[key]
    assert [row["windows"] for row in found["vpq_k"].values()] == [12, 10, 8, 6]
    assert found["vpq_k"]["2"]["Things"]["pq"] < found["vpq_k"]["1"]["Things"]["pq"]


def test_predictions_have_the_official_form(evaluated):
    content = json.loads((evaluated / "pred.json").read_text())
    assert [a["image_id"] for a in content["annotations"]] == NAMES
    assert sorted(p.stem for p in (evaluated / "pan_pred").iterdir()) == NAMES
    for annotation in content["annotations"]:
        video = annotation["image_id"][:4]
        ids = read_png_ids(evaluated / "pan_pred" / annotation["file_name"])
        other = read_png_ids(evaluated / "panoptic" / video / annotation["file_name"])
        np.testing.assert_array_equal(ids, other)
        described = {s["id"]: s["area"] for s in annotation["segments_info"]}
        values, areas = np.unique(ids[ids > 0], return_counts=True)
        assert described == dict(zip(values.tolist(), areas.tolist(), strict=True))


def test_an_evaluation_of_less_replaces_the_files(trained, source, tmp_path):
    evaluate(trained, source, tmp_path)
    png = tmp_path / "pan_pred" / f"{NAMES[0]}.png"
    before = read_png_ids(png)
    evaluate(trained, source, tmp_path, limit=1, change=lambda x: np.minimum(x, 1))
    content = json.loads((tmp_path / "pred.json").read_text())
    assert [a["image_id"] for a in content["annotations"]] == NAMES[:6]
    assert read_png_ids(png).max() == 1 < before.max()
