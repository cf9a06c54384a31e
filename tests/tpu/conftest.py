"""What the TPU compiler makes of a training step, without a TPU: needs libtpu.

`make test-tpu` installs it beside the environment and runs this folder; elsewhere the
tests are skipped. (In the environment itself it would complain at every start of JAX
on a machine without TPU.)
"""

import importlib.util

import pytest


@pytest.fixture(scope="session", autouse=True)
def tpu_compiler():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("no TPU compiler: libtpu is not installed (make test-tpu)")
