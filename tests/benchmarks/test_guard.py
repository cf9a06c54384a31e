"""The costs of the key functions are those that are committed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # where a script there finds `speed`

import guard  # noqa: E402


def test_flops_and_bytes_as_traced_are_those_committed():
    # Apart: the tests' eight devices would split the training step.
    environment = os.environ | {"XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/guard.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    if process.stdout.startswith("no numbers of"):
        pytest.skip(process.stdout.strip())
    assert "train_step, bytes" in process.stdout


def test_what_is_worse_is_named_and_what_is_better_is_not():
    known = {"encode": {"flops": 1000, "bytes": 1000}}
    nothing = {"encode": {"temporaries": 0}}
    assert guard.table(nothing, nothing).endswith("|         0 |     - |")
    assert not guard.judged({"encode": {"flops": 1019, "bytes": 500}}, known)
    (line,) = guard.judged({"encode": {"flops": 1021, "bytes": 500}}, known)
    assert line.startswith("encode, flops: 1,021, not 1,000; mend it, or")
