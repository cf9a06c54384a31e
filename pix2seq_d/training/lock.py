"""One job at a time trains in a workdir."""

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from pix2seq_d.config import ConfigError

LOCK_FILE = "lock"
# What file systems that have no locks say, some network ones among them.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def hold(workdir: Path, *, flag: str = "workdir") -> Iterator[None]:
    """Holds `<workdir>/lock` as long as the context lasts; process 0 does for all.

    The kernel releases it when the process ends, however it ends. On NFS it holds
    between machines; where the file system has no locks, a line says so.

    Args:
      workdir: made if absent.
      flag: that named the workdir, for messages.
    Raises:
      ConfigError: another job holds it, or the workdir cannot be written.
    """
    if jax.process_index() != 0:
        yield
        return
    path = workdir / LOCK_FILE
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigError(
            f"--{flag}={workdir} cannot be written ({error.strerror}); take another "
            "folder, or mend this one"
        ) from error
    try:
        _take(descriptor, path, flag=flag)
        yield
    finally:
        os.close(descriptor)


def is_held(workdir: Path) -> bool:
    """Whether a job trains in the workdir now."""
    try:
        descriptor = os.open(workdir / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int, path: Path, *, flag: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
        raise ConfigError(
            f"{path.parent} is in use by another training ({holder or 'just begun'}); "
            f"wait for its end, stop it, or take another --{flag}"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(
            f"note: {path.parent} cannot be locked ({error.strerror}); see to it that "
            "no other job trains in it",
            file=sys.stderr,
            flush=True,
        )
    text = (
        f"process {os.getpid()} on {socket.gethostname()}, since "
        f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n"
    )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
