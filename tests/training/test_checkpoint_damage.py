"""Damaged checkpoints: the last good one is taken, with a line; never a fresh start."""

import gc
import os
import shutil
import sys

import pytest
from small_state import abstract_state, assert_equal, save, saved, state_at

from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import checksums, orbax_errors
from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.store import CheckpointStore


def array_file(folder, item="ema"):
    """The file that holds most of an item's arrays."""
    files = [path for path in (folder / item).rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


def truncate(folder):
    path = array_file(folder)
    os.truncate(path, path.stat().st_size * 2 // 3)


def flip_a_bit(folder):
    path = array_file(folder, "optimizer")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def remove_a_file(folder):
    array_file(folder).unlink()


def remove_the_average(folder):
    shutil.rmtree(folder / "ema")


def remove_all_items(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def spoil_the_checksums(folder):
    (folder / checksums.CHECKSUMS).write_text("{")


def empty_the_position(folder):
    (folder / "meta" / "metadata").write_bytes(b"")


def remove_the_position(folder):
    (folder / "meta" / "metadata").unlink()


def as_of_format_0(folder):
    """Without checksums, truncated: Orbax finds that itself."""
    (folder / checksums.CHECKSUMS).unlink()
    truncate(folder)


DAMAGE = {
    truncate: "was truncated or changed since it was saved",
    flip_a_bit: "was truncated or changed since it was saved",
    remove_a_file: "it lacks ema/",
    remove_the_average: "it lacks ema",
    remove_all_items: "it lacks variables",
    spoil_the_checksums: "checksums.json cannot be read",
    empty_the_position: "meta/metadata was truncated or changed",
    remove_the_position: "it lacks meta/metadata",
    as_of_format_0: "cannot be restored",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checkpoint_before_a_damaged_one_is_taken(tmp_path, damage):
    folder = saved(tmp_path, 1, 2) / "checkpoints"
    damage(folder / "2")
    with CheckpointStore(tmp_path, keep=9) as store:
        with pytest.raises(CheckpointError, match=f"checkpoints/2 .*{DAMAGE[damage]}"):
            store.restore(abstract_state(), step=2)
        resumed = store.resume(abstract_state())
        (note,) = resumed.notes
        assert f"{folder}/2 cannot be restored: " in note
        assert DAMAGE[damage] in note
        assert note.endswith("; kept as 2.unreadable, going on from step 1")
        assert resumed.step == 1
        assert_equal(resumed.state, state_at(1))
        # The step is free again, and nothing was deleted.
        save(store, 2)
        store.wait()
        assert_equal(store.restore(abstract_state(), step=2), state_at(2))
    assert (folder / "2.unreadable").is_dir()


def test_several_damaged_ones_are_kept_under_names_of_their_own(tmp_path):
    folder = saved(tmp_path, 1, 2, 3) / "checkpoints"
    for _ in range(2):
        truncate(folder / "3")
        truncate(folder / "2")
        with CheckpointStore(tmp_path, keep=9) as store:
            resumed = store.resume(abstract_state())
            assert (resumed.step, len(resumed.notes)) == (1, 2)
            save(store, 2)
            save(store, 3)
    names = {"1", "2", "3"} | {
        f"{step}.unreadable{copy}" for step in (2, 3) for copy in ("", "-2")
    }
    assert {path.name for path in folder.iterdir()} == names


def test_where_none_can_be_read_the_training_does_not_begin_anew(tmp_path):
    folder = saved(tmp_path, 1, 2) / "checkpoints"
    truncate(folder / "1")
    remove_the_average(folder / "2")
    with (
        CheckpointStore(tmp_path, keep=9) as store,
        pytest.raises(
            CheckpointError,
            match=r"no checkpoint can be read: .*/2 .* lacks ema; .*/1 .* truncated",
        ),
    ):
        store.resume(abstract_state())
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_what_a_killed_save_leaves_is_removed_and_no_checkpoint(tmp_path):
    folder = saved(tmp_path, 1) / "checkpoints"
    left = folder / "2.orbax-checkpoint-tmp"
    shutil.copytree(folder / "1", left)
    (left / checksums.CHECKSUMS).unlink()
    with CheckpointStore(tmp_path, keep=9) as store:
        resumed = store.resume(abstract_state())
        assert resumed.step == 1
        assert not resumed.notes
        save(store, 2)
    assert {path.name for path in folder.iterdir()} == {"1", "2"}


def test_a_folder_without_checkpoints_has_nothing_to_go_on_from(tmp_path):
    with CheckpointStore(tmp_path, keep=9) as store:
        assert store.resume(abstract_state()) is None
        assert store.latest_step() is None


def test_the_markers_of_orbax_are_not_needed(tmp_path):
    folder = saved(tmp_path, 1) / "checkpoints" / "1"
    for name in ("_CHECKPOINT_METADATA", "commit_success.txt"):
        (folder / name).unlink()
    with CheckpointStore(tmp_path, keep=9) as store:
        assert_equal(store.resume(abstract_state()).state, state_at(1))


def test_what_orbax_drops_half_way_is_not_printed(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    orbax_errors.quiet.__wrapped__()
    # Many reads at once, the first of which fails: when the others end is chance.
    abstract = abstract_state(meshes.make_mesh(fsdp=8))
    folder = saved(tmp_path, 1) / "checkpoints" / "1"
    as_of_format_0(folder)
    with CheckpointStore(tmp_path, keep=9) as store:
        for _ in range(5):
            with pytest.raises(CheckpointError, match="cannot be restored"):
                store.restore(abstract, step=1)
            gc.collect()
    assert not printed

    class Faulty:
        def __del__(self):
            raise ValueError("of the user")

    Faulty()
    assert [str(one.exc_value) for one in printed] == ["of the user"]


def test_unreadable_scores_are_named(tmp_path):
    path = saved(tmp_path, 1) / "checkpoints" / "scores.json"
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"scores\.json cannot be read .*; delete it"):
        CheckpointStore(tmp_path, keep=1)
