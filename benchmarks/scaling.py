"""What every recipe takes on the slices it is meant for, by the TPU compiler alone.

  PYTHONPATH=.venv/libtpu python benchmarks/scaling.py [--only=low_res] [--prices=FILE]

Compiles each (recipe, slice, settings) of the plan once, on a machine without TPUs,
keeps what the compiler says in --output, and writes the tables of docs/scaling.md and
its picture from there. The same command goes on where it was stopped, and compiles
again what another config, jax or libtpu has changed. A paper-size step takes at least a
quarter of an hour of one core and 12 GB. Nothing is run: all is an estimate.

--memory stops each training step where its memory is settled, in a fraction of the
time: whether it fits and what is exchanged, without cycles. --write compiles nothing:
it makes the tables anew from --output.
"""

import gc
import importlib
import sys
from pathlib import Path

import jax
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, dry_run
from pix2seq_d.config import Config
from pix2seq_d.dry_run import prices
from pix2seq_d.progress import Progress
from pix2seq_d.scaling import compiled, modelled, page, store, tables
from pix2seq_d.scaling.cases import Case, Overrides
from pix2seq_d.scaling.plan import CASES, RECIPES
from pix2seq_d.visualize import diagram, weak_scaling

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/scaling.md"
FIGURE = ROOT / "docs/images/scaling.svg"
RESULTS = ROOT / "docs/results/scaling.json"
TITLE = "Weak scaling of coco_panoptic:low_res, an estimate: nothing was run"


def main(argv: list[str]) -> None:
    """Compiles what is missing, then writes the tables."""
    values = app.new_flags()
    flags.DEFINE_string(
        "output",
        str(RESULTS),
        "File of results; is made, or gone on with.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "only", "", "Compile the programs whose name has this text.", flag_values=values
    )
    flags.DEFINE_string(
        "prices",
        None,
        "Dated JSON file of prices: prints what the recipes cost.",
        flag_values=values,
    )
    flags.DEFINE_bool("memory", False, "Only memory, no time.", flag_values=values)
    flags.DEFINE_bool("write", False, "Compile nothing.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    known_prices = None if values.prices is None else prices.read(values.prices)
    output = Path(values.output)
    if values.write and not store.read(output).cases:
        raise app.UsageError(f"--write: {output} has no results; leave --write out")
    if not values.write:
        _compile_missing(output, values.only, to_the_end=not values.memory)
    results = store.read(output)
    page.insert(PAGE, tables.blocks(results))
    diagram.save(weak_scaling.draw(modelled.curves(results), title=TITLE), FIGURE)
    print(f"tables: {PAGE}\nfigure: {FIGURE}")
    if known_prices is not None:
        print(tables.costs(results, known_prices))


def config_of(recipe: str, overrides: Overrides = ()) -> Config:
    """A recipe's config with all sizes and lengths settled."""
    name, _, variant = recipe.partition(":")
    module = importlib.import_module(f"configs.{name}")
    fields = module.get_config(variant) if variant else module.get_config()
    fields.update_from_flattened_dict(dict(overrides))
    return dry_run.settle(config_lib.from_config_dict(fields))[0]


def _compile_missing(output: Path, only: str, *, to_the_end: bool) -> None:
    results = store.read(output)
    wanted = [case for case in CASES if only in case.key]
    if not wanted:
        raise app.UsageError(
            f"--only={only}: no program of the plan has it in its name"
        )
    configs = {case.key: config_of(case.recipe, case.overrides) for case in wanted}
    prints = {c.key: compiled.fingerprint(c, configs[c.key]) for c in wanted}
    missing = store.missing(wanted, results, prints, to_the_end=to_the_end)
    for recipe in RECIPES:
        config = config_of(recipe)
        made = {"fingerprint": compiled.fingerprint(Case("train", recipe, ""), config)}
        if results.recipes.get(recipe, {}).items() >= made.items():
            continue
        results.recipes[recipe] = made | compiled.facts(config)
    store.write(output, results)
    done = len(wanted) - len(missing)
    progress = Progress("compile", len(wanted), done=done, unit="program", every_s=0)
    for number, case in enumerate(missing, start=done):
        progress.update(number, case.key)
        config = configs[case.key]
        found = compiled.record(case, config, to_the_end=to_the_end)
        # What another process has found by now is kept.
        results = store.read(output)
        results.cases[case.key] = found
        store.write(output, results)
        # Each program holds gigabytes of the compiler's memory.
        jax.clear_caches()
        gc.collect()
    progress.update(len(wanted))


if __name__ == "__main__":
    sys.exit(app.run(main, "scaling"))
