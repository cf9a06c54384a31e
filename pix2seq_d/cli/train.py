"""Trains a model; goes on by itself where the workdir holds a checkpoint.

python -m launch.train --config=configs/shapes.py:tiny --workdir=work/shapes
python -m launch.train --config=configs/custom.py:tiny --workdir=work/mine \
      --config.data.source.root=DIR
"""

import re
from pathlib import Path

import ml_collections
from absl import flags

from pix2seq_d import assets
from pix2seq_d import config as config_lib
from pix2seq_d.cli import app, compilation_cache, processes
from pix2seq_d.training import interrupt


def main(argv: list[str]) -> int | None:
    """The command `train`."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string(
        "workdir",
        None,
        "Folder for checkpoints and metrics; one training only.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "profile_steps",
        None,
        "First and last step of a trace for TensorBoard's profiler or Perfetto, e.g. "
        "10:20; written to WORKDIR/profile.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "dry_run",
        False,
        "Compile the training step and print memory, arithmetic, traffic and "
        "device-hours; reads no data, needs no workdir.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "topology",
        None,
        "The same with the TPU compiler for a slice that is not here, e.g. v5e:4x4 or "
        "v5p:2x2x4; needs libtpu.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "prices",
        None,
        "With --dry_run or --topology: print money, too, from this file of yours: "
        '{"date": "2026-11-01", "currency": "USD", "source": "...", '
        '"per_device_hour": {"h100": 2.5}}.',
        flag_values=values,
    )
    processes.define(values)
    assert __doc__
    sections = {processes.SECTION: processes.NAMES}
    if not app.parse(values, argv, __doc__, sections=sections):
        return None
    is_dry = values.dry_run or values.topology is not None
    if values.topology == "":
        raise app.UsageError("--topology is empty; give a slice, e.g. v5e:4x4")
    if values.prices is not None and not is_dry:
        raise app.UsageError("--prices is for --dry_run and --topology; leave it out")
    app.require(values, *(("config",) if is_dry else ("config", "workdir")))
    fields = values.config
    if not isinstance(fields, ml_collections.ConfigDict):
        raise app.UsageError(
            "--config: get_config does not return a ConfigDict; begin with "
            "pix2seq_d.config.default()"
        )
    if fields.data.source.root:
        # So that the workdir can be evaluated from any folder.
        fields.data.source.root = str(Path(fields.data.source.root).resolve())
    for name in ("from_", "encoder"):
        fields.init[name] = assets.settled(fields.init[name])
    config = config_lib.from_config_dict(fields)
    if is_dry:
        from pix2seq_d.cli import dry_run

        return dry_run.run(
            config, slice_name=values.topology, prices_file=values.prices
        )
    profile_steps = _steps(values.profile_steps)

    root = Path(config.data.source.root)
    if not root.exists():
        raise app.UsageError(
            f"config field data.source.root={config.data.source.root!r}: does not "
            "exist; give the folder of the data"
        )
    with interrupt.stopping_at_once():
        # After the flags: a typo should not wait for Flax and Orbax.
        from pix2seq_d.training import loop
        from pix2seq_d.training.journal import say

        workdir = Path(values.workdir)
        processes.join(values)
        compilation_cache.use()
        loop.train(config, workdir, profile_steps=profile_steps)
        say(f"trained: {workdir}")


def _steps(text: str | None) -> tuple[int, int] | None:
    """'10:20' -> (10, 20)."""
    if not text:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise app.UsageError(
            f"--profile_steps={text}: give the first and the last step, e.g. 10:20"
        )
    return int(match[1]), int(match[2])
