"""Checkpoints of all formats are read forever; what cannot be read is named."""

import json
import shutil
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
from recorded_checkpoint import CONFIG, LABELS, STEP, abstract_state, recorded_state
from small_state import assert_equal

from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint, checksums
from pix2seq_d.training.checkpoint_format import FORMAT, CheckpointError
from pix2seq_d.training.store import CheckpointStore

RECORDS = Path(__file__).with_name("checkpoints")


def unpack(number, folder):
    with tarfile.open(RECORDS / f"format_{number}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "checkpoints" / str(STEP)


@pytest.fixture
def latest(tmp_path):
    """The folder of a checkpoint in the latest format."""
    return unpack(FORMAT, tmp_path)


def set_json(folder, item, **values):
    """Changes a JSON item, and takes the checksums away, which know the old one."""
    path = folder / item / "metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    (folder / checksums.CHECKSUMS).unlink(missing_ok=True)


@pytest.mark.parametrize("number", range(FORMAT + 1))
def test_every_format_is_read(tmp_path, number):
    unpack(number, tmp_path)
    abstract = abstract_state(meshes.make_mesh(jax.devices()[:2], fsdp=2))
    expected = recorded_state(abstract)
    for weights, part in (("ema", expected.ema), ("online", expected.variables)):
        trained = checkpoint.load(tmp_path, weights=weights)
        assert_equal(trained.variables, part)
    assert trained.config.model == CONFIG.model
    assert trained.labels == LABELS
    assert (trained.step, trained.workdir) == (STEP, tmp_path)

    with CheckpointStore(tmp_path, keep=1) as store:
        resumed = store.resume(abstract)
    assert_equal(resumed.state, expected)
    assert (resumed.step, resumed.labels, resumed.notes) == (STEP, LABELS, ())


def test_a_newer_format_is_refused(tmp_path, latest):
    set_json(latest, "meta", format=FORMAT + 1)
    message = f"has format {FORMAT + 1}, written by pix2seq_d .* update it"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path)
    with (
        CheckpointStore(tmp_path, keep=1) as store,
        pytest.raises(CheckpointError, match=message),
    ):
        store.resume(abstract_state(meshes.make_mesh()))
    assert latest.is_dir()


def test_a_step_that_does_not_exist_is_refused(tmp_path, latest):
    shutil.copytree(latest, latest.with_name("21"))
    with pytest.raises(CheckpointError, match="no checkpoint of step 8; it has 7, 21"):
        checkpoint.load(tmp_path, step=8)


def flip_a_bit(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_named_where_it_is_read(tmp_path, latest):
    flip_a_bit(latest / "ema")
    with pytest.raises(
        CheckpointError, match=r"checkpoints/7 cannot be read .*: ema/.* changed since"
    ):
        checkpoint.load(tmp_path)
    found = checkpoint.load(tmp_path, weights="online").variables
    leaves = jax.tree.leaves(found)
    assert len({float(np.asarray(leaf).flat[0]) for leaf in leaves}) == len(leaves)


def test_an_absent_average_is_named(tmp_path, latest):
    shutil.rmtree(latest / "ema")
    with pytest.raises(
        CheckpointError, match=r"cannot be read .*: it lacks ema; give another"
    ):
        checkpoint.load(tmp_path)


def test_arrays_of_another_model_are_named(tmp_path, latest):
    model = json.loads((latest / "config" / "metadata").read_text())["model"]
    model["decoder"]["dim"] *= 2
    set_json(latest, "config", model=model)
    with pytest.raises(
        CheckpointError,
        match=r"has ema/params/decoder/\S+ as float32\[\S+, the model as float32",
    ):
        checkpoint.load(tmp_path)
