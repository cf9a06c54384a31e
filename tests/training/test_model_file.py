"""A model in one file: what is read is what was saved; damage is named in one line."""

import dataclasses
import json

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open
from tiny_model import TINY, random_variables

from pix2seq_d.cli import app, predict
from pix2seq_d.config import Config
from pix2seq_d.convert import weights
from pix2seq_d.data.shapes import LABEL_SPACE
from pix2seq_d.models import Pix2SeqD
from pix2seq_d.training import checkpoint, model_file
from pix2seq_d.training.checkpoint_format import CheckpointError

ABOUT = {"hardware": "two cores"}


@pytest.fixture(scope="module")
def model():
    variables = random_variables(Pix2SeqD(TINY))
    return model_file.Model(variables, Config(model=TINY), LABEL_SPACE, 70, ABOUT)


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    model_file.save(path, model)
    return path


def rewrite(path, change):
    """The same file with other texts; `change` gets them as a dict of JSON."""
    with safe_open(path, framework="np") as opened:
        metadata = opened.metadata()
    arrays = safetensors.numpy.load_file(path)
    content = json.loads(metadata["pix2seq_d"])
    change(content, arrays)
    text = json.dumps(content)
    crc = model_file._crc32(text, arrays)
    safetensors.numpy.save_file(arrays, path, {"pix2seq_d": text, "crc32": str(crc)})


def test_what_is_read_is_what_was_saved(model, file):
    found = model_file.load(file)
    assert (found.config, found.labels, found.step, found.about) == (
        *(model.config, model.labels, model.step, ABOUT),
    )
    trained = checkpoint.load(file, step=70)
    assert (trained.step, trained.workdir) == (70, file)
    expected = jax.tree.map(lambda x: x.astype(jnp.float16), model.variables)
    for tree in (found.variables, trained.variables):
        assert jax.tree.structure(tree) == jax.tree.structure(expected)
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
            assert a.dtype == np.float32
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b, np.float32))


def test_a_training_starts_from_it(file):
    assert weights.recognise(file) == "checkpoint"
    source = weights.read(file, TINY)
    assert source.config == TINY
    assert source.parts == ("encoder", "pyramid", "decoder")
    assert any("moving average alone" in note for note in source.notes)
    kernel = flax.traverse_util.flatten_dict(source.ema, sep="/")
    assert kernel.keys() == safetensors.numpy.load_file(file).keys()


@pytest.mark.parametrize("arguments", [{"step": 3}, {"weights": "online"}])
def test_it_holds_one_average_of_one_step(file, arguments):
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors: holds .* alone"):
        checkpoint.load(file, **arguments)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-1000] ^= 4
    path.write_bytes(data)


def flipped_in_the_texts(path):
    path.write_bytes(path.read_bytes().replace(b"two cores", b"two doors"))


def of_something_else(path):
    safetensors.numpy.save_file({"conv1.weight": np.ones(3, np.float32)}, path)


def of_a_newer_format(path):
    rewrite(path, lambda content, _: content.update(format=2))


def of_another_model(path):
    rewrite(
        path, lambda _, arrays: arrays.update({"params/more": np.ones(2, np.float16)})
    )


def with_an_unknown_field(path):
    rewrite(path, lambda content, _: content["config"].update(zoom=3))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "is truncated or not a safetensors file"),
        (empty, "is truncated or not a safetensors file"),
        (flipped, "changed since it was saved"),
        (flipped_in_the_texts, "changed since it was saved"),
        (of_something_else, "is no model of this project; give a file of launch"),
        (of_a_newer_format, "has format 2, written by pix2seq_d"),
        (of_another_model, "has model/params/more, which the model has not"),
        (with_an_unknown_field, "unknown config field 'zoom'"),
    ],
)
def test_damage_ends_in_one_line(file, tmp_path, capsys, damage, words):
    damage(file)
    (tmp_path / "a.png").touch()
    argv = [f"--checkpoint={file}", f"--input={tmp_path / 'a.png'}", "--output=x"]
    assert app.run(predict.main, "predict", argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("predict: error: ") and "tiny.safetensors" in line
    assert words in line


def test_arrays_beyond_float16_stay_float32(model, tmp_path):
    """As variances of a training that began with an ImageNet ResNet."""
    large = jax.tree.map(lambda x: x * 1e6, model.variables["batch_stats"])
    variables = {**model.variables, "batch_stats": large}
    path = tmp_path / "large.safetensors"
    model_file.save(path, dataclasses.replace(model, variables=variables))
    found = model_file.load(path).variables["batch_stats"]
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(large), strict=True):
        beyond = np.abs(b).max() >= 65520
        kept = np.asarray(b, np.float32 if beyond else np.float16)
        np.testing.assert_array_equal(np.asarray(a), kept)
    assert max(np.abs(x).max() for x in jax.tree.leaves(found)) > 65520


def test_no_number_is_not_saved(model, tmp_path):
    bad = jax.tree.map(lambda x: x * np.nan, model.variables)
    path = tmp_path / "bad.safetensors"
    with pytest.raises(ValueError, match="norm/mean has values that are not finite"):
        model_file.save(path, dataclasses.replace(model, variables=bad))
    with pytest.raises(ValueError, match=r"a\.npz: name the file of a model"):
        model_file.save(tmp_path / "a.npz", model)
    assert not list(tmp_path.iterdir())
