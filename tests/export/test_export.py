"""A file made by launch.export, run where neither this package nor Flax is."""

import dataclasses
import io
import json
import resource
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
import saved_training
from PIL import Image

from pix2seq_d import Segmenter, export
from pix2seq_d.cli import app
from pix2seq_d.cli import export as export_command
from pix2seq_d.cli import predict as predict_command
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.export import file as file_format
from pix2seq_d.export import make
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import read_png_ids

# Each of them another than the checkpoint's.
BUILT_IN = {
    **{"num_steps": 3, "sampler": "dpmpp_2m", "time_difference": 0.5},
    **{"start_time": 0.8, "min_area": 3},
}
EXPORTED = [*(f"--{name}={v}" for name, v in BUILT_IN.items()), "--dtype=float32"]
SIZES = [(40, 56), (64, 64), (31, 90)]

# As the documented runner, for batches; what the file must not need cannot be imported.
RUNNER = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pix2seq_d", "flax", "tensorflow", "optax", "orbax"}:
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Refuse())
import jax
import numpy as np

with np.load(sys.argv[1]) as archive:
    program = jax.export.deserialize(bytearray(archive["program"].tobytes()))
    names = sorted(n for n in archive.files if n.startswith("weight/"))
    weights = [archive[n] for n in names]
photos = np.load(sys.argv[2])
segment = jax.jit(program.call)
found = {}
for batch in (1, 3, 8):
    images = photos["images"][:batch]
    maps = segment(weights, images, photos["sizes"][:batch], np.uint32(5))
    found |= {f"{name}{batch}": np.asarray(m) for name, m in zip("sic", maps)}
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    folder = tmp_path_factory.mktemp("export") / "work"
    argv = ["--config=shapes:tiny", "--config.train.dtype=bfloat16", *micro]
    argv += ["--config.evaluation.split_ids=True"]
    saved_training.save(folder, argv, steps=[1])
    return folder


@pytest.fixture(scope="module")
def file(workdir, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.npz"
    argv = [f"--checkpoint={workdir}", f"--output={path}", *EXPORTED]
    assert app.run(export_command.main, "export", argv) == 0
    return path


@pytest.fixture(scope="module")
def photos():
    """Eight of three sizes."""
    scenes = Shapes("val", size=(64, 64), num_examples=8)
    return [
        np.asarray(Image.fromarray(scenes[k].image).resize(SIZES[k % 3][::-1]))
        for k in range(8)
    ]


@pytest.fixture(scope="module")
def padded(photos):
    sizes = np.array([photo.shape[:2] for photo in photos], np.int32)
    images = np.full((8, *sizes.max(0), 3), 200, np.uint8)
    for image, photo in zip(images, photos, strict=True):
        image[: photo.shape[0], : photo.shape[1]] = photo
    return images, sizes


def partition(semantic, instance):
    """Numbers of the (class, instance) pairs by their first pixel: equal if alike."""
    pairs = np.stack([semantic, instance], -1).reshape(-1, 2)
    _, first, inverse = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].reshape(semantic.shape)


def test_a_fresh_process_without_this_package_gives_the_live_labels(
    workdir, file, photos, padded, tmp_path
):
    images, sizes = padded
    np.savez(tmp_path / "photos.npz", images=images, sizes=sizes)
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            RUNNER,
            file,
            tmp_path / "photos.npz",
            tmp_path / "out.npz",
        ],
        check=True,
    )
    found = np.load(tmp_path / "out.npz")
    segmenter = Segmenter.from_checkpoint(workdir, dtype="float32")
    for batch in (1, 3, 8):
        live = segmenter.predict_each(
            photos[:batch], **BUILT_IN, seed=5, batch_size=batch
        )
        equal = []
        for row, result in enumerate(live):
            height, width = sizes[row]
            inside = np.s_[row, :height, :width]
            semantic, instance = found[f"s{batch}"][inside], found[f"i{batch}"][inside]
            same = semantic == result.semantic
            same &= partition(semantic, instance) == partition(
                result.semantic, result.instance
            )
            equal.append(same.all())
            assert result.certainty is not None
            np.testing.assert_allclose(
                found[f"c{batch}"][inside][same], result.certainty[same], atol=1e-4
            )
            outside = found[f"s{batch}"][row].copy()
            outside[:height, :width] = 0
            assert not outside.any()
        # Random weights: bits near zero may flip with the last digit of a sum. With
        # trained ones 50 of 50 images are equal (benchmarks/export_parity.py).
        assert np.mean(equal) >= 0.8, equal


def test_things_are_connected_regions_where_that_is_asked_for(
    workdir, photos, tmp_path
):
    path = tmp_path / "regions.npz"
    argv = [f"--checkpoint={workdir}", f"--output={path}", *EXPORTED]
    argv += ["--instances=regions", "--platforms=cpu"]
    assert app.run(export_command.main, "export", argv) == 0
    settings = BUILT_IN | {"instances": "regions"}
    live = Segmenter.from_checkpoint(workdir, dtype="float32")
    expected = live.predict(photos[:3], **settings, seed=5)
    by_id = live.predict(photos[:3], **BUILT_IN, seed=5)
    found = Segmenter.from_checkpoint(path).predict(photos[:3], seed=5)
    equal = [
        (partition(f.semantic, f.instance) == partition(e.semantic, e.instance)).all()
        and (f.semantic == e.semantic).all()
        for f, e in zip(found, expected, strict=True)
    ]
    assert sum(equal) >= 2, equal  # as above
    for other, e in zip(by_id, expected, strict=True):
        assert len(other.segments) != len(e.segments)


def test_the_loaded_file_says_what_it_is(file):
    model = export.load(file)
    assert model.metadata["num_steps"] == 3 and model.metadata["min_area"] == 3
    assert model.metadata["dtype"] == "float32"
    assert model.metadata["platforms"] == ["cpu", "cuda", "tpu"]
    assert model.label_space == Shapes.label_space
    assert model.metadata["void"] == 0


@pytest.mark.parametrize(
    ("images", "settings", "words"),
    [
        ((4, 4, 3), {}, r"images must be uint8 \[B, H, W, 3\]"),
        ((1, 0, 4, 3), {}, r"images must be uint8 \[B, H, W, 3\]"),
        ((1, 4, 5, 3), {"sizes": [[4, 6]]}, r"1 \.\.\. \(4, 5\), got \[\[4, 6\]\]"),
        ((1, 4, 5, 3), {"sizes": [[0, 5]]}, r"got \[\[0, 5\]\]"),
        ((2, 4, 5, 3), {"sizes": [[4, 5]]}, r"sizes must be \[2, 2\]"),
        ((1, 4, 5, 3), {"seed": 2**32}, r"seed=4294967296: .* takes 0 \.\.\. 2\*\*32"),
        ((1, 4, 5, 3), {"seed": -1}, "seed=-1"),
    ],
)
def test_arguments_that_are_none_are_named(file, images, settings, words):
    with pytest.raises(ValueError, match=words):
        export.load(file)(np.zeros(images, np.uint8), **settings)


def test_void_is_told_from_a_category_of_id_0(workdir, tmp_path):
    """As KITTI-STEP's road; here the largest segment's class has it."""
    scene = Shapes("val", size=(64, 64), num_examples=1)[0].image
    live = Segmenter.from_checkpoint(workdir, dtype="float32")
    trained, live = live.trained, live.predict(scene)
    largest = live.segments[0].category_id
    categories = tuple(
        dataclasses.replace(c, id=0) if c.id == largest else c
        for c in trained.labels.categories
    )
    trained = dataclasses.replace(trained, labels=LabelSpace(categories))
    make.write(trained, tmp_path / "model.npz", platforms=["cpu"])
    found = Segmenter.from_checkpoint(tmp_path / "model.npz").predict(scene)
    void, road = found.panoptic.ids == 0, found.panoptic.ids != 0
    road &= found.semantic == 0
    # Rounding may flip bits of random weights, see above.
    assert (live.semantic == 0).any()
    assert np.mean(void == (live.semantic == 0)) > 0.99
    assert np.mean(road == (live.semantic == largest)) > 0.99


def rewritten(file, path, **changed):
    """A copy with arrays changed; None leaves one out."""
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files} | changed
    with path.open("wb") as out:
        np.savez(out, **{k: v for k, v in arrays.items() if v is not None})
    return path


def described(file, **changed):
    with np.load(file) as archive:
        metadata = json.loads(archive["metadata"].tobytes()) | changed
    return np.frombuffer(json.dumps(metadata).encode(), np.uint8)


def test_altered_files_are_refused(file, tmp_path):
    with np.load(file) as archive:
        weight, program = archive["weight/0003"].copy(), archive["program"].copy()
    weight.ravel()[0] += 1e-3
    program[len(program) // 2] ^= 1
    copy = tmp_path / "copy.npz"
    for changed in (
        {"weight/0003": weight},
        {"program": program},
        {"weight/0000": None},
        {"program": None},
        {"metadata": described(file, num_steps=4)},
        {"metadata": described(file, categories=[])},
        {"weight/9999": weight},
        {"sha256": None},
    ):
        rewritten(file, copy, **changed)
        with pytest.raises(ValueError, match="not those that were written"):
            export.load(copy)


def test_other_versions_and_other_files_are_refused(file, tmp_path):
    copy = tmp_path / "copy.npz"
    rewritten(file, copy, metadata=described(file, version=99))
    with pytest.raises(ValueError, match="is of version 99, this program reads 1"):
        export.load(copy)
    data = file.read_bytes()
    np.savez(other := io.BytesIO(), a=np.zeros(3))
    np.save(array := io.BytesIO(), np.zeros(3))
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo("weight/0003.npy")
    flipped = bytearray(data)
    flipped[info.header_offset + 200] ^= 255  # a weight: the archive's checksum
    for content in (
        b"",
        b"no archive",
        data[: len(data) // 2],
        other.getvalue(),
        array.getvalue(),
        flipped,
    ):
        copy.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"copy\.npz: is no file of launch\.export"
        ):
            export.load(copy)
    with pytest.raises(ValueError, match="is a folder"):
        export.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"launch\.export makes one"):
        export.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (
            "--platforms=cpu,gpu",
            "platforms: 'gpu' is unknown; choose some of cpu, cuda",
        ),
        ("--output=.", "--output=. is a folder"),
        ("--output=/proc/x/model.npz", "/proc/x/model.npz cannot be written"),
        ("--num_steps=0", "--num_steps"),
    ],
)
def test_bad_flags_are_named(workdir, tmp_path, capsys, flag, words):
    argv = [f"--checkpoint={workdir}", f"--output={tmp_path / 'a.npz'}", flag]
    assert app.run(export_command.main, "export", argv) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--platforms=gpu", "platforms: 'gpu' is unknown; choose some of cpu, cuda"),
        ("--platforms=", "platforms: 'none' is unknown"),
        ("--platforms=cpu", "a.json: is a file; name a new folder"),
    ],
)
def test_a_saved_model_is_refused_before_the_work(
    workdir, tmp_path, capsys, flag, words
):
    path = tmp_path / "a.json"
    path.write_text("keep me")
    argv = [f"--checkpoint={workdir}", f"--output={path}", "--format=saved_model", flag]
    assert app.run(export_command.main, "export", argv) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error
    assert path.read_text() == "keep me"


def test_a_video_model_is_refused(micro, tmp_path, capsys):
    argv = ["--config=shapes_video:tiny", *micro]
    saved_training.save(tmp_path / "work", argv, steps=[1])
    argv = [f"--checkpoint={tmp_path / 'work'}", f"--output={tmp_path / 'a.npz'}"]
    assert app.run(export_command.main, "export", argv) == 1
    assert "is a model of video" in capsys.readouterr().err


def test_the_segmenter_and_the_command_take_the_file(workdir, file, photos, tmp_path):
    from_file = Segmenter.from_checkpoint(file)
    live = Segmenter.from_checkpoint(workdir, dtype="float32")
    assert "3 steps, float32" in repr(from_file) and str(file) in repr(from_file)
    settings = dict(seed=5, batch_size=3)
    found = from_file.predict(photos[:4], **settings)
    expected = live.predict(photos[:4], **BUILT_IN, **settings)
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        same = partition(one.semantic, one.panoptic.ids)
        assert np.mean(same == partition(other.semantic, other.panoptic.ids)) > 0.99
        assert one.steps == 3 and one.segments[0].confidence is not None
    assert len({s.id for s in found[0].segments}) == len(found[0].segments)

    photo = tmp_path / "a.png"
    Image.fromarray(photos[0]).save(photo)
    argv = [f"--checkpoint={file}", f"--input={photo}", "--seed=5"]
    argv.append(f"--output={tmp_path / 'out'}")
    assert app.run(predict_command.main, "predict", argv) == 0
    np.testing.assert_array_equal(
        read_png_ids(tmp_path / "out" / "panoptic" / "a.png"),
        from_file.predict(photo, seed=5).panoptic.ids,
    )


def test_what_is_built_into_the_file_cannot_be_asked_for(
    file, photos, tmp_path, capsys
):
    segmenter = Segmenter.from_checkpoint(file)
    with pytest.raises(ValueError, match=r"num_steps=4: is built into .*model\.npz"):
        segmenter.predict(photos[0], num_steps=4)
    with pytest.raises(ValueError, match=r"start_time=0\.5: is built into"):
        segmenter.predict(photos[0], start_time=0.5)
    with pytest.raises(ValueError, match="take the checkpoint of a video model"):
        segmenter.stream()
    with pytest.raises(ValueError, match="gives no steps of the sampler"):
        segmenter.denoising(photos[0])
    for asked in (dict(step=1), dict(dtype="bfloat16"), dict(devices=jax.devices())):
        with pytest.raises(ValueError, match="has its own step and dtype"):
            Segmenter.from_checkpoint(file, **asked)
    Image.fromarray(photos[0]).save(tmp_path / "a.png")
    for flag, words in (
        ("--min_area=9", "min_area=9: is built into"),
        ("--instances=ids", "instances=ids: is built into"),
        ("--denoising=gif", "an exported file, which gives no steps"),
    ):
        argv = [f"--checkpoint={file}", f"--input={tmp_path / 'a.png'}", flag]
        argv.append(f"--output={tmp_path / 'out'}")
        assert app.run(predict_command.main, "predict", argv) == 1
        assert words in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_saved_model_gives_the_labels_of_the_file(
    workdir, file, padded, tmp_path, capsys
):
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path / "saved"
    argv = [f"--checkpoint={workdir}", f"--output={folder}", *EXPORTED]
    argv += ["--format=saved_model", "--platforms=cpu"]
    assert app.run(export_command.main, "export", argv) == 0
    images, sizes = (array[:3] for array in padded)
    loaded = tf.saved_model.load(str(folder))
    found = loaded.call(images, sizes, np.uint32(5))
    expected = export.load(file)(images, sizes, seed=5)
    # XLA of another version compiles it: bits near zero may flip.
    for name, labels in zip(("semantic", "instance"), expected, strict=False):
        assert np.mean(found[name].numpy() == labels) > 0.99
    described = json.loads((folder / "assets.extra" / "metadata.json").read_text())
    assert described["num_steps"] == 3
    named = [text.partition(":")[0] for text in described["inputs"]]
    assert named == ["images", "sizes", "seed"]
    assert app.run(export_command.main, "export", argv) == 1
    assert "is not empty; name a new folder" in capsys.readouterr().err


def test_a_saved_model_needs_tensorflow(workdir, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    argv = [f"--checkpoint={workdir}", f"--output={tmp_path / 'saved'}"]
    argv.append("--format=saved_model")
    assert app.run(export_command.main, "export", argv) == 1
    error = capsys.readouterr().err.strip()
    assert "pip install tensorflow-cpu" in error and "\n" not in error
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(b"the last export")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"model\.npz cannot be written"):
            file_format.save(path, b"program", [np.zeros(10_000, np.float32)], {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]
    assert path.read_bytes() == b"the last export"
