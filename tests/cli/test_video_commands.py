"""A video model by command: evaluate, predict, go on; and the stream behind it."""

import dataclasses
import json
import shutil

import av
import jax
import numpy as np
import pytest
import saved_training
from html_text import Page, frames_of
from PIL import Image

from pix2seq_d import Segmenter
from pix2seq_d.cli import app, evaluate, predict, predict_video, train
from pix2seq_d.data.shapes_video import NUM_FRAMES, ShapesVideo
from pix2seq_d.evaluation import davis, shards, stq
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.evaluation.video_labels import code, label_coding, truth_channels
from pix2seq_d.inference.stream import StreamState
from pix2seq_d.instance_ids import KITTI_STEP
from pix2seq_d.panoptic_files import read_png_ids
from pix2seq_d.video_writer import VideoWriter

STEP = 3


@pytest.fixture(scope="module")
def argv(micro):
    return [
        "--config=shapes_video:tiny",
        *micro,
        "--config.diffusion.num_steps_next=1",
        f"--config.data.source.train_images={NUM_FRAMES}",
        f"--config.data.source.eval_images={2 * NUM_FRAMES}",
    ]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, argv):
    folder = tmp_path_factory.mktemp("video") / "work"
    saved_training.save(folder, argv, steps=[STEP])
    return folder


@pytest.fixture(scope="module")
def frames():
    source = ShapesVideo("val", size=(32, 40), num_videos=1)
    return [source[k].image for k in range(10)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path) as writer:
        for k, frame in enumerate(frames):
            writer.write(frame, k / 24)
    return path


def run(main, argv):
    assert app.run(main, "test", argv) == 0


def test_training_on_clips_scores_tracks(tmp_path, argv):
    workdir = tmp_path / "work"
    run(
        train.main,
        [
            *argv,
            f"--workdir={workdir}",
            "--config.model.conditioning=()",  # half the time to compile
            "--config.train.num_steps=2",
            "--config.train.keep_best=1",
            "--config.train.eval_images=24",
            "--config.data.past_noise.drop=0.2",
            "--config.data.past_noise.merge=0.2",
            "--config.data.past_noise.shift=1",
        ],
    )
    lines = [
        json.loads(x) for x in (workdir / "metrics.jsonl").read_text().split("\n")[:-1]
    ]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    (scores,) = (line for line in lines if "eval/stq" in line)
    assert 0 < scores["eval/stq"] < scores["eval/oracle_stq"] < 1
    assert scores["eval/steps"] == pytest.approx((2 + 23) / 24)
    kept = json.loads((workdir / "checkpoints" / "scores.json").read_text())
    assert kept == {"2": scores["eval/stq"]}


def test_images_cannot_train_a_model_of_clips(tmp_path, argv, capsys):
    wrong = [*argv, "--config.data.source.name=shapes", f"--workdir={tmp_path / 'w'}"]
    assert app.run(train.main, "train", wrong) == 1
    error = capsys.readouterr().err
    assert "model.num_cond_frames=2" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--config.diffusion.sampler=ddpm"], "videos are sampled by ddim; take it"),
        (
            [
                "--config.data.ids.classes=False",
                "--config.model.bits_per_channel=5",
                "--config.model.max_instances=32",
            ],
            "take at most 21 ids",
        ),
    ],
)
def test_what_no_evaluation_takes_is_not_trained(tmp_path, argv, capsys, flags, words):
    wrong = [*argv, *flags, f"--workdir={tmp_path / 'w'}"]
    assert app.run(train.main, "train", wrong) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert words in error and "Traceback" not in error


@pytest.fixture(scope="module")
def evaluated(workdir, tmp_path_factory):
    output = tmp_path_factory.mktemp("evaluated")
    run(evaluate.main, [f"--workdir={workdir}", f"--output={output}", "--report"])
    return output


def test_evaluate_makes_a_page_to_play_its_clips(evaluated):
    text = (evaluated / "report.html").read_text()
    words = Page(text).words
    metrics = json.loads((evaluated / "metrics.json").read_text())
    assert f"STQ{percent(metrics['STQ'])}oracle" in words
    assert f"2 videos with {2 * NUM_FRAMES} frames" in words
    numbers = [[f["number"] for f in clip] for clip in frames_of(text)]
    assert numbers == [list(range(NUM_FRAMES))] * 2


def test_evaluate_scores_what_its_files_score(evaluated):
    metrics = json.loads((evaluated / "metrics.json").read_text())
    assert metrics["num_videos"] == 2 and metrics["num_frames"] == 2 * NUM_FRAMES
    source = ShapesVideo("val", size=(32, 32), num_videos=2)
    space = source.label_space
    coding = label_coding(space, KITTI_STEP)
    content = json.loads((evaluated / "panoptic.json").read_text())
    sequences = []
    for video, annotation in zip(source.videos, content["annotations"], strict=True):
        assert annotation["video_id"] == video.name
        truth, found = [], []
        for k, entry in enumerate(annotation["annotations"]):
            panoptic = source[video.start + k].panoptic
            truth.append(code(truth_channels(panoptic, space, rule=KITTI_STEP), coding))
            ids = read_png_ids(evaluated / "panoptic" / video.name / entry["file_name"])
            channels = np.stack([ids % space.num_classes, ids // space.num_classes], -1)
            found.append(code(channels, coding))
        sequences.append((video.name, np.stack(truth), np.stack(found)))
    again = stq.evaluate(
        sequences,
        num_classes=coding.num_classes,
        things=coding.things,
        ignore_label=coding.ignore_label,
        label_divisor=coding.label_divisor,
    )
    for name in ("STQ", "AQ", "SQ"):
        assert metrics[name] == pytest.approx(again[name], abs=1e-12)
    assert "id switches per 100 frames" in (evaluated / "table.md").read_text()
    with Image.open(evaluated / "examples.png") as picture:
        assert picture.size[0] > 200


def test_shards_of_videos_killed_and_gone_on_with_write_what_one_process_writes(
    workdir, evaluated, tmp_path, monkeypatch, capsys
):
    argv = [f"--workdir={workdir}", f"--output={tmp_path}"]
    add = shards.Shards.add

    def interrupted(self, position, *args, **options):
        if position == 1:
            raise KeyboardInterrupt
        add(self, position, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(shards.Shards, "add", interrupted)
        assert app.run(evaluate.main, "evaluate", argv) == 130
    capsys.readouterr()
    assert app.run(evaluate.main, "evaluate", [*argv, "--merge"]) == 1
    assert "1 of 2 videos are not evaluated yet: 1:2; the" in capsys.readouterr().err
    run(evaluate.main, [*argv, "--shard=1/2"])
    assert "evaluating step 3 on 1 videos" in capsys.readouterr().err
    names = {
        str(path.relative_to(evaluated))
        for path in evaluated.rglob("*")
        if path.is_file() and path.name != "report.html"
    }
    assert len(names) == 5 + 2 + 2 * 2 * NUM_FRAMES
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (evaluated / name).read_bytes(), name


def test_the_first_frames_alone_can_be_scored(workdir, tmp_path):
    limited = ["--config.evaluation.max_frames=5", "--limit=1"]
    run(evaluate.main, [f"--workdir={workdir}", f"--output={tmp_path}", *limited])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["num_videos"], metrics["num_frames"]) == (1, 5)
    assert metrics["left_out"] == 1
    assert metrics["max_frames"] == 5


def predict_argv(workdir, path, output, *more):
    return [f"--checkpoint={workdir}", f"--input={path}", f"--output={output}", *more]


def maps_of(output, name="clip"):
    paths = sorted((output / "panoptic" / name).iterdir())
    return {path.name: read_png_ids(path) for path in paths}


@pytest.fixture(scope="module")
def predicted(workdir, clip, tmp_path_factory):
    output = tmp_path_factory.mktemp("predicted")
    run(predict.main, predict_argv(workdir, clip, output, "--min_area=1"))
    return output


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--instances=ids"], "--instances is for images; leave it out for videos"),
        (["--batch_size=2"], "--batch_size is for images; leave it out for videos"),
        (
            ["--single_images", "--instances=regions"],
            "evaluation.instances='regions': a model of videos",
        ),
    ],
)
def test_what_is_of_images_is_refused(workdir, clip, tmp_path, capsys, flags, words):
    output = tmp_path / "out"
    argv = predict_argv(workdir, clip, output, *flags)
    assert app.run(predict.main, "predict", argv) == 1
    assert words in capsys.readouterr().err.strip().splitlines()[-1]
    assert not output.exists()


def test_a_video_becomes_maps_tracks_and_a_video(predicted, frames):
    assert list(maps_of(predicted)) == [f"{k:05d}.png" for k in range(len(frames))]
    content = json.loads((predicted / "panoptic.json").read_text())
    infos = [
        info
        for frame in content["annotations"][0]["annotations"]
        for info in frame["segments_info"]
    ]
    things = {(i["id"], i["category_id"]) for i in infos if i["isthing"]}
    assert things and all(i["instance"] > 0 for i in infos if i["isthing"])
    palettes = sorted((predicted / "davis" / "clip").iterdir())
    assert len(palettes) == len(frames)
    with av.open(str(predicted / "clip.mp4")) as made:
        assert sum(1 for _ in made.decode(video=0)) == len(frames)


def test_a_stopped_run_goes_on_to_the_same_maps(
    workdir, clip, predicted, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(predict_video, "_SAVE_EVERY", 3)
    output = tmp_path / "out"
    push = predict_video.Stream.push
    argv = predict_argv(workdir, clip, output, "--min_area=1")
    stop_at(7, monkeypatch, argv)
    assert "7 frames are finished and kept; the same" in capsys.readouterr().err
    assert len(maps_of(output)) == 7 and not (output / "clip.mp4").exists()
    pushed = []

    def counted(stream, frame):
        pushed.append(stream.frame)
        return push(stream, frame)

    monkeypatch.setattr(predict_video.Stream, "push", counted)
    run(predict.main, [*argv, "--resume"])
    assert pushed == [6, 7, 8, 9]
    found, expected = maps_of(output), maps_of(predicted)
    assert list(found) == list(expected)
    for name, ids in expected.items():
        np.testing.assert_array_equal(found[name], ids)
    assert (output / "panoptic.json").read_text() == (
        predicted / "panoptic.json"
    ).read_text()


def test_other_settings_do_not_go_on(workdir, clip, predicted, tmp_path, capsys):
    output = tmp_path / "out"
    shutil.copytree(predicted, output)
    argv = predict_argv(workdir, clip, output, "--min_area=1", "--resume", "--seed=5")
    assert app.run(predict.main, "predict", argv) == 1
    assert "seed 0, not 5" in capsys.readouterr().err


def test_the_state_of_an_earlier_run_is_not_gone_on_with(
    workdir, clip, tmp_path, monkeypatch
):
    output = tmp_path / "out"
    argv = predict_argv(workdir, clip, output, "--min_area=1", "--seed=1")
    run(predict.main, predict_argv(workdir, clip, tmp_path / "whole", *argv[3:]))
    stop_at(1, monkeypatch, predict_argv(workdir, clip, output, "--min_area=1"))
    # As if the run with another seed had saved its state before it was stopped.
    saved = sorted((tmp_path / "whole" / "frames").glob("*.npz"))
    shutil.copy(saved[0], output / "frames" / saved[0].name)
    stop_at(7, monkeypatch, argv)
    assert not list((output / "frames").glob("*.npz"))
    run(predict.main, [*argv, "--resume"])
    for name, ids in maps_of(tmp_path / "whole").items():
        np.testing.assert_array_equal(maps_of(output)[name], ids)


def stop_at(frame, monkeypatch, argv):
    """Runs the command until a frame."""
    push = predict_video.Stream.push

    def stopped(stream, image):
        if stream.frame == frame:
            raise KeyboardInterrupt
        return push(stream, image)

    with monkeypatch.context() as patch:
        patch.setattr(predict_video.Stream, "push", stopped)
        assert app.run(predict.main, "predict", argv) == 130


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_another_video_of_the_name_is_not_mixed_in(
    workdir, predicted, frames, tmp_path, capsys, more
):
    output, other = tmp_path / "out", tmp_path / "clip.mp4"
    shutil.copytree(predicted, output)
    with VideoWriter(other) as writer:
        writer.write(frames[5], 0.0)
    before = maps_of(output)
    argv = predict_argv(workdir, other, output, "--min_area=1", *more)
    assert app.run(predict.main, "predict", argv) == 1
    assert "holds results of another clip" in capsys.readouterr().err
    assert list(maps_of(output)) == list(before)


def test_the_input_is_never_replaced(workdir, clip, tmp_path, capsys):
    here = tmp_path / "clip.mp4"
    shutil.copy(clip, here)
    argv = predict_argv(workdir, here, tmp_path)
    assert app.run(predict.main, "predict", argv) == 1
    assert "would replace the input" in capsys.readouterr().err
    assert here.read_bytes() == clip.read_bytes()
    assert list(tmp_path.iterdir()) == [here]


def test_folders_keep_their_whole_names(workdir, frames, tmp_path):
    for name in ("shot.001", "shot.002"):
        (tmp_path / name).mkdir()
        Image.fromarray(frames[0]).save(tmp_path / name / "0.png")
        argv = predict_argv(workdir, tmp_path / name, tmp_path / "out")
        run(predict.main, argv)
    content = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    names = [video["video_id"] for video in content["videos"]]
    assert names == ["shot.001", "shot.002"]


def test_images_are_not_gone_on_with(workdir, frames, tmp_path, capsys):
    photo = tmp_path / "0.png"
    Image.fromarray(frames[0]).save(photo)
    argv = predict_argv(workdir, photo, tmp_path / "out", "--resume")
    assert app.run(predict.main, "predict", argv) == 1
    assert "--resume is for videos" in capsys.readouterr().err


def test_a_folder_is_a_video_for_a_video_model(workdir, frames, tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for k, frame in enumerate(frames[:3]):
        Image.fromarray(frame).save(folder / f"{k + 8}.png")
    output = tmp_path / "out"
    more = ("--video_format=webm", "--fps=5", "--num_steps=1", "--min_area=1")
    run(predict.main, predict_argv(workdir, folder, output, *more))
    assert set(maps_of(output, "walk")) == {"8.png", "9.png", "10.png"}
    with av.open(str(output / "walk.webm")) as made:
        assert sum(1 for _ in made.decode(video=0)) == 3


def test_a_truncated_video_keeps_what_was_decoded(workdir, clip, tmp_path, capsys):
    cut = tmp_path / "cut.mp4"
    data = clip.read_bytes()
    cut.write_bytes(data[: int(len(data) * 0.75)])
    output = tmp_path / "out"
    run(predict.main, predict_argv(workdir, cut, output))
    told = capsys.readouterr()
    assert "cut.mp4" in told.err
    count = len(maps_of(output, "cut"))
    assert 0 < count < 10 and f"({count} frames)" in told.out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "none.mp4"),
        ("text.mp4", b"no video at all" * 50, "text.mp4"),
        ("empty.mp4", b"", "empty.mp4"),
    ],
)
def test_what_is_no_video_is_named(workdir, tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    argv = predict_argv(workdir, path, tmp_path / "out")
    assert app.run(predict.main, "predict", argv) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("predict: error: ") and message in error


def test_a_model_of_images_cannot_track(tmp_path, micro, clip, capsys):
    workdir = tmp_path / "images"
    saved_training.save(workdir, ["--config=shapes:tiny", *micro], steps=[1])
    argv = predict_argv(workdir, clip, tmp_path / "out")
    assert app.run(predict.main, "predict", argv) == 1
    error = capsys.readouterr().err
    assert "knows no past masks" in error and error.count("\n") == 1


def test_a_stream_can_be_saved_and_gone_on_with(workdir, frames, tmp_path):
    segmenter = Segmenter.from_checkpoint(workdir)
    stream = segmenter.stream(seed=2)
    whole = [stream.push(frame) for frame in frames]
    first = segmenter.stream(seed=2)
    for frame in frames[:4]:
        first.push(frame)
    first.state.save(tmp_path / "state.npz")
    second = segmenter.stream()  # the state has the seed
    second.state = StreamState.load(tmp_path / "state.npz")
    for number, frame in enumerate(frames[4:], start=4):
        found = second.push(frame)
        assert found.frame == number
        np.testing.assert_array_equal(found.panoptic.ids, whole[number].panoptic.ids)
    assert second.state.counts.tolist() == stream.state.counts.tolist()


def test_streams_of_the_same_settings_are_compiled_once(workdir, frames, caplog):
    """For two streams, one of them gone on with, and frames of any size."""
    segmenter = Segmenter.from_checkpoint(workdir)
    options = dict(num_steps=3, num_steps_next=2, stop_changed=0.5, min_area=0)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for seed in (0, 1):
            stream = segmenter.stream(seed=seed, **options)
            for frame in (frames[0], frames[1], frames[2][:20], frames[3]):
                assert 1 <= stream.push(frame).steps <= 3
            again = segmenter.stream(**options)
            again.state = stream.state
            again.push(frames[4])
    compiled = [r for r in caplog.records if "Compiling jit(next_frame)" in r.message]
    assert len(compiled) == 1, [r.message for r in caplog.records]


def test_images_of_any_seed_are_compiled_once(workdir, frames, caplog):
    segmenter = Segmenter.from_checkpoint(workdir)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        maps = [segmenter.predict(frames[0], seed=seed).panoptic for seed in (0, 1)]
    compiled = [r for r in caplog.records if "Compiling jit(_sample)" in r.message]
    assert len(compiled) == 1, [r.message for r in caplog.records]
    assert (maps[0].ids != maps[1].ids).any()


def test_an_unknown_setting_of_a_stream_lists_the_known_ones(workdir):
    segmenter = Segmenter.from_checkpoint(workdir)
    with pytest.raises(
        ValueError, match=r"'num_step'; the sampler's are .*num_steps_n"
    ):
        segmenter.stream(num_step=3)
    with pytest.raises(ValueError, match="retire_after must be >= 0"):
        segmenter.stream(retire_after=-1)
    with pytest.raises(ValueError, match="videos are sampled by ddim"):
        segmenter.stream(sampler="dpmpp_2m")
    with pytest.raises(ValueError, match="seed=4294967296: take it"):
        segmenter.stream(seed=2**32)


def test_the_state_of_another_model_is_refused(workdir, tmp_path):
    stream = Segmenter.from_checkpoint(workdir).stream()
    state = stream.state
    wrong = dataclasses.replace(state, past=state.past[:4])
    with pytest.raises(ValueError, match="the state is of another model"):
        stream.state = wrong
    (tmp_path / "state.npz").write_bytes(b"no state")
    with pytest.raises(ValueError, match=r"state\.npz is not the state of a stream"):
        StreamState.load(tmp_path / "state.npz")


def test_a_result_says_what_is_in_a_frame(workdir, frames, tmp_path):
    segmenter = Segmenter.from_checkpoint(workdir)
    found = segmenter.stream().push(frames[0])
    height, width = frames[0].shape[:2]
    assert found.semantic.shape == found.instance.shape == (height, width)
    assert {s.area for s in found.segments} <= set(found.panoptic.areas.values())
    for segment in found.segments:
        mask = found.panoptic.ids == segment.id
        left, top, box_width, box_height = segment.bbox
        box = mask[top : top + box_height, left : left + box_width]
        assert box.sum() == mask.sum() == segment.area
        assert set(found.semantic[mask].tolist()) == {segment.category_id}
        assert set(found.instance[mask].tolist()) == {segment.instance}
        assert (segment.instance > 0) == segment.is_thing
    assert f"{width} x {height} px" in repr(found)
    first, second = found.save(tmp_path, name="first"), found.save(tmp_path)
    for folder, name in ((first, "first"), (second, "00000")):
        assert folder == tmp_path / name
        assert (folder / "overlay" / f"{name}.png").exists()
        listed = json.loads((folder / "panoptic.json").read_text())
        assert len(listed["annotations"]) == 1
        np.testing.assert_array_equal(
            read_png_ids(folder / "panoptic" / f"{name}.png"), found.panoptic.ids
        )


def test_an_image_is_predicted_as_by_the_command(workdir, frames, tmp_path):
    photo = tmp_path / "0.png"
    Image.fromarray(frames[0]).save(photo)
    output = tmp_path / "out"
    run(predict.main, predict_argv(workdir, photo, output, "--seed=3"))
    found = Segmenter.from_checkpoint(workdir).predict(photo, seed=3)
    np.testing.assert_array_equal(
        found.panoptic.ids, read_png_ids(output / "panoptic" / "0.png")
    )


def test_davis_is_scored_by_its_ids(tmp_path, micro):
    """A real run on a set in DAVIS' layout: ids only, J&F, palette PNGs."""
    root = tmp_path / "davis"
    source = ShapesVideo("val", size=(32, 32), num_videos=1)
    for kind in ("JPEGImages", "Annotations_unsupervised"):
        (root / kind / "480p" / "walk").mkdir(parents=True)
    for k in range(6):
        name = f"{k:05d}"
        example = source[k]
        Image.fromarray(example.image).save(
            root / "JPEGImages/480p/walk" / f"{name}.jpg"
        )
        objects = np.zeros((32, 32), np.uint8)
        for segment in example.panoptic.segments:
            objects[example.panoptic.ids == segment.id] = segment.instance or 0
        Image.fromarray(objects).save(
            root / "Annotations_unsupervised/480p/walk" / f"{name}.png"
        )
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("walk\n")
    argv = [
        "--config=davis:debug",
        *micro,
        f"--config.data.source.root={root}",
    ]
    workdir = tmp_path / "work"
    saved_training.save(workdir, argv, steps=[1])
    output = tmp_path / "out"
    run(evaluate.main, [f"--workdir={workdir}", f"--output={output}", "--report"])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    labels = root / "Annotations_unsupervised" / "480p"
    check_j_and_f(metrics, labels, tmp_path / "out" / "davis", ["walk"])
    text = (output / "report.html").read_text()
    assert f"J&F{percent(metrics['j_and_f']['J&F-Mean'])}" in Page(text).words
    (clip,) = frames_of(text)
    names = {s[0].split()[0] for frame in clip for s in frame["truthSegments"]}
    assert len(clip) == 6 and names == {"object"}


def check_j_and_f(metrics, truth, found, names):
    """The report's J&F is that of the files it wrote."""
    again = davis.evaluate(truth, found, names)
    for name in ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall"):
        assert metrics["j_and_f"][name] == pytest.approx(again[name], abs=1e-12)


def test_two_real_davis_sequences_are_scored_as_their_files(shared, tmp_path, micro):
    """The pipeline on real video; the weights are random, and so is the quality."""
    root = shared / "data" / "davis_sample"
    workdir = tmp_path / "work"
    argv = [
        "--config=davis:debug",
        *micro,
        f"--config.data.source.root={root}",
        "--config.data.source.eval_split=all",
    ]
    saved_training.save(workdir, argv, steps=[1])
    steps = ["--config.diffusion.num_steps=1", "--config.diffusion.num_steps_next=1"]
    run(evaluate.main, [f"--workdir={workdir}", f"--output={tmp_path / 'out'}", *steps])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["num_videos"], metrics["num_frames"]) == (2, 126)
    found, names = tmp_path / "out" / "davis", ["camel", "dogs-jump"]
    check_j_and_f(metrics, root / "Annotations", found, names)
    for name, count in zip(names, (60, 66), strict=True):
        paths = sorted((found / name).iterdir())
        assert len(paths) == count
        with Image.open(paths[-1]) as mask:
            assert mask.mode == "P" and mask.size == (432, 240)
