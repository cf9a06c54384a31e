"""Descriptions of TPU slices that the TPU compiler works for, without any TPU."""

import importlib.util
import os
import re
from typing import Any

import jax
from jax.experimental import topologies

# libtpu asks the machine that it believes to be a TPU host; these answer for one.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    # Its lock is for processes that use a TPU.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def devices(name: str) -> list[Any]:
    """The devices of a TPU slice, to compile for; nothing can be run on them.

    Args:
      name: generation and shape, e.g. v5e:4x4 or v5p:2x2x4.
    Raises:
      ValueError: no such slice, or libtpu is not installed.
    """
    if not re.fullmatch(r"v\d+[a-z]*:\d+(x\d+)+", name):
        raise ValueError(
            f"--topology={name}: give a TPU slice as generation:shape, e.g. v5e:4x4 or "
            "v5p:2x2x4"
        )
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            f"--topology={name} needs libtpu, which has the TPU compiler; install it "
            "with: pip install libtpu"
        )
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    # No TPU or GPU of this machine has a part in it.
    jax.config.update("jax_platforms", "cpu")
    try:
        return topologies.get_topology_desc(name, platform="tpu").devices
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--topology={name}: {reason}") from error
