"""What the benchmarks of one config have in common: flags, measuring, comparing."""

import dataclasses
import re
from collections.abc import Sequence

import jax
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.config import Config
from speed import compare, cost, report, workloads
from speed.compare import Case
from speed.cost import Cost


@dataclasses.dataclass(frozen=True)
class Item:
    """A workload of a benchmark.

    Attributes:
      name: for people.
      kind: of `workloads.KINDS`.
      config: with num_classes set.
      batch: images of a call.
    """

    name: str
    kind: str
    config: Config
    batch: int


def define(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Adds the flags that these benchmarks share."""
    app.define_config(values, argv)
    flags.DEFINE_integer(
        "repeats", 20, "Calls that are timed.", flag_values=values, lower_bound=1
    )
    flags.DEFINE_string("output", None, "JSON file to write.", flag_values=values)
    flags.DEFINE_string(
        "compare",
        None,
        "Revision (commit, tag, HEAD~1) that is timed in turn with this tree.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "turns", 7, "Turns of --compare.", flag_values=values, lower_bound=1
    )


def settled(values: flags.FlagValues) -> Config:
    """The config of the flags, its number of classes settled.

    Raises:
      UsageError: --config is missing, --output lies in no folder, or --compare names no
        revision.
    """
    app.require(values, "config")
    report.check_output(values.output)
    if values.compare:
        compare.commit_of(values.compare)
    return dry_run.settle(config_lib.from_config_dict(values.config))[0]


def config_of(*arguments: str) -> Config:
    """The config that command-line arguments name, its number of classes settled.

    Args:
      arguments: e.g. '--config=shapes:tiny', '--config.train.batch_size=4'.
    """
    return dry_run.settle(app.load_config(arguments))[0]


def counts(values: flags.FlagValues, name: str) -> list[int]:
    """The whole numbers, at least 1, of a flag that is a list.

    Raises:
      UsageError: one is none.
    """
    given = values[name].value
    if not given or not all(re.fullmatch("[1-9][0-9]*", one) for one in given):
        raise app.UsageError(
            f"--{name}={','.join(given)}: take whole numbers from 1, as in 1,8"
        )
    return [int(one) for one in given]


def run(name: str, values: flags.FlagValues, items: Sequence[Item]) -> None:
    """Measures the items, or compares them with a revision; prints and writes.

    Args:
      name: of the benchmark.
      values: of `define`.
      items: what to time.
    """
    settings = {"benchmark": name, "config": config_lib.flatten(items[0].config)}
    if values.compare:
        cases = [
            Case(item.name, item.kind, workloads.fields_of(item.config), item.batch)
            for item in items
        ]
        compared = compare.run(
            values.compare, cases, turns=values.turns, calls=values.repeats
        )
        print(compare.table(values.compare, compared))
        other = {"revision": compare.commit_of(values.compare)}
        report.write(values.output, settings | other | {"compared": compared})
        return
    # A compile time of the cache would be none.
    jax.config.update("jax_enable_compilation_cache", False)
    peaks = cost.peaks(items[0].config.train.dtype)
    costs = [measure(item, repeats=values.repeats, peaks=peaks) for item in items]
    print(title(items[0].config))
    print(report.costs(costs, peaks))
    report.write(values.output, settings | {"peaks": peaks, "costs": costs})


def measure(item: Item, *, repeats: int, peaks: cost.Peaks) -> Cost:
    """The cost of an item."""
    work = workloads.make(item.kind, item.config, batch=item.batch)
    return cost.measure(
        work,
        name=item.name,
        repeats=repeats,
        model_flops=cost.model_flops(item.kind, item.config, images=work.images),
        peaks=peaks,
    )


def title(config: Config) -> str:
    """One line on model, dtype and devices."""
    height, width = config.model.image_size
    mask_height, mask_width = config.model.mask_size
    made = report.provenance()
    return (
        f"image {height} x {width}, mask {mask_height} x {mask_width}, "
        f"{config.train.dtype}, {made['devices']}, jax {made['versions']['jax']}, "
        f"commit {(made['commit'] or 'unknown')[:12]}\n"
    )
