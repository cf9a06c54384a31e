"""Cycles, FLOPs and memory by the TPU compiler are those that are committed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_v5e_takes_no_more_than_what_is_committed():
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/guard.py"), "--chip=v5e"],
        env=os.environ | {"XLA_FLAGS": "", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    if process.stdout.startswith("no numbers of"):
        pytest.skip(process.stdout.strip())
    assert "train_step, cycles" in process.stdout
