"""Attention on a TPU by its compiler: all heads at once against one after another.

  PYTHONPATH=.venv/libtpu python benchmarks/attention_cycles.py \
      --config=coco_panoptic:high_res [--images=1,8] [--chip=v5e] [--output=FILE]

Compiles each kind of attention of a config's network alone, forward and with gradients,
for one chip. Nothing is run: all is an estimate. A minute for each number of images.
"""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from jax.sharding import SingleDeviceSharding
from speed import command, report
from tpu_cycles import SLICES

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.dry_run import hlo, memory, topology
from pix2seq_d.evaluation import text_table
from pix2seq_d.models import attention_choice
from pix2seq_d.models.attention_kernel import ByHead, Kernel, attend


def main(argv: list[str]) -> None:
    """Prints a table."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    flags.DEFINE_list("images", ["1", "8"], "Images of a chip.", flag_values=values)
    flags.DEFINE_enum("chip", "v5e", list(SLICES), "For it.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config")
    report.check_output(values.output)
    config, _ = dry_run.settle(config_lib.from_config_dict(values.config))
    device = topology.devices(SLICES[values.chip])[0]
    rows = []
    for images in command.counts(values, "images"):
        for shape in attention_choice.shapes(config.model):
            kernels: dict[str, Kernel] = {"at once": "xla", "by head": ByHead(1)}
            found = {
                name: measure(kernel, (images, *shape), config.train.dtype, device)
                for name, kernel in kernels.items()
            }
            rows.append({"images": images, "shape": shape, **found})
    print(table(rows))
    report.write(values.output, {"chip": values.chip, "attention": rows})


def measure(
    kernel: Kernel, shape: tuple[int, ...], dtype: Any, device: Any
) -> dict[str, int]:
    """Cycles forward; with gradients, too, cycles and bytes of temporaries.

    Args:
      kernel: of `attend`.
      shape: images, queries, keys, heads, head_dim.
      dtype: of the arrays.
      device: description of a chip.
    """
    images, queries, keys, *heads = shape
    place = SingleDeviceSharding(device)
    arrays = [
        jax.ShapeDtypeStruct((images, length, *heads), jnp.dtype(dtype), sharding=place)
        for length in (queries, keys, keys, queries)
    ]
    attention = functools.partial(attend, kernel=kernel)

    def with_gradients(query: Any, key: Any, value: Any, back: Any) -> Any:
        made, pull = jax.vjp(attention, query, key, value)
        return made, pull(back)

    forward = memory.compile_traced(jax.jit(attention).trace(*arrays[:3]))
    both = memory.compile_traced(jax.jit(with_gradients).trace(*arrays))
    return {
        "forward": hlo.estimated_cycles(forward.as_text()),
        "both": hlo.estimated_cycles(both.as_text()),
        "temporaries": both.memory_analysis().temp_size_in_bytes,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: Mcycles, MB."""
    head = ["images", "queries", "keys", "heads"]
    for name in ("forward", "with gradients", "MB with gradients"):
        head += [f"{name}, at once", "by head"]
    body = []
    for row in rows:
        queries, keys, heads, width = row["shape"]
        found = [str(row["images"]), str(queries), str(keys), f"{heads} of {width}"]
        for name, digits in (("forward", 2), ("both", 2), ("temporaries", 0)):
            found += [
                f"{row[k][name] / 1e6:,.{digits}f}" for k in ("at once", "by head")
            ]
        body.append(found)
    return text_table.markdown(head, body)


if __name__ == "__main__":
    sys.exit(app.run(main, "attention_cycles"))
