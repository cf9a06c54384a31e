"""How fast the CPU path is: beside this project's first version and the official code.

  python benchmarks/cpu_ratios.py [--turns=5] [--repeats=3] [--parts=first,official] \
      [--output=docs/results/cpu_ratios.json]

first: a training step of shapes:tiny, and a prediction of its 8 images in 10 steps, in
turn with the project's first version, each version in a process of its own.

official: the paper's network in float32, images of 256 px, masks of 128 px, batch 2: a
training step, and encoder and 10 steps. The official TensorFlow code took 8.1 and
16.7 s on a machine whose float32 product of 2048 x 2048 matrices reached 200 GFLOP/s;
its times are scaled by the same product timed in this run, before and after each
measurement. Where the time goes is printed by kind of operation.

On two cores of a busy machine, take ratios only; some 10 minutes.
"""

import dataclasses
import sys
import time
from typing import Any

import jax
from absl import flags
from speed import command, compare, cost, op_times, report, workloads
from speed.compare import Case
from speed.cost import Cost, Peaks
from speed.op_times import OpTime

from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.evaluation import text_table
from pix2seq_d.training import matmul_peak

PARTS = ("first", "official")
_STEPS = 10
_BATCH = 2
_PRODUCT = 2048
# Of the development machine; 2 cores of an AMD EPYC with AVX-512, TensorFlow 2.21.
_OFFICIAL_TFLOPS = 0.2
_OFFICIAL_S = {"training step": 8.1, f"prediction, {_STEPS} steps": 16.7}
# What these ratios should reach (first version or official time / time here).
_AIMS = {"first": 1.5, "training step": 0.8, f"prediction, {_STEPS} steps": 1.0}


@dataclasses.dataclass(frozen=True)
class Official:
    """Ours beside the official code's time.

    Attributes:
      cost: of ours.
      product_tflops: of the product, measured before and after; the larger.
      scaled_s: the official code's seconds on a machine with that product.
      ratio: scaled_s / ours, of the median; above 1 ours is faster.
      best_ratio: of our fastest call.
      op_times: of one call.
    """

    cost: Cost
    product_tflops: float
    scaled_s: float
    ratio: float
    best_ratio: float
    op_times: list[OpTime]


def main(argv: list[str]) -> None:
    """Prints the ratios, and where the time goes."""
    values = app.new_flags()
    flags.DEFINE_integer(
        "turns", 5, "Turns with the first version.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_integer(
        "repeats", 3, "Calls of each measurement.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_list(
        "parts", list(PARTS), "What to measure: first, official.", flag_values=values
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    command.check_output(values.output)
    if not values.parts or set(values.parts) - set(PARTS):
        raise app.UsageError(
            f"--parts={','.join(values.parts)}: take any of {','.join(PARTS)}"
        )
    jax.config.update("jax_enable_compilation_cache", False)
    results: dict[str, Any] = {"benchmark": "cpu_ratios", "aims": _AIMS}
    if "first" in values.parts:
        revision = workloads.FIRST_VERSION
        found = compare.run(
            revision, first_cases(), turns=values.turns, calls=values.repeats
        )
        print(f"shapes:tiny, the first version against this tree; aim {_AIMS['first']}")
        print(f"{compare.table(revision, found)}\n", flush=True)
        results |= {"first_version": revision, "first": found}
    if "official" in values.parts:
        compared = [
            official(name, kind, repeats=values.repeats)
            for name, kind in zip(_OFFICIAL_S, ("train_step", "sample"), strict=True)
        ]
        print(official_table(compared))
        for one in compared:
            print(f"\n{one.cost.name}, where the time goes")
            print(op_times.table(one.op_times))
        results["official"] = compared
    report.write(values.output, results)


def first_cases() -> list[Case]:
    """What is timed in the first version, too."""
    steps = f"--config.diffusion.num_steps={_STEPS}"
    config = command.config_of("--config=shapes:tiny", steps)
    sent, size = workloads.fields_of(config), config.train.batch_size
    return [
        Case("training step", "train_step", sent, size),
        Case(f"prediction, {_STEPS} steps", "sample", sent, size),
    ]


def official_config() -> Config:
    """The paper's network as the official code was timed."""
    return command.config_of(
        "--config=coco_panoptic:low_res",
        f"--config.train.batch_size={_BATCH}",
        "--config.train.dtype=float32",
        f"--config.diffusion.num_steps={_STEPS}",
    )


def official(name: str, kind: str, *, repeats: int) -> Official:
    """Measures one of `_OFFICIAL_S`, between two measurements of the product."""
    config = official_config()
    work = workloads.make(kind, config, batch=_BATCH)
    flops = cost.model_flops(kind, config, images=_BATCH)
    start = time.monotonic()
    before = product()
    _say(f"{name}: compiling and timing ...")
    peaks = Peaks(product=before, vendor=None)
    found, runner = cost.measure(
        work, name=name, repeats=repeats, model_flops=flops, peaks=peaks
    )
    spent = op_times.measure(runner)
    tflops = max(before, product())
    _say(f"{name}: {time.monotonic() - start:.0f} s")
    scaled = _OFFICIAL_S[name] * _OFFICIAL_TFLOPS / tflops
    return Official(
        cost=found,
        product_tflops=tflops,
        scaled_s=scaled,
        ratio=scaled / found.seconds.median,
        best_ratio=scaled / found.seconds.low,
        op_times=spent,
    )


def product() -> float:
    """1e12 FLOP/s of the float32 product, measured now."""
    matmul_peak.tflops.cache_clear()
    device = jax.local_devices()[0]
    found = matmul_peak.tflops(device, dtype="float32", size=_PRODUCT)
    assert found is not None, "48 MB are there"
    return found


def official_table(found: list[Official]) -> str:
    """Markdown: a row for each measurement."""
    head = ("the paper's network, 256/128 px, batch 2, float32", "official / here")
    head += ("of our fastest", "aim", "s here, median", "fastest", "official s, scaled")
    head += ("product GFLOP/s", "GFLOP/s here", "compile s")
    rows = [
        [
            one.cost.name,
            f"{one.ratio:.2f}",
            f"{one.best_ratio:.2f}",
            f"{_AIMS[one.cost.name]:.1f}",
            f"{one.cost.seconds.median:.2f}",
            f"{one.cost.seconds.low:.2f}",
            f"{one.scaled_s:.2f}",
            f"{1e3 * one.product_tflops:.0f}",
            f"{one.cost.model_flops / one.cost.seconds.median / 1e9:.0f}",
            f"{one.cost.compile_s:.0f}",
        ]
        for one in found
    ]
    return text_table.markdown(head, rows)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(app.run(main, "cpu_ratios"))
