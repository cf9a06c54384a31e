"""How fast images are encoded: what is computed once for each, whatever the steps.

  python benchmarks/encode.py --config=coco_panoptic:high_res [--batch=1,8] \
      [--compare=REV] [--output=encode.json]

Encoder, pyramid, and what the decoder makes of their output once (keys and values of
its cross-attention, the image's share of its first convolution), with random weights
on one device. What the rows mean: benchmarks/README.md.
"""

import sys

from absl import flags
from speed import command
from speed.command import Item

from pix2seq_d.cli import app


def main(argv: list[str]) -> None:
    """Prints a table."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    command.define(values, argv)
    flags.DEFINE_list("batch", ["1"], "Images of a call.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    config = command.settled(values)
    batches = command.counts(values, "batch")
    items = [Item(f"batch {count}", "encode", config, count) for count in batches]
    command.run("encode", values, items)


if __name__ == "__main__":
    sys.exit(app.run(main, "encode"))
