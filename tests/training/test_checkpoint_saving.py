"""What is saved comes back; what cannot be saved is said, and spoils nothing."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from small_state import abstract_state, assert_equal, save, saved, state_at

import pix2seq_d
from pix2seq_d.config import Config
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checkpoint_format
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.store import CheckpointStore

CATEGORIES = (
    Category(7, "sky", False, (0, 0, 255)),
    Category(3, "door", True, (255, 0, 0)),
)


def test_the_state_may_be_donated_while_it_is_saved(tmp_path):
    state = state_at(3)
    expected = jax.tree.map(np.array, state)
    overwrite = jax.jit(
        lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0
    )
    with CheckpointStore(tmp_path, keep=1) as store:
        store.save(state, config=Config(), labels=LabelSpace(CATEGORIES))
        for _ in range(3):
            state = overwrite(state)
        store.wait()
        resumed = store.resume(abstract_state())
    assert_equal(resumed.state, expected)
    assert resumed.step == 3
    assert resumed.labels.categories == CATEGORIES
    assert not resumed.notes


def test_saving_from_many_devices_compiles_nothing(tmp_path, caplog):
    mesh = meshes.make_mesh()
    assert mesh.size == 8
    state = state_at(1, mesh)
    heard = jax.log_compiles(), caplog.at_level("WARNING")
    with heard[0], heard[1], CheckpointStore(tmp_path, keep=1) as store:
        store.save(state, config=Config(), labels=LabelSpace(CATEGORIES))
        store.wait()
        resumed = store.resume(abstract_state(mesh))
    assert not [r.message for r in caplog.records if "Compiling" in r.message]
    assert_equal(resumed.state, state)


def test_latest_and_best_are_kept(tmp_path):
    scores = {1: 0.1, 2: 0.5, 3: 0.4, 4: float("nan"), 5: 0.2, 6: 0.3, 7: 0.0}
    with CheckpointStore(tmp_path, keep=2, keep_best=2) as store:
        for step in range(1, 5):
            save(store, step)
            store.score(step, scores[step])
        store.score(99, 1.0)  # of no checkpoint
        assert store.steps() == [2, 3, 4]
    # The scores are remembered.
    with CheckpointStore(tmp_path, keep=2, keep_best=2) as store:
        for step in range(5, 8):
            save(store, step)
            store.score(step, scores[step])
        assert store.steps() == [2, 3, 6, 7]
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"2", "3", "6", "7", "scores.json"}


def test_without_keep_best_only_the_latest_are_kept(tmp_path):
    with CheckpointStore(tmp_path, keep=1) as store:
        for step in (1, 2):
            save(store, step)
            store.score(step, 1 / step)
        assert store.steps() == [2]


def test_a_step_is_saved_once_and_never_before_a_later_one(tmp_path):
    with CheckpointStore(tmp_path, keep=9) as store:
        save(store, 2)
        save(store, 2)
        with pytest.raises(CheckpointError, match=r"step 1 was not saved; .* step 2"):
            save(store, 1)
        assert store.steps() == [2]


def test_the_checkpoint_says_where_in_the_data_and_by_which_code(tmp_path):
    state = state_at(30)
    config = Config()
    with CheckpointStore(tmp_path, keep=1) as store:
        store.save(state, config=config, labels=LabelSpace(CATEGORIES), num_images=320)
    meta = checkpoint_format.read_meta(tmp_path / "checkpoints" / "30")
    assert meta["format"] == checkpoint_format.FORMAT
    assert (meta["step"], meta["seed"]) == (30, config.train.seed)
    assert meta["images_seen"] == 30 * config.train.batch_size
    assert meta["epoch"] == 30 * config.train.batch_size / 320
    assert meta["code"]["pix2seq_d"] == pix2seq_d.__version__
    assert meta["code"]["jax"] == jax.__version__

    with CheckpointStore(tmp_path, keep=1) as store:
        (note,) = store.resume(abstract_state(), num_images=319).notes
    assert "319 images now, 320 when step 30 was saved" in note


def test_a_restored_state_takes_no_more_memory_than_a_fresh_one(tmp_path):
    saved(tmp_path, 1)
    before = sum(array.nbytes for array in jax.live_arrays())
    fresh = sum(leaf.nbytes for leaf in jax.tree.leaves(state_at(1)))
    with CheckpointStore(tmp_path, keep=1) as store:
        resumed = store.resume(abstract_state())
        now = sum(array.nbytes for array in jax.live_arrays())
    assert resumed is not None
    assert now - before == fresh


def run_script(*arguments):
    """Runs failing_saves.py; returns its lines and what it said besides."""
    script = Path(__file__).with_name("failing_saves.py")
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    return done.stdout.splitlines(), done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; None where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def public():
    """A folder that every user may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield folder


def test_a_failed_save_surfaces_and_spoils_nothing(tmp_path, public, small_disk):
    work = tmp_path / "work"
    lines, errors = run_script(work, public, *([small_disk] if small_disk else []))

    def failed(step, reason, folder=work, last=2):
        return (
            f"{folder}/checkpoints: saving step {step} failed: {reason}; free space or "
            "mend the folder and start the same command again (step "
            f"{last} is the last saved)"
        )

    limited = [
        failed(3, "File too large"),
        "[1, 2]",
        failed(4, "File too large"),
        "[1, 2]",
        "space again: [2, 5]",
    ]
    full = [
        failed(2, "No space left on device", small_disk, last=1),
        failed(4, "Read-only file system", small_disk, last=3),
        "space again: [3, 5]",
    ]
    denied = [failed(2, "Permission denied", public, last=1), "allowed again: [1, 3]"]
    assert lines == limited + (full if small_disk else []) + denied + [
        failed(6, "File too large", last=5)
    ]
    # Neither Orbax nor TensorStore has added tracebacks to that.
    assert errors == failed(7, "File too large", last=5) + "\n"

    # A new process removes what the failed ones left.
    left = {path.name for path in (work / "checkpoints").iterdir()}
    assert {"2", "5"} < left
    with CheckpointStore(work, keep=2) as store:
        resumed = store.resume(abstract_state())
    assert resumed.step == 5
    assert not resumed.notes
    assert_equal(resumed.state, state_at(5))
    assert {path.name for path in (work / "checkpoints").iterdir()} == {"2", "5"}
