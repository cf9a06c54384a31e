"""The paper's network beside the least that an H200 takes; writes docs/performance.md.

  python benchmarks/roofline.py [--only=512] [--repeats=10] [--write] \
      [--output=docs/results/roofline.json]

Encoder, a decoder step, 20 steps with the encoder, and a training step at 256, 512 and
1024 px: counts arithmetic and bytes of each, times them on the device at hand, with
random weights, and writes --output and the page. On an accelerator the network computes
in bfloat16; what does not fit its memory is noted and passed over. On a CPU it is
float32 and, unless --only says else, 256 px alone. Results of other devices and of rows
that --only leaves out stay. --write measures nothing.
"""

import dataclasses
import gc
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from speed import command, compare, cost, report, roofline
from speed.command import Item
from speed.roofline import ROWS, Row
from speed.timing import Runner, Spread, Work

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.cli import app
from pix2seq_d.dry_run import memory
from pix2seq_d.progress import Progress
from pix2seq_d.scaling import page

PAGE = compare.ROOT / "docs/performance.md"
RESULTS = compare.ROOT / "docs/results/roofline.json"
_COPIED = 1_000_000_000  # numbers of 2 bytes


def main(argv: list[str]) -> None:
    """Measures, and writes results and page."""
    values = app.new_flags()
    flags.DEFINE_string(
        "only", None, "Measure what has this text in its name.", flag_values=values
    )
    flags.DEFINE_integer(
        "repeats", 10, "Calls that are timed.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_string(
        "output",
        str(RESULTS),
        "File of results; is made, or gone on with.",
        flag_values=values,
    )
    flags.DEFINE_bool("write", False, "Time nothing.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    report.check_output(values.output)
    output = Path(values.output)
    results = read(output)
    if values.write and not results["measured"]:
        raise app.UsageError(f"--write: {output} has no results; leave --write out")
    rows = () if values.write else _wanted(values.only)
    # Anew each time, for the program may be another; a minute of tracing.
    results["least"] = {row.key: roofline.least(row) for row in ROWS}
    _save(results, output)
    if rows:
        jax.config.update("jax_enable_compilation_cache", False)
        _measure(rows, results, output, repeats=values.repeats)
    page.insert(PAGE, blocks(results))
    print(f"results: {output}\ntables: {PAGE}")


def read(path: Path) -> dict[str, Any]:
    """The results, without any where there is no file yet.

    Raises:
      ValueError: it is no file of results.
    """
    if not path.is_file():
        return {"least": {}, "measured": {}}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON file: {error}; delete it") from error
    if not isinstance(results, dict) or not {"least", "measured"} <= set(results):
        raise ValueError(f"{path}: no results of this benchmark; give another --output")
    return results


def blocks(results: dict[str, Any]) -> dict[str, str]:
    """Name of a place in the page -> Markdown that stands there."""
    return {
        "roofline: gpu": roofline.gpu_table(results),
        "roofline: cpu": roofline.cpu_table(results),
        "roofline: made": roofline.made_table(results),
    }


def _wanted(only: str | None) -> list[Row]:
    if only is None:
        only = "256/" if _is_cpu() else ""
    rows = [row for row in ROWS if only in row.key]
    if not rows:
        names = ", ".join(row.key for row in ROWS)
        raise app.UsageError(f"--only={only}: no row has it in its name: {names}")
    return rows


def _is_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _measure(
    rows: list[Row], results: dict[str, Any], output: Path, *, repeats: int
) -> None:
    """Times the rows and writes the results after each."""
    device = jax.devices()[0].device_kind
    record = results["measured"].setdefault(device, {"costs": {}})
    made = report.provenance()
    peaks = cost.peaks("float32" if _is_cpu() else "bfloat16")
    bandwidth = None if _is_cpu() else _bandwidth()
    record["peaks"] = dataclasses.asdict(peaks) | {"bandwidth": bandwidth}
    progress = Progress("measure", len(rows), unit="row", every_s=0)
    for number, row in enumerate(rows):
        progress.update(number, row.key)
        record["costs"][row.key] = _cost(row, repeats) | {"made": made}
        _save(results, output)
        gc.collect()
        jax.clear_caches()
    progress.update(len(rows))


def _save(results: dict[str, Any], output: Path) -> None:
    replace_text(output, json.dumps(results, indent=1, sort_keys=True) + "\n")


def _cost(row: Row, repeats: int) -> dict[str, Any]:
    """What a row takes here, and the product measured just before; JSON."""
    cpu = _is_cpu()
    config = row.config(cpu=cpu)
    peaks = cost.peaks(config.train.dtype)
    item = Item(row.key, row.kind, config, row.images(cpu=cpu))
    try:
        found = command.measure(item, repeats=repeats, peaks=peaks)
    except cost.TooLarge as error:
        return {"error": f"needs {error.needed / 1e9:.0f} GB"}
    except jax.errors.JaxRuntimeError as error:
        if memory.does_not_fit(error) is None:
            raise
        return {"error": "out of memory"}
    return dataclasses.asdict(found) | {"product": peaks.product}


def _bandwidth() -> float:
    """1e12 bytes/s of a copy that adds one, read and written."""
    array = jnp.zeros(_COPIED, jnp.bfloat16)
    runner = Runner(Work(jax.jit(lambda x: x + 1), (array,), images=0))
    runner.seconds(2)
    return 4 * _COPIED / Spread.of(runner.seconds(10)).low / 1e12


if __name__ == "__main__":
    sys.exit(app.run(main, "roofline"))
