"""Runs benchmarks/guard.py in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def output_of_guard(*flags: str) -> str:
    """What it prints when nothing is worse; skips where it has no numbers."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/guard.py"), *flags],
        # The tests' eight devices would split the training step.
        env=os.environ | {"XLA_FLAGS": "", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    if process.stdout.startswith("no numbers of"):
        pytest.skip(process.stdout.strip())
    return process.stdout
