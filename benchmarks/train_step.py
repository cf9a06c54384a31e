"""How fast a training step is, and what share of the device's arithmetic it reaches.

  python benchmarks/train_step.py --config=coco_panoptic:low_res \
      --config.train.batch_size=64 [--steps=20] [--output=step.json]

Compiles the exact step of the config for the devices at hand and runs it on one random
batch that stays there: no reading, no placing of data. Prints a table and JSON: times
of single steps (each waited for), images/s, arithmetic, MFU of the vendor's bfloat16
peak and of a matrix product measured in the same run, memory.
"""

import importlib.metadata
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from pix2seq_d import accelerators
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, compilation_cache, dry_run
from pix2seq_d.config import Config
from pix2seq_d.dry_run import memory
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training import matmul_peak, throughput
from pix2seq_d.training import program as programs
from pix2seq_d.training.program import Program

_WARM_UP = 2


def main(argv: list[str]) -> None:
    """Prints a table and JSON."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_integer(
        "steps", 20, "Steps that are timed.", flag_values=values, lower_bound=2
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config")
    compilation_cache.use()
    config, _ = dry_run.settle(config_lib.from_config_dict(values.config))
    found = measure(config, steps=values.steps)
    for name, value in found.items():
        text = f"{value:,.4g}" if isinstance(value, float) else str(value)
        print(f"{name:28s}{text}")
    print(json.dumps(found))
    if values.output:
        Path(values.output).write_text(json.dumps(found, indent=1) + "\n")


def measure(config: Config, *, steps: int) -> dict[str, Any]:
    """Compiles and times the step of a config whose number of classes is settled."""
    program = programs.make(config, meshes.make_mesh(**_sharding(config)))
    start = time.monotonic()
    lowered = program.step.lower(program.state, program.batch, program.key)
    compiled = lowered.compile()
    compile_s = time.monotonic() - start
    state = program.init(jax.random.key(0, impl="unsafe_rbg"))
    batch = jax.jit(
        lambda key: _random_batch(program, key),
        out_shardings={name: leaf.sharding for name, leaf in program.batch.items()},
    )(jax.random.key(1))
    key = jax.device_put(jax.random.key(2), program.key.sharding)
    seconds = []
    for _ in range(_WARM_UP + steps):
        start = time.perf_counter()
        state, scalars = compiled(state, batch, key)
        jax.block_until_ready((state, scalars))
        seconds.append(time.perf_counter() - start)
    seconds = seconds[_WARM_UP:]
    median = statistics.median(seconds)
    device = jax.local_devices()[0]
    known = accelerators.find(device.device_kind)
    size = config.train.batch_size
    flops = throughput.image_flops(config.model, config.diffusion) * size
    each = flops / median / jax.device_count() / 1e12
    product = matmul_peak.tflops(
        device,
        dtype=config.train.dtype,
        size=8192 if known else 2048,  # a CPU takes seconds for the larger
    )
    return {
        "device": f"{jax.device_count()} x {device.device_kind}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("jax", "flax")},
        "image, mask": f"{config.model.image_size}, {config.model.mask_size}",
        "batch": size,
        "dtype": config.train.dtype,
        "remat": config.train.remat,
        "grad_accumulation": config.train.grad_accumulation,
        "step, ms, median": 1e3 * median,
        "step, ms, fastest": 1e3 * min(seconds),
        "step, ms, slowest": 1e3 * max(seconds),
        "images/s": size / median,
        "model TFLOP a step": flops / 1e12,
        "model TFLOP/s a device": each,
        "MFU, %, of vendor's peak": 100 * each / known.bf16_tflops if known else None,
        "matrix product, TFLOP/s": product,
        "share of it, %": 100 * each / product if product else None,
        "XLA TFLOP a step, a device": compiled.cost_analysis()["flops"] / 1e12,
        "memory planned, GB": memory.of(compiled).total / 1e9,
        "peak memory, GB": throughput.memory().get("peak_memory_gb"),
        "compile, s": compile_s,
        "loss": float(scalars["loss"]),
    }


def _random_batch(program: Program, key: jax.Array) -> dict[str, jax.Array]:
    """Noise for images; labels in runs, as the loss weights count pixels of ids."""

    def fill(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jax.random.uniform(key, leaf.shape, leaf.dtype)
        coarse = jax.random.randint(key, (leaf.shape[0], 8, 8, leaf.shape[-1]), 0, 16)
        rows, columns = leaf.shape[1] // 8, leaf.shape[2] // 8
        return jnp.repeat(jnp.repeat(coarse, rows, 1), columns, 2).astype(leaf.dtype)

    return {name: fill(leaf) for name, leaf in program.batch.items()}


def _sharding(config: Config) -> dict[str, int]:
    return {"data": config.sharding.data, "fsdp": config.sharding.fsdp}


if __name__ == "__main__":
    sys.exit(app.run(main, "train_step"))
