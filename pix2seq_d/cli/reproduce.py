r"""Reproduces a table of the paper, or a small study after it: plan, run, compare.

  python -m launch.reproduce --table=coco --workdir=work/paper --dry_run
  python -m launch.reproduce --table=coco --workdir=work/paper --coco=DIR \
      --detection_encoder=FILE
  python -m launch.reproduce --table=study_bit_scale --workdir=work/study
  python -m launch.reproduce --table=study --workdir=work/study --collect

Every row is an ordinary launch.train and launch.evaluate, in WORKDIR/TABLE/ROW/seed_K.
What is done is not done again: the same command goes on after any interruption. A row
that cannot be run is named and left out. At the end WORKDIR/TABLE.md and .json hold the
paper's figures beside ours. With --dry_run it prints what would be done and what that
costs, reads no data and ends. `--config.field=value` changes a field of all rows.
"""

import datetime
import functools
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from pix2seq_d.cli import app
from pix2seq_d.config import Config
from pix2seq_d.reproduce import catalogue, datasets
from pix2seq_d.reproduce.recipes import Table, find_table

if TYPE_CHECKING:
    from pix2seq_d.reproduce.jobs import Job
    from pix2seq_d.reproduce.runs import Given

_FLAGS_OF_DATA = "Folders of data"


def main(argv: list[str]) -> int | None:
    """The command `reproduce`."""
    command = shlex.join(["python", "-m", "launch.reproduce", *argv])
    overrides, own = app.split_overrides(argv)
    values = _flags()
    assert __doc__
    doc = f"{__doc__.rstrip()}\n\nTables:\n{catalogue.listing()}"
    if not app.parse(values, own, doc, sections={_FLAGS_OF_DATA: [*datasets.FLAGS]}):
        return None
    app.require(values, "table")
    tables = catalogue.find(values.table)
    paths = _paths(tables, values.rows)
    modes = [name for name in ("dry_run", "print", "collect") if values[name].value]
    if len(modes) > 1:
        raise app.UsageError(f"--{modes[0]} and --{modes[1]} exclude each other")
    if values.earlier and (values.dry_run or values.print):
        raise app.UsageError("--earlier is for collecting; leave it out")
    if values.prices is not None and not values.dry_run:
        raise app.UsageError("--prices is for --dry_run; leave it out")
    app.require(values, "workdir")
    for name in ("workdir", "output"):
        folder = values[name].value
        if folder and Path(folder).is_file():
            raise app.UsageError(f"--{name}={folder} is a file; give a folder")

    # Only shapes are computed here: the devices are for the commands that it starts.
    import jax

    jax.config.update("jax_platforms", "cpu")
    from pix2seq_d.cli import evaluate
    from pix2seq_d.cli import reproduce_collect as collecting
    from pix2seq_d.dry_run import prices
    from pix2seq_d.reproduce import (
        earlier,
        execute,
        jobs,
        ladder_rows,
        plan,
        plan_text,
        runs,
    )
    from pix2seq_d.training import checkpoint_format, interrupt

    given = runs.Given(
        workdir=Path(values.workdir),
        roots=_roots(values),
        detection_encoder=_file(values.detection_encoder, "detection_encoder"),
        overrides=tuple(app.resolve_config(overrides)),
        for_evaluation=evaluate.OVERRIDES,
        load=lambda arguments: _load_once(tuple(arguments)),
    )
    seeds = _seeds(values.seeds, tables)
    # Rows of other tables that these start from, or evaluate, keep their settings too.
    behind = [path.partition("/")[0] for path in jobs.trained_rows(paths)]
    for name in dict.fromkeys([*(table.name for table in tables), *behind]):
        _check_overrides(find_table(name, catalogue.TABLES), overrides)
    if values.dry_run:
        known = None if values.prices is None else prices.read(values.prices)
        made = plan.make(paths, seeds, given, prices=known)
        print(plan_text.text(made, tables, seeds))
        return 0
    if values.print:
        return _print(jobs.todo(paths, seeds, given), given)
    known = {}
    if values.earlier:
        known = earlier.read(Path(values.earlier), argv=argv)
    ladder_rows.adopt(list(jobs.todo(paths, seeds, given)))
    commit = checkpoint_format.commit() or ""
    status = 0
    if not values.collect:
        todo = list(jobs.todo(paths, seeds, given))
        _say(f"{len(todo)} commands to run" if todo else "all is done already")
        status = execute.run_all(todo, given, commit=commit, say=_say)
        if status == interrupt.EXIT_STATUS:  # there may be seconds left
            return status
    made_by = {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "commit": commit,
    }
    output = Path(values.output or values.workdir)
    page = collecting.write(
        *(values.table, tables, seeds, given, output), made_by=made_by, known=known
    )
    print(f"collected: {page}")
    return status


def _print(some: Iterable["Job"], given: "Given") -> int:
    """Prints the commands that can be run; names the others, as `run_all` does."""
    from pix2seq_d.reproduce import states

    status = 0
    for job in some:
        why = states.obstacle(job.runs[0], given)
        if why:
            status = 1
            _say(f"left out: {job.name}: {why}")
        else:
            print(job.text)
    return status


def _flags() -> flags.FlagValues:
    values = app.new_flags()

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def switch(name: str, doc: str) -> None:
        flags.DEFINE_boolean(name, False, doc, flag_values=values)

    text("table", "Which table, or group of tables; see above.")
    text("workdir", "Folder of all trainings, results and collected tables.")
    text("rows", "Rows of the table, such as b_0.1,b_1.0; all by default.")
    text("seeds", "Seeds of the trainings, such as 0,1; the table's own by default.")
    switch("dry_run", "Print what is done, what is left and what it costs, and end.")
    switch(
        "print", "Print the commands that are left and can be run, one a line, and end."
    )
    switch("collect", "Collect what is there into the table, run nothing.")
    text("output", "Folder for the collected table; the workdir by default.")
    text(
        "earlier",
        "JSON of an earlier collection, of another workdir or of one that is gone: its "
        "numbers stand where the workdir has none.",
    )
    text("prices", "With --dry_run: JSON of prices, see launch.train --help.")
    text(
        "detection_encoder",
        "Weights that the image encoder of COCO's low_res starts from, as "
        "--config.init.encoder takes them; the paper's are of Objects365 detection.",
    )
    for flag, data in datasets.FLAGS.items():
        text(flag, f"{data.title}.")
    return values


def _paths(tables: Sequence[Table], rows: str | None) -> list[str]:
    """`table/row` of the rows that are wanted."""
    if rows is None:
        return [f"{table.name}/{row.name}" for table in tables for row in table.rows]
    if len(tables) > 1:
        raise app.UsageError("--rows is for one table; name it by --table")
    (table,) = tables
    known = [row.name for row in table.rows]
    for name in rows.split(","):
        if name not in known:
            raise app.UsageError(
                f"--rows={rows}: {table.name} has no row {name!r}; choose of "
                f"{', '.join(known)}"
            )
    return [f"{table.name}/{name}" for name in known if name in rows.split(",")]


def _seeds(text: str | None, tables: Sequence[Table]) -> tuple[int, ...]:
    if text is None:
        return max((table.seeds for table in tables), key=len)
    try:
        seeds = tuple(dict.fromkeys(map(int, text.split(","))))
    except ValueError:
        seeds = (-1,)
    if min(seeds) < 0:
        raise app.UsageError(f"--seeds={text}: take whole numbers from 0 on, as 0,1")
    return seeds


def _roots(values: flags.FlagValues) -> dict[str, str]:
    roots = {}
    for flag in datasets.FLAGS:
        folder = values[flag].value
        if folder:
            if not Path(folder).is_dir():
                raise app.UsageError(f"--{flag}={folder}: no such folder")
            roots[flag] = str(Path(folder).resolve())
    return roots


def _file(path: str | None, flag: str) -> str:
    if not path:
        return ""
    # A checkpoint of TensorFlow is a name that files begin with.
    found = Path(path).exists() or any(Path(path).parent.glob(f"{Path(path).name}.*"))
    if not found:
        raise app.UsageError(f"--{flag}={path}: no such file; check the path")
    return str(Path(path).resolve())


def _check_overrides(table: Table, overrides: Sequence[str]) -> None:
    """What makes a row a row cannot be overridden for all of them."""
    own = {name for row in table.rows for name, _ in row.sampler.overrides}
    settings = [dict(row.overrides) for row in table.rows]
    named = {name for one in settings for name in one}
    varied = {
        name
        for name in named
        if any(one.get(name) != settings[0].get(name) for one in settings)
    }
    taken = {*own, *varied, "train.seed", "data.source.root"}
    if any(row.start for row in table.rows):
        taken |= {"init.from", "init.from_", "init.encoder"}
    for argument in overrides:
        field = argument.lstrip("-").removeprefix("config.").partition("=")[0]
        if field in taken:
            raise app.UsageError(
                f"--config.{field}: the rows of {table.name} say it; leave it out"
            )


@functools.cache
def _load_once(arguments: tuple[str, ...]) -> Config:
    return app.load_config(arguments)


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"reproduce: {text}", file=sys.stderr, flush=True)
