"""How fast the CPU path is: beside this project's first version and the official code.

  python benchmarks/cpu_ratios.py [--turns=5] [--repeats=3] [--parts=first,official] \
      [--output=ratios.json] [--page]

first: a training step of shapes:tiny, and a prediction of its 8 images in 10 steps, in
turn with the project's first version, each version in a process of its own.

official: the paper's network in float32, images of 256 px, masks of 128 px, batch 2: a
training step, and encoder and 10 steps. The official TensorFlow code took 8.1 and
16.7 s on a machine whose float32 product of 2048 x 2048 matrices reached 200 GFLOP/s;
its times are scaled by the same product, timed before and after each of our calls.
Where the time goes is printed by kind of operation.

On two cores of a busy machine, take ratios only; some 15 minutes. --page keeps the
results in docs/: results/cpu_ratios.json and the tables of performance.md.
"""

import dataclasses
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from speed import command, compare, cost, op_times, report, workloads
from speed.compare import Case
from speed.op_times import OpTime
from speed.timing import Runner, Spread, Work

from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.dry_run import flops
from pix2seq_d.evaluation import text_table
from pix2seq_d.scaling import page

PAGE = compare.ROOT / "docs/performance.md"
RESULTS = compare.ROOT / "docs/results/cpu_ratios.json"
PARTS = ("first", "official")
_STEPS = 10
_BATCH = 2
_PRODUCT = 2048
_PRODUCTS = 10  # around each call; their median counts, as of calls
# Of the development machine; 2 cores of an AMD EPYC with AVX-512, TensorFlow 2.21.
_OFFICIAL_TFLOPS = 0.2
_OFFICIAL_S = {"training step": 8.1, f"prediction, {_STEPS} steps": 16.7}
# What these ratios should reach (first version or official time / time here).
_AIMS = {"first": 1.5, "training step": 0.8, f"prediction, {_STEPS} steps": 1.0}


@dataclasses.dataclass(frozen=True)
class Official:
    """Ours beside the official code's time.

    Attributes:
      name: of `_OFFICIAL_S`.
      ratio: the official code's time, scaled by the products around each of our calls,
        over that call; above 1 ours is faster.
      seconds: of our calls.
      product_tflops: of the products around them.
      model_flops: of a call.
      compile_s: seconds of tracing and compiling.
      op_times: of one call.
    """

    name: str
    ratio: Spread
    seconds: Spread
    product_tflops: Spread
    model_flops: float
    compile_s: float
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
    flags.DEFINE_bool("page", False, "Write the tables of docs/.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    output = values.output or (str(RESULTS) if values.page else None)
    report.check_output(output)
    if not values.parts or set(values.parts) - set(PARTS):
        raise app.UsageError(
            f"--parts={','.join(values.parts)}: take any of {','.join(PARTS)}"
        )
    if values.page and set(values.parts) != set(PARTS):
        raise app.UsageError("--page: docs/performance.md has all parts; leave --parts")
    jax.config.update("jax_enable_compilation_cache", False)
    results: dict[str, Any] = {"benchmark": "cpu_ratios", "aims": _AIMS}
    blocks: dict[str, str] = {}

    def keep(found: dict[str, Any], tables: dict[str, str]) -> None:
        """What is measured stays, if the rest is interrupted."""
        results.update(found)
        for name, table in tables.items():
            blocks[name] = table
            print(f"\n{name}\n{table}", flush=True)
        report.write(output, results)

    keep({}, {"made": _made()})
    if "first" in values.parts:
        revision = workloads.FIRST_VERSION
        found = compare.run(
            revision, first_cases(), turns=values.turns, calls=values.repeats
        )
        tables = {"first version": compare.table(revision, found)}
        keep({"first_version": revision, "first": found}, tables)
        for case in first_cases():
            spent, line = profiled(case)
            shown = f"{op_times.table(spent)}\n\n{line}"
            keep({f"time of {case.kind}": spent}, {f"time of tiny {case.name}": shown})
    if "official" in values.parts:
        compared: list[Official] = []
        for name, kind in zip(_OFFICIAL_S, ("train_step", "sample"), strict=True):
            compared.append(official(name, kind, repeats=values.repeats))
            tables = {
                "official code": official_table(compared),
                f"time of {name}": op_times.table(compared[-1].op_times),
            }
            keep({"official": compared}, tables)
    if values.page:
        page.insert(PAGE, {f"cpu: {name}": block for name, block in blocks.items()})
        print(f"\ntables: {PAGE}\nresults: {output}")


def _made() -> str:
    """One line on what the figures come from."""
    made = report.provenance()
    return (
        f"`{made['command']}`, {made['date']}, commit {str(made['commit'])[:12]}, "
        f"{made['devices']} of {os.cpu_count()} cores, jax {made['versions']['jax']}."
    )


def first_cases() -> list[Case]:
    """What is timed in the first version, too."""
    steps = f"--config.diffusion.num_steps={_STEPS}"
    config = command.config_of("--config=shapes:tiny", steps)
    sent, size = workloads.fields_of(config), config.train.batch_size
    return [
        Case("training step", "train_step", sent, size),
        Case(f"prediction, {_STEPS} steps", "sample", sent, size),
    ]


def profiled(case: Case) -> tuple[list[OpTime], str]:
    """Where this tree's time goes in a case, and how fast its arithmetic is."""
    config = workloads.config_of(case.fields)
    runner = Runner(workloads.make(case.kind, config, batch=case.batch))
    runner.seconds(2)
    spent = op_times.measure(runner)
    return spent, arithmetic(spent, gflop=flops.of(runner.traced.jaxpr) / 1e9)


def arithmetic(spent: list[OpTime], *, gflop: float) -> str:
    """A line on how fast convolutions and products are, beside a plain product."""
    kinds = ("convolution", "product")
    busy = sum(one.seconds for one in spent if one.kind.startswith(kinds))
    rest = sum(one.seconds for one in spent) - busy
    product = 2 * _PRODUCT**3 / 1e9 / Spread.of(Runner(_product()).seconds(5)).low
    return (
        f"{gflop:.1f} GFLOP, element-wise ones included. Convolutions and products: "
        f"{1e3 * busy:.0f} ms, so at most {gflop / busy:.0f} GFLOP/s, where a product "
        f"of {_PRODUCT} rows reached {product:.0f}. All else: {1e3 * rest:.0f} ms."
    )


def official_config() -> Config:
    """The paper's network as the official code was timed."""
    return command.config_of(
        "--config=coco_panoptic:low_res",
        f"--config.train.batch_size={_BATCH}",
        "--config.train.dtype=float32",
        f"--config.diffusion.num_steps={_STEPS}",
    )


def official(name: str, kind: str, *, repeats: int) -> Official:
    """Measures one of `_OFFICIAL_S`, products and calls in turn."""
    config = official_config()
    _say(f"{name}: compiling ...")
    runner = Runner(workloads.make(kind, config, batch=_BATCH))
    _say(f"{name}: timing ...")
    product = Runner(_product())
    for one in (runner, product):
        one.seconds(1)  # the first call is slower
    tflop = 2 * _PRODUCT**3 / 1e12
    around = [tflop / Spread.of(product.seconds(_PRODUCTS)).median]
    seconds, ratios = [], []
    for _ in range(repeats):
        seconds += runner.seconds(1)
        around.append(tflop / Spread.of(product.seconds(_PRODUCTS)).median)
        reached = (around[-2] + around[-1]) / 2
        ratios.append(_OFFICIAL_S[name] * _OFFICIAL_TFLOPS / reached / seconds[-1])
    return Official(
        name=name,
        ratio=Spread.of(ratios),
        seconds=Spread.of(seconds),
        product_tflops=Spread.of(around),
        model_flops=cost.model_flops(kind, config, images=_BATCH),
        compile_s=runner.compile_s,
        op_times=op_times.measure(runner),
    )


def _product() -> Work:
    matrix = jnp.ones((_PRODUCT, _PRODUCT))
    return Work(jax.jit(jnp.matmul), (matrix, matrix), images=0)


def official_table(found: list[Official]) -> str:
    """Markdown: a row for each measurement."""
    head = ("the paper's network, 256/128 px, batch 2, float32", "official / here")
    head += ("from", "to", "calls", "aim", "s here", "fastest", "GFLOP/s here")
    head += ("product GFLOP/s", "from", "to", "compile s")
    rows = []
    for one in found:
        products = one.product_tflops
        rates = (products.median, products.low, products.high)
        rows.append(
            [
                one.name,
                *(f"{x:.2f}" for x in (one.ratio.median, one.ratio.low)),
                f"{one.ratio.high:.2f}",
                str(one.ratio.count),
                f"{_AIMS[one.name]:.1f}",
                f"{one.seconds.median:.2f}",
                f"{one.seconds.low:.2f}",
                f"{one.model_flops / one.seconds.median / 1e9:.0f}",
                *(f"{1e3 * rate:.0f}" for rate in rates),
                f"{one.compile_s:.0f}",
            ]
        )
    return text_table.markdown(head, rows)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(app.run(main, "cpu_ratios"))
