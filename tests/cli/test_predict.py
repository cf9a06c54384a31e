"""Folders as people have them: odd files, odd images, places that cannot be written."""

import json

import numpy as np
import pytest
import saved_training
from PIL import Image

from pix2seq_d.cli import app, predict
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.panoptic_files import read_png_ids


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    folder = tmp_path_factory.mktemp("predict") / "work"
    argv = ["--config=shapes:tiny", *micro, "--config.diffusion.num_steps=1"]
    saved_training.save(folder, argv, steps=[1])
    return folder


@pytest.fixture
def photo():
    return Image.fromarray(Shapes("val", size=(48, 40), num_examples=1)[0].image)


def argv_of(workdir, source, output, *flags):
    return [
        f"--checkpoint={workdir}",
        f"--input={source}",
        f"--output={output}",
        *flags,
    ]


def test_a_folder_of_all_sorts(workdir, photo, tmp_path, capsys):
    """Other files are listed, images of any mode and size predicted."""
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    for name in ("notes.txt", "clip.mp4", ".hidden.png"):
        (folder / name).write_text("no image")
    photo.resize((1, 1)).save(folder / "dot.png")
    photo.convert("CMYK").save(folder / "print.jpg")
    photo.convert("P").save(
        folder / "moves.gif", save_all=True, append_images=[photo.rotate(90)]
    )
    turned = photo.getexif()
    turned[0x0112] = 8
    photo.save(folder / "phone.JPG", exif=turned)
    output = tmp_path / "out"
    formats = "panoptic,overlay,instances,labelme,two_channel"
    argv = argv_of(workdir, folder, output, f"--formats={formats}", "--min_area=0")
    assert app.run(predict.main, "predict", argv) == 0
    said = capsys.readouterr().out
    assert "skipped:     2 files that are no images: clip.mp4, notes.txt" in said
    assert "the first picture was taken of moves.gif" in said
    for name in formats.split(","):
        assert f"{name}:" in said
    listed = json.loads((output / "panoptic.json").read_text())
    sizes = {e["file_name"]: (e["height"], e["width"]) for e in listed["images"]}
    assert sizes == {
        "dot.png": (1, 1),
        "print.jpg": (48, 40),
        "moves.gif": (48, 40),
        "phone.JPG": (40, 48),
    }
    for kind, suffix in (("overlay", "png"), ("labelme", "json")):
        names = {p.name for p in (output / kind).iterdir()}
        assert names == {f"{n}.{suffix}" for n in ("dot", "print", "moves", "phone")}


def test_things_are_connected_regions_where_that_is_asked_for(workdir, photo, tmp_path):
    photo.save(tmp_path / "a.png")
    counts = []
    for instances in ("ids", "regions"):
        output = tmp_path / instances
        flags = f"--instances={instances}", "--min_area=0", "--formats=panoptic"
        argv = argv_of(workdir, tmp_path / "a.png", output, *flags)
        assert app.run(predict.main, "predict", argv) == 0
        (found,) = json.loads((output / "panoptic.json").read_text())["annotations"]
        counts.append(len(found["segments_info"]))
    assert counts[0] != counts[1] > 5


def test_a_gif_alone_is_its_first_picture_for_a_model_of_images(
    workdir, photo, tmp_path, capsys
):
    gif, still = tmp_path / "a.gif", tmp_path / "still.png"
    first = photo.convert("P")
    first.save(gif, save_all=True, append_images=[photo.rotate(90)])
    with Image.open(gif) as image:
        image.convert("RGB").save(still)
    maps = []
    for source in (gif, still):
        output = tmp_path / f"out_{source.suffix[1:]}"
        argv = argv_of(workdir, source, output, "--min_area=0")
        assert app.run(predict.main, "predict", argv) == 0
        maps.append(read_png_ids(output / "panoptic" / f"{source.stem}.png"))
    np.testing.assert_array_equal(*maps)
    assert "taken of a.gif" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "suffix"), [("gif", ".gif"), ("strip", ".png")])
def test_denoising_is_written_for_each_image(
    workdir, photo, tmp_path, capsys, kind, suffix
):
    folder = tmp_path / "in"
    folder.mkdir()
    photo.save(folder / "a.png")
    photo.resize((90, 30)).save(folder / "a.jpg")
    output = tmp_path / "out"
    flags = (
        f"--denoising={kind}",
        "--num_steps=3",
        "--formats=panoptic",
        "--sampler=dpmpp_2m",
    )
    assert (
        app.run(predict.main, "predict", argv_of(workdir, folder, output, *flags)) == 0
    )
    assert f"denoising:   {output / 'denoising'}" in capsys.readouterr().out
    stems = {p.stem for p in (output / "panoptic").iterdir()}
    made = sorted((output / "denoising").iterdir())
    assert len(stems) == 2 and {p.name for p in made} == {s + suffix for s in stems}
    for path in made:
        with Image.open(path) as picture:
            # Three steps and the result.
            assert getattr(picture, "n_frames", 1) == (4 if kind == "gif" else 1)
            assert picture.width > 800


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (
            "--formats=panoptic,svg",
            "formats: 'svg' is unknown; choose some of panoptic",
        ),
        ("--formats=", "formats: 'none' is unknown"),
        ("--resume", "--resume is for videos"),
        ("--fps=30", "--fps is for videos"),
        ("--num_steps_next=2", "--num_steps_next is for videos"),
        ("--num_steps=0", "--num_steps"),
        ("--seed=4294967296", "--seed"),
        ("--start_time=1.5", "start_time=1.5: take it > 0 and <= 1"),
        ("--sampler=euler", "--sampler"),
        ("--denoising=mp4", "--denoising"),
    ],
)
def test_flags_that_do_not_fit_are_named(workdir, photo, tmp_path, capsys, flag, words):
    photo.save(tmp_path / "a.png")
    output = tmp_path / "out"
    argv = argv_of(workdir, tmp_path / "a.png", output, flag)
    assert app.run(predict.main, "predict", argv) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error
    assert not output.exists()


def test_inputs_are_never_written_over(workdir, photo, tmp_path, capsys):
    folder = tmp_path / "out" / "overlay"
    folder.mkdir(parents=True)
    photo.save(folder / "a.png")
    before = (folder / "a.png").read_bytes()
    argv = argv_of(workdir, folder, tmp_path / "out")
    assert app.run(predict.main, "predict", argv) == 1
    assert "would be written over" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["overlay"]
    # A format without a folder of this name: nothing is in its way.
    folder = folder.rename(tmp_path / "out" / "instances")
    argv = argv_of(workdir, folder, tmp_path / "out", "--formats=instances")
    assert not app.run(predict.main, "predict", argv)
    assert (folder / "a.png").read_bytes() == before


def test_folders_tell_images_of_one_name_apart(workdir, photo, tmp_path):
    for folder in ("a", "a/b", "c"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        photo.save(tmp_path / "in" / folder / "img.png")
    output = tmp_path / "out"
    argv = argv_of(workdir, f"{tmp_path}/in/**/*.png", output)
    assert app.run(predict.main, "predict", argv) == 0
    listed = json.loads((output / "panoptic.json").read_text())
    names = [entry["file_name"] for entry in listed["images"]]
    assert names == ["a/b/img.png", "a/img.png", "c/img.png"]
    assert len(list((output / "overlay").iterdir())) == 3


def test_a_place_that_cannot_be_written_is_named(workdir, photo, tmp_path, capsys):
    """A file where the folder should be: root may write anywhere else."""
    photo.save(tmp_path / "a.png")
    (tmp_path / "file").write_text("keep me")
    argv = argv_of(workdir, tmp_path / "a.png", tmp_path / "file" / "out")
    assert app.run(predict.main, "predict", argv) == 1
    error = capsys.readouterr().err.strip()
    assert str(tmp_path / "file") in error and "\n" not in error
    assert (tmp_path / "file").read_text() == "keep me"


def test_a_folder_of_photos_is_no_video_where_one_says_so(
    tmp_path_factory, micro, photo, tmp_path, capsys
):
    workdir = tmp_path_factory.mktemp("clips") / "work"
    argv = ["--config=shapes_video:tiny", *micro, "--config.diffusion.num_steps=1"]
    saved_training.save(workdir, argv, steps=[1])
    folder = tmp_path / "in"
    folder.mkdir()
    photo.save(folder / "a.png")
    photo.resize((30, 20)).save(folder / "b.png")
    argv = argv_of(workdir, folder, tmp_path / "out", "--single_images")
    assert app.run(predict.main, "predict", argv) == 0
    listed = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert [e["file_name"] for e in listed["images"]] == ["a.png", "b.png"]
