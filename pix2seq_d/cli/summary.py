"""Shapes, parameters and FLOPs of a config's model; no memory and no data needed.

  python -m launch.summary --config=custom:paper
  python -m launch.summary --config=shapes:tiny --figure=model.png

FLOPs are twice the multiply-accumulates of convolutions and matrix products. The
encoder and the pyramid run once an image, the decoder at every step.
"""

from absl import flags

from pix2seq_d import config as config_lib
from pix2seq_d.cli import app


def main(argv: list[str]) -> None:
    """The command `summary`."""
    argv = app.resolve_config(argv)
    values = app.new_flags()
    app.define_config(values, argv)
    flags.DEFINE_string(
        "figure", None, "Draw the model too: FILE.png or .svg.", flag_values=values
    )
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "config")
    config = config_lib.from_config_dict(values.config)

    from pix2seq_d.models import summary
    from pix2seq_d.visualize import architecture, diagram

    figure = diagram.check_path(values.figure) if values.figure else None
    parts = summary.summarize(config.model)
    print(summary.table(parts, num_steps=config.diffusion.num_steps))
    if figure:
        diagram.save(architecture.draw(config.model), figure)
        print(f"figure: {figure}")
