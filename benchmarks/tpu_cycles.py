"""What the TPU compiler expects of the network's parts, and where their cycles go.

  PYTHONPATH=.venv/libtpu python benchmarks/tpu_cycles.py \
      --config=coco_panoptic:low_res [--parts=encode,decoder_step] [--images=8] \
      [--chips=v5e,v6e] [--costliest=10] [--output=cycles.json]

Compiles each part for one chip on a machine without TPUs, and prints cycles, MFU and
memory, then the costliest operations. Nothing is run: all is an estimate. A decoder
step of the paper's network takes one or two minutes, a training step (without its
exchange between chips) a quarter of an hour.
"""

import functools
import sys
import time
from typing import Any

import jax
from absl import flags
from jax.sharding import SingleDeviceSharding
from speed import command, report, workloads

from pix2seq_d import accelerators
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.config import Config
from pix2seq_d.dry_run import estimate, flops, hlo, memory, topology
from pix2seq_d.dry_run import measure as step_measure
from pix2seq_d.evaluation import text_table

# The smallest slice of each; a part is compiled for one of its chips.
SLICES = {"v5e": "v5e:2x2", "v6e": "v6e:2x2", "v5p": "v5p:2x2x1"}


def main(argv: list[str]) -> None:
    """Prints the tables."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    define = functools.partial(flags.DEFINE_list, flag_values=values)
    define("parts", ["encode", "decoder_step"], f"Of {', '.join(workloads.KINDS)}.")
    define("images", ["8"], "Images of a chip.")
    define("chips", ["v5e"], f"Of {', '.join(SLICES)}.")
    flags.DEFINE_integer("costliest", 10, "Operations listed.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    for name, known in (("parts", workloads.KINDS), ("chips", tuple(SLICES))):
        for value in values[name].value:
            if value not in known:
                raise app.UsageError(f"--{name}={value}: choose of {', '.join(known)}")
    app.require(values, "config")
    report.check_output(values.output)
    config, _ = dry_run.settle(config_lib.from_config_dict(values.config))
    images = command.counts(values, "images")
    rows, lists = [], []
    for chip in values.chips:
        for part in values.parts:
            for count in images:
                found = measure(config, part, chip, images=count)
                rows.append(found)
                lists.append(found.pop("costliest")[: values.costliest])
    print(_table(rows))
    for row, operations in zip(rows, lists, strict=True):
        print(f"\n{row['part']}, {row['images']} images, {row['chip']}\n")
        print(_operations(operations, row["cycles"]))
    report.write(values.output, {"title": command.title(config), "parts": rows})


def measure(config: Config, part: str, chip: str, *, images: int) -> dict[str, Any]:
    """Compiles a part for one chip.

    Returns:
      JSON, and the operations at 'costliest'.
    Raises:
      ValueError: libtpu is missing.
      DoesNotFit: it needs more memory than a chip has.
    """
    device = topology.devices(SLICES[chip])[0]
    if part == "train_step":
        config = config.replaced(train={"batch_size": images})
        program = step_measure.program_of(config, [device])
        function = program.step
        arguments = program.state, program.batch, program.key
    else:
        work = workloads.abstract(part, config, batch=images, device=device)
        function, place = work.function, SingleDeviceSharding(device)
        arguments = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            work.arguments,
        )
    start = time.monotonic()
    traced = function.trace(*arguments)
    compiled = memory.compile_traced(traced)
    operations = hlo.operations(compiled.as_text())
    count, cycles = flops.of(traced.jaxpr), sum(one.cycles for one in operations)
    accelerator = accelerators.named(f"TPU {chip}")
    seconds = cycles / (estimate.CLOCK_GHZ[accelerator.name] * 1e9)
    return {
        "part": part,
        "chip": chip,
        "images": images,
        "cycles": cycles,
        "flops": count,
        "mfu": count / seconds / (accelerator.bf16_tflops * 1e12),
        "temporaries": compiled.memory_analysis().temp_size_in_bytes,
        "compile_seconds": round(time.monotonic() - start),
        "costliest": operations,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    return text_table.markdown(
        ("part", "chip", "images", "Mcycles", "TFLOP", "MFU", "GB temporary"),
        [
            (
                row["part"],
                row["chip"],
                str(row["images"]),
                f"{row['cycles'] / 1e6:.2f}",
                f"{row['flops'] / 1e12:.3f}",
                f"{row['mfu']:.1%}",
                f"{row['temporaries'] / 1e9:.2f}",
            )
            for row in rows
        ],
    )


def _operations(found: list[hlo.Operation], total: int) -> str:
    return text_table.markdown(
        ("Mcycles", "%", "times", "operation", "output", "where"),
        [
            (
                f"{one.cycles / 1e6:.3f}",
                f"{100 * one.cycles / total:.1f}",
                str(one.times),
                one.op,
                one.output.partition("{")[0],
                one.path.partition("/")[2][-70:],
            )
            for one in found
        ],
    )


if __name__ == "__main__":
    sys.exit(app.run(main, "tpu_cycles"))
