"""Saves of a training that fail: prints each error, and the steps that are left.

python failing_saves.py WORKDIR PUBLIC [SMALL_DISK]

PUBLIC: an empty folder that every user may enter.
"""

import contextlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from small_state import abstract_state, assert_equal, save, saved, state_at

from pix2seq_d.training.checkpoint_format import CheckpointError
from pix2seq_d.training.store import CheckpointStore


@contextlib.contextmanager
def largest_file(size):
    """A disk that is full for files beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def not_allowed(folder):
    """A folder that may be read and not written; root, who may all, is nobody."""
    user = os.geteuid()
    folder.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def fail(store, step):
    """Saves and checks at every step, as a training does."""
    try:
        save(store, step)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            store.check()
            time.sleep(0.01)
    except CheckpointError as error:
        print(error)


def main(workdir, public, disk=None):
    with CheckpointStore(saved(workdir, 1, 2), keep=2) as store:
        with largest_file(4096):
            for step in (3, 4):
                fail(store, step)
                print(store.steps())
            assert_equal(store.restore(abstract_state(), step=2), state_at(2))
        save(store, 5)
        store.wait()
        print("space again:", store.steps())

    if disk:
        with CheckpointStore(saved(disk, 1), keep=2) as store:
            filler = Path(disk, "filler")
            with contextlib.suppress(OSError), filler.open("wb") as file:
                file.write(bytes(2 << 20))
            fail(store, 2)
            filler.unlink()
            save(store, 3)
            store.wait()
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            fail(store, 4)
            assert store.resume(abstract_state()).step == 3
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            save(store, 5)
            store.wait()
            print("space again:", [step for step in store.steps() if step > 1])

    with CheckpointStore(saved(public, 1), keep=2) as store:
        with not_allowed(store.directory):
            fail(store, 2)
            assert_equal(store.resume(abstract_state()).state, state_at(1))
        save(store, 3)
        store.wait()
        print("allowed again:", store.steps())

    # Neither is the save lost that is under way at the end.
    try:
        with largest_file(4096), CheckpointStore(workdir, keep=2) as store:
            save(store, 6)
    except CheckpointError as error:
        print(error)
    # Nor one behind another error; it is the only line on standard error.
    with (
        contextlib.suppress(KeyboardInterrupt),
        largest_file(4096),
        CheckpointStore(workdir, keep=2) as store,
    ):
        save(store, 7)
        raise KeyboardInterrupt


if __name__ == "__main__":
    main(*sys.argv[1:])
