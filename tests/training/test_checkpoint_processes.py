"""Several processes save one checkpoint, and agree on the one to go on from."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from small_state import abstract_state, assert_equal, state_at

from pix2seq_d.training.store import CheckpointStore


def test_two_processes_save_and_skip_a_damaged_checkpoint(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    script = Path(__file__).with_name("store_process.py")
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), str(index), "2", coordinator],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    folder = tmp_path / "checkpoints"
    for process in processes:
        output, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors
        line = output.splitlines()[-1]
        begin, _, end = line.partition(f" {folder}/4 cannot be restored: ema/")
        assert begin == "[1, 3, 4] 3"
        assert end.endswith("kept as 4.unreadable, going on from step 3")
    names = {"1", "3", "4", "4.unreadable", "scores.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((tmp_path / "config.json").read_text())
    # One process reads what two have written.
    with CheckpointStore(tmp_path, keep=2) as store:
        assert_equal(store.restore(abstract_state(), step=4), state_at(4))
