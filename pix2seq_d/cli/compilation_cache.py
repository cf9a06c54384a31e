"""Compiled programs are kept between runs: a training that goes on starts sooner."""

import contextlib
import os
import platform
import zlib
from pathlib import Path

import jax


def use() -> None:
    """Keeps what the process compiles in `~/.cache/pix2seq_d`, or where JAX was told.

    `JAX_COMPILATION_CACHE_DIR` names another folder, `JAX_ENABLE_COMPILATION_CACHE=0`
    turns it off. What cannot be written or read is compiled anew.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Without a home, as users of containers may be, nothing is kept.
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_compilation_cache_dir", str(folder()))


def folder() -> Path:
    """A folder of this kind of CPU: code for one may be illegal on another.

    Home directories are shared by unlike machines.

    Raises:
      RuntimeError: the user has no home directory.
    """
    cpuinfo = Path("/proc/cpuinfo")
    text = platform.machine()
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        text += next((line for line in lines if line.startswith("flags")), "")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pix2seq_d" / f"{platform.machine()}-{zlib.crc32(text.encode()):08x}"
