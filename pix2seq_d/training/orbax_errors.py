"""What Orbax and TensorStore raise and print, in one line."""

import functools
import inspect
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp


def one_line(error: BaseException) -> str:
    """An error's text, shortened, or its name where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + " ..."


def reason(error: BaseException) -> str:
    """What the system said, out of TensorStore's paragraph; else `one_line`."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    found = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(found.group(1))) if found else one_line(error)


@functools.cache
def quiet() -> None:
    """Silences logs and tracebacks of what is raised as well.

    Orbax stops waiting at the first read or write that fails. The others find their
    event loop closed, or are dropped half-way, of which asyncio, TensorStore and the
    interpreter print tracebacks: they would hide the one line that says what failed.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    print_unraisable = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        closed = str(unraisable.exc_value) == "Event loop is closed"
        if not closed and not _is_orbax_coroutine(unraisable.object):
            print_unraisable(unraisable)

    sys.unraisablehook = hook


def _is_orbax_coroutine(value: Any) -> bool:
    folder = str(Path(ocp.__file__).parent)
    return inspect.iscoroutine(value) and value.cr_code.co_filename.startswith(folder)
