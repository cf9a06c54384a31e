"""One training on 1 and 8 devices, with FSDP, in 2 and 4 processes: is it the same?

  python tests/sharding/compare_meshes.py FOLDER

trains 20 steps of shapes:tiny on each and prints the table of docs/results/sharding.md.
"""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# Name -> processes, devices of each, fsdp.
JOBS = {
    "1 device": (1, 1, 1),
    "data 8": (1, 8, 1),
    "data 4 x fsdp 2": (1, 8, 2),
    "fsdp 8": (1, 8, 8),
    "2 processes x 2 devices, fsdp 2": (2, 2, 2),
    "4 processes": (4, 1, 1),
}


def run(name, config, folder, *, steps):
    """Runs a job of `JOBS`; what its last process returns."""
    count, devices, fsdp = JOBS[name]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    path = folder / "config.json"
    path.write_text(json.dumps(dataclasses.asdict(config)))
    started = []
    for index in range(count):
        arguments = [path, steps, fsdp, coordinator, count, index]
        command = [sys.executable, HERE / "short_training.py", folder / f"{index}.npz"]
        started.append(
            subprocess.Popen(
                [*map(str, command), *map(str, arguments)],
                env={
                    **os.environ,
                    "JAX_NUM_CPU_DEVICES": str(devices),
                    "PYTHONPATH": str(HERE.parents[1]),
                },
            )
        )
    try:
        status = [process.wait(timeout=900) for process in started]
    finally:
        for process in started:
            process.kill()
    if any(status):
        raise RuntimeError(f"{name}: the processes ended with {status}")
    with np.load(folder / f"{count - 1}.npz") as saved:
        return dict(saved)


def difference(one, other):
    """Largest relative difference of a loss; of a gradient, by its leaf's largest.

    The biases of attention's keys are left out, and have to be tiny: the softmax takes
    them out, their gradient is zero, and what is computed is rounding alone.
    """
    loss = np.abs(other["losses"] / one["losses"] - 1).max()
    leaves = [name for name in one if name not in ("losses", "bytes")]
    largest = {name: np.abs(one[name]).max() for name in leaves}
    for name in [name for name in leaves if name.endswith("/key_bias")]:
        leaves.remove(name)
        if max(largest[name], np.abs(other[name]).max()) > 1e-6 * max(largest.values()):
            raise RuntimeError(f"{name}: its gradient is not zero")
    errors = {
        name: np.abs(one[name] - other[name]).max() / largest[name] for name in leaves
    }
    worst = max(errors, key=lambda name: errors[name])
    return float(loss), float(errors[worst]), worst


def main():
    from configs import shapes
    from pix2seq_d import config as config_lib

    fields = shapes.get_config("tiny")
    fields.train.num_steps = 20
    fields.data.source.train_images = 64
    config = config_lib.from_config_dict(fields)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print("| | loss, 20 steps | first gradient | of | bytes of a device |")
    print("|---|---|---|---|---|")
    one = None
    for name in JOBS:
        made = run(name, config, folder, steps=20)
        one = one or made
        loss, gradient, leaf = difference(one, made)
        share = made["bytes"] / one["bytes"]
        print(
            f"| {name} | {loss:.1e} | {gradient:.1e} | `{leaf}` | {share:.3f} |",
            flush=True,
        )
    print(f"losses on 1 device: {one['losses'][0]:.4f} ... {one['losses'][-1]:.4f}")
    print("| 2 parts of 4 images, batch-norm | loss, 20 steps | first gradient |")
    print("|---|---|---|")
    for frozen in (True, False):
        train = dataclasses.replace(config.train, freeze_batch_norm=frozen)
        parts = dataclasses.replace(train, grad_accumulation=2)
        whole, taken = (
            run("1 device", dataclasses.replace(config, train=t), folder, steps=20)
            for t in (train, parts)
        )
        loss, gradient, _ = difference(whole, taken)
        mode = "frozen" if frozen else "in training"
        print(f"| {mode} | {loss:.1e} | {gradient:.1e} |", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    main()
