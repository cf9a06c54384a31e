"""The three commands, really run: train, stop, go on, evaluate, predict."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from html_text import Page, frames_of
from PIL import Image

from pix2seq_d.cli import app, evaluate, predict, train
from pix2seq_d.data import arrays
from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation import pq
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.panoptic_files import PanopticWriter, read_png_ids
from pix2seq_d.training import checkpoint

NUM_VAL = 10


def run(main, argv):
    assert app.run(main, "test", argv) == 0


def shapes_argv(micro, workdir, *, steps=4):
    return [
        "--config=shapes:tiny",
        f"--workdir={workdir}",
        *micro,
        "--config.train.num_steps=4",
        f"--config.train.checkpoint_every={min(steps, 2)}",
        f"--config.data.source.eval_images={NUM_VAL}",
        "--config.data.source.train_images=20",
        "--config.train.eval_at_start=True",
    ]


def checkpoints_of(workdir):
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def metrics_of(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return {r["step"]: r["loss"] for r in records if "loss" in r}, [
        r for r in records if "eval/pq" in r
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, micro):
    workdir = tmp_path_factory.mktemp("trained") / "work"
    run(train.main, shapes_argv(micro, workdir))
    return workdir


def test_training_writes_what_it_promises(trained):
    losses, evaluations = metrics_of(trained)
    assert sorted(losses) == [1, 2, 3, 4]
    assert losses[1] == pytest.approx(np.log(16), rel=0.01)
    assert [e["step"] for e in evaluations] == [0, 4]
    assert 0.5 < evaluations[0]["eval/oracle_pq"] < 1
    assert json.loads((trained / "config.json").read_text())["model"]["num_classes"]
    loaded = checkpoint.load(trained)
    assert loaded.step == 4
    assert loaded.labels.to_json() == Shapes.label_space.to_json()


def test_a_damaged_training_goes_on_as_if_never_stopped(
    trained, tmp_path, micro, capsys
):
    workdir = tmp_path / "work"
    shutil.copytree(trained, workdir)
    # As after a machine failed: the last checkpoint is damaged, and the last metric
    # line is cut off.
    (workdir / "checkpoints" / "4" / "checksums.json").write_text("{")
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    run(train.main, shapes_argv(micro, workdir))
    note = "checksums.json cannot be read"
    (line,) = (one for one in capsys.readouterr().err.splitlines() if note in one)
    assert line.endswith("kept as 4.unreadable, going on from step 2")
    before, after = checkpoint.load(trained), checkpoint.load(workdir)
    assert after.step == 4
    for a, b in zip(
        jax.tree.leaves(before.variables),
        jax.tree.leaves(after.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert metrics_of(trained)[0] == metrics_of(workdir)[0]
    assert [e["step"] for e in metrics_of(workdir)[1]] == [0, 4]


def test_a_finished_training_is_left_alone(trained, capsys, micro):
    before = (trained / "metrics.jsonl").read_text()
    run(train.main, shapes_argv(micro, trained))
    assert "nothing to do" in capsys.readouterr().err
    assert (trained / "metrics.jsonl").read_text() == before


def test_another_config_is_refused(trained, capsys, micro):
    argv = [*shapes_argv(micro, trained), "--config.optimizer.peak_lr=0.5"]
    assert app.run(train.main, "train", argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "optimizer.peak_lr" in error and "--workdir" in error


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The validation scenes as a COCO-panoptic folder."""
    root = tmp_path_factory.mktemp("photos")
    source = Shapes("val", size=(32, 32), num_examples=NUM_VAL)
    (root / "images" / "val").mkdir(parents=True)
    with PanopticWriter(root, source.label_space, name="panoptic_val") as writer:
        for index in range(NUM_VAL):
            example = source[index]
            Image.fromarray(example.image).save(
                root / "images" / "val" / example.file_name
            )
            writer.write(
                example.panoptic,
                image_id=example.image_id,
                file_name=example.file_name,
            )
    return root


def test_evaluate_scores_what_its_files_score(trained, tmp_path, photos):
    output = tmp_path / "out"
    run(
        evaluate.main,
        [
            f"--workdir={trained}",
            f"--output={output}",
            "--config.evaluation.min_area=1",
            "--report",
        ],
    )
    metrics = json.loads((output / "metrics.json").read_text())
    labels = Shapes.label_space
    assert {v["name"] for v in metrics["per_class"].values()} == {
        c.name for c in labels.categories
    }
    assert metrics["num_images"] == NUM_VAL
    assert metrics["left_out"] == 0
    truth = photos / "panoptic_val.json"
    again = pq.evaluate(truth, output / "panoptic.json")
    assert again["All"]["n"] > 0
    for group in ("All", "Things", "Stuff"):
        assert metrics[group] == pytest.approx(again[group], abs=1e-12)
    for category, values in again["per_class"].items():
        found = metrics["per_class"][str(category)]
        assert {k: found[k] for k in values} == pytest.approx(values, abs=1e-12)
    assert (output / "table.md").read_text().count("\n") == 2 + 3 + 9
    with Image.open(output / "examples.png") as picture:
        assert picture.size[0] > 200
    check_page((output / "report.html").read_text(), metrics, output)


def check_page(text, metrics, output):
    """The page has the scores, the errors of all images, and each picture once."""
    words = Page(text).words
    for group in ("All", "Things", "Stuff"):
        assert f"PQ, {group.lower()}{percent(metrics[group]['pq'])}" in words
    assert f"--output={output} --config.evaluation.min_area=1 --report" in words
    measure = f"--step=4 --output={output} --config.evaluation.min_area=1 --ladder="
    assert measure in words
    rows = text.split('<table class="bars kinds">')[1].split("</table>")[0]
    counts = re.findall(r"<td>([\d,]+)</td></tr>", rows)
    wrong = sum(c["fp"] + c["fn"] for c in metrics["per_class"].values())
    assert sum(int(c.replace(",", "")) for c in counts) == wrong > 0
    assert [len(frames) for frames in frames_of(text)] == [1] * 9


def test_evaluate_refuses_to_change_the_model(trained, capsys):
    argv = [f"--workdir={trained}", "--config.model.bit_scale=1.0"]
    assert app.run(evaluate.main, "evaluate", argv) == 1
    assert "config.model.bit_scale: cannot be changed" in capsys.readouterr().err


def test_online_weights_are_not_the_average(trained):
    average = checkpoint.load(trained).variables["params"]
    online = checkpoint.load(trained, weights="online").variables["params"]
    pairs = zip(jax.tree.leaves(average), jax.tree.leaves(online), strict=True)
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in pairs)


def test_a_checkpoint_is_found_from_any_of_its_folders(trained):
    folder = trained / "checkpoints"
    for path in (trained, folder, folder / "4"):
        loaded = checkpoint.load(path)
        assert (loaded.step, loaded.workdir) == (4, trained.resolve())
    assert checkpoint.load(folder / "4", step=2).step == 2
    with pytest.raises(checkpoint.CheckpointError, match="it has 2, 4"):
        checkpoint.load(folder / "4", step=3)


def test_predictions_read_back_through_the_reader(trained, tmp_path, photos):
    output = tmp_path / "masks"
    images = photos / "images" / "val"
    run(
        predict.main,
        [
            f"--checkpoint={trained}",
            f"--input={images}",
            f"--output={output}",
            "--min_area=1",
        ],
    )
    source = CocoPanoptic(images, output / "panoptic.json", output / "panoptic")
    assert len(source) == NUM_VAL
    assert source.label_space == Shapes.label_space
    names = {source[i].file_name for i in range(NUM_VAL)}
    assert names == {path.name for path in images.iterdir()}
    assert len(list((output / "overlay").iterdir())) == NUM_VAL


def test_predict_is_repeatable_and_follows_seed_and_glob(trained, tmp_path, photos):
    def masks(name, *flags):
        output = tmp_path / name
        argv = [f"--checkpoint={trained}", f"--output={output}", "--min_area=1"]
        run(predict.main, [*argv, *flags])
        return {
            path.name: read_png_ids(path) for path in (output / "panoptic").iterdir()
        }

    pattern = f"--input={photos}/images/val/*_00000[01].png"
    first = masks("a", pattern)
    assert len(first) == 2
    again = masks("b", pattern)
    for name, mask in first.items():
        np.testing.assert_array_equal(mask, again[name])
    other = masks("c", pattern, "--seed=1", "--num_steps=3")
    assert any((other[name] != mask).any() for name, mask in first.items())


def test_predict_goes_on_past_a_broken_image(trained, tmp_path, photos, capsys):
    folder = tmp_path / "in"
    shutil.copytree(photos / "images" / "val", folder)
    broken = sorted(folder.iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:200])
    argv = [f"--checkpoint={trained}", f"--input={folder}"]
    argv.append(f"--output={tmp_path / 'out'}")
    assert app.run(predict.main, "predict", argv) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert broken.name in error and "1 of 10" in error
    found = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert len(found["annotations"]) == NUM_VAL - 1


def test_a_loss_that_is_no_number_stops_before_it_is_saved(tmp_path, micro, capsys):
    argv = [
        *shapes_argv(micro, tmp_path / "work"),
        "--config.optimizer.peak_lr=1e30",
        "--config.optimizer.warmup_steps=0",
    ]
    assert app.run(train.main, "train", argv) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "optimizer.peak_lr" in error and "step 2" in error
    assert checkpoints_of(tmp_path / "work") == []


def test_an_npz_trains_in_bfloat16_and_writes_tensorboard(tmp_path, micro):
    for split, count in (("train", 16), ("val", NUM_VAL)):
        source = Shapes(split, size=(32, 32), num_examples=count)
        arrays.save(tmp_path / f"{split}.npz", source)
    workdir = tmp_path / "work"
    argv = [
        "--config=custom:tiny",
        f"--workdir={workdir}",
        *micro,
        "--config.data.source.name=arrays",
        f"--config.data.source.root={tmp_path}",
        "--config.data.loader=memory",
        "--config.data.scale_jitter=(1.0,1.0)",
        "--config.data.color_jitter=0.0",
        "--config.train.dtype=bfloat16",
        "--config.train.num_steps=4",
        "--config.train.eval_every=2",
        "--config.train.eval_images=3",
        "--config.evaluation.merge_stuff=False",
    ]
    run(train.main, argv)
    losses, evaluations = metrics_of(workdir)
    assert all(np.isfinite(loss) for loss in losses.values())
    assert [e["step"] for e in evaluations] == [2, 4]
    assert len(list(workdir.glob("events.out.tfevents.*"))) == 1
    params = checkpoint.load(workdir).variables["params"]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}


def test_a_workdir_refuses_data_with_other_classes(trained, tmp_path, micro, capsys):
    workdir = tmp_path / "work"
    shutil.copytree(trained, workdir)
    labels = workdir / "checkpoints" / "4" / "labels" / "metadata"
    text = labels.read_text()
    assert '"ring"' in text
    labels.write_text(text.replace('"ring"', '"wheel"'))
    # They know the file as it was.
    (workdir / "checkpoints" / "4" / "checksums.json").unlink()
    assert app.run(train.main, "train", shapes_argv(micro, workdir)) == 1
    error = capsys.readouterr().err
    assert "'ring'" in error and "'wheel'" in error
