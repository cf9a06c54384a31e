"""How fast masks are sampled: encoder and sampler together, and one decoder step apart.

  python benchmarks/sample.py --config=coco_panoptic:high_res [--steps=5,10,20] \
      [--batch=1] [--compare=REV] [--output=sample.json]

From images on the device to labels on the device, in one program for each number of
steps, with random weights on one device. Files, resizing and votes are in
benchmarks/predict.py. What the rows mean: benchmarks/README.md.
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
    flags.DEFINE_list(
        "steps", ["5", "10", "20"], "Steps of the sampler.", flag_values=values
    )
    flags.DEFINE_integer(
        "batch", 1, "Images of a call.", flag_values=values, lower_bound=1
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    config, batch = command.settled(values), values.batch
    items = [Item("decoder step", "decoder_step", config, batch)]
    for steps in command.counts(values, "steps"):
        stepped = config.replaced(diffusion={"num_steps": steps})
        items.append(Item(f"{steps} steps", "sample", stepped, batch))
    command.run("sample", values, items)


if __name__ == "__main__":
    sys.exit(app.run(main, "sample"))
