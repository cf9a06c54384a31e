"""What the key functions cost, against the numbers that are committed: no clock.

  python benchmarks/guard.py                                       # as traced
  PYTHONPATH=.venv/libtpu python benchmarks/guard.py --chip=v5e    # by the TPU compiler
  python benchmarks/guard.py --write                               # take these over

Encoder, decoder step and training step of `coco_panoptic:debug` (the paper's network,
small) are traced: FLOPs, and bytes that all operations would read and write, each for
itself; or compiled for a TPU: FLOPs, cycles, temporary memory. Nothing is run, and any
machine gets the same. What is more than 2 % above benchmarks/guard.json is named, with
status 1. Numbers are of a version of jax, or of jax and libtpu; others say so and pass
(.ci/constraints.txt pins those that CI has).
"""

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

from absl import flags
from speed import command, workloads

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops
from pix2seq_d.evaluation import text_table

NUMBERS = Path(__file__).with_name("guard.json")
PARTS = ("encode", "decoder_step", "train_step")
TOLERANCE = 0.02
_IMAGES = 8

Numbers = dict[str, dict[str, int]]  # part -> quantity -> number


def main(argv: list[str]) -> int:
    """Compares or writes; the status."""
    values = app.new_flags()
    flags.DEFINE_enum(
        "chip", "", ["", "v5e", "v6e"], "Compile for it.", flag_values=values
    )
    flags.DEFINE_bool("write", False, "Write the numbers.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return 0
    name = compiler(values.chip)
    known: dict[str, Numbers] = json.loads(NUMBERS.read_text())
    if name not in known and not values.write:
        print(f"no numbers of {name}; there are those of {', '.join(known)}")
        return 0
    found = measure(values.chip)
    if values.write:
        text = json.dumps(dict(sorted((known | {name: found}).items())), indent=1)
        replace_text(NUMBERS, text + "\n")
        print(f"written: {NUMBERS}")
        return 0
    print(table(found, known[name]))
    worse = judged(found, known[name])
    for line in worse:
        print(f"worse: {line}")
    return int(bool(worse))


def compiler(chip: str) -> str:
    """What the numbers are of."""
    version = importlib.metadata.version
    if chip and importlib.util.find_spec("libtpu") is None:
        raise app.UsageError(
            f"--chip={chip} needs the TPU compiler: make test-tpu installs it, then "
            "PYTHONPATH=.venv/libtpu"
        )
    if chip:
        return f"{chip}, jax {version('jax')}, libtpu {version('libtpu')}"
    return f"traced, jax {version('jax')}"


def measure(chip: str = "") -> Numbers:
    """The numbers of this tree.

    Args:
      chip: v5e or v6e, for which libtpu is needed; '' to trace only.
    """
    config = command.config_of(
        "--config=coco_panoptic:debug", f"--config.train.batch_size={_IMAGES}"
    )
    if chip:
        import tpu_cycles

        rows = [tpu_cycles.measure(config, p, chip, images=_IMAGES) for p in PARTS]
        names = ("flops", "cycles", "temporaries")
        return {row["part"]: {name: row[name] for name in names} for row in rows}
    return {part: _traced(part, config) for part in PARTS}


def _traced(part: str, config: Config) -> dict[str, int]:
    work = workloads.abstract(part, config, batch=_IMAGES)
    traced = work.function.trace(*work.arguments)
    # On CPUs gradients of kernels are products, or not, by the CPU; elsewhere never.
    # Lowering for GPUs counts 7 % more bytes of the training step than for CPUs.
    cost = traced.lower(lowering_platforms=("cuda",)).cost_analysis()
    return {"flops": flops.of(traced.jaxpr), "bytes": round(cost["bytes accessed"])}


def judged(found: Numbers, known: Numbers) -> list[str]:
    """A line for each quantity that is worse than the tolerance allows."""
    return [
        f"{part}, {name}: {value:,}, not {known[part][name]:,}; mend it, or take it "
        "over with --write and say why"
        for part, quantities in found.items()
        for name, value in quantities.items()
        if value > known[part][name] * (1 + TOLERANCE)
    ]


def table(found: Numbers, known: Numbers) -> str:
    """Markdown: now, committed, ratio."""
    return text_table.markdown(
        ("", "now", "committed", "ratio"),
        [
            (
                f"{part}, {name}",
                f"{value:,}",
                f"{known[part][name]:,}",
                f"{value / known[part][name]:.3f}" if known[part][name] else "-",
            )
            for part, quantities in found.items()
            for name, value in quantities.items()
        ],
    )


if __name__ == "__main__":
    sys.exit(app.run(main, "guard"))
