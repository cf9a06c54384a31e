"""Trains a model; goes on by itself where the workdir holds a checkpoint.

python -m launch.train --config=configs/shapes.py:tiny --workdir=work/shapes
python -m launch.train --config=configs/custom.py:tiny --workdir=work/mine \
      --config.data.source.root=DIR
"""

import sys
from pathlib import Path

import ml_collections
from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app


def main(argv: list[str]) -> None:
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
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config", "workdir")
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
        if fields.init[name]:
            fields.init[name] = str(Path(fields.init[name]).resolve())
    config = config_lib.from_config_dict(fields)

    # After the flags: a typo should not wait for Flax and Orbax.
    from pix2seq_d.training import loop

    workdir = Path(values.workdir)
    loop.train(config, workdir)
    print(f"trained: {workdir}", file=sys.stderr)
