"""How fast a training step is, and what share of the device's arithmetic it reaches.

  python benchmarks/train_step.py --config=coco_panoptic:low_res \
      --config.train.batch_size=64 [--repeats=20] [--compare=REV] [--output=step.json]

Compiles the exact step of the config for all devices at hand and runs it on one random
batch that stays there: no reading, no placing of data; random weights.

--compare=REV runs the same step of another revision and of this tree in turn, and
prints the ratio of their times. What the rows mean: benchmarks/README.md.
"""

import sys

from speed import command
from speed.command import Item

from pix2seq_d.cli import app


def main(argv: list[str]) -> None:
    """Prints a table."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    command.define(values, argv)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    config = command.settled(values)
    item = Item("training step", "train_step", config, config.train.batch_size)
    command.run("train_step", values, [item])


if __name__ == "__main__":
    sys.exit(app.run(main, "train_step"))
