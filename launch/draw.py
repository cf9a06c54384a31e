"""Draws scenes to try a model on; see `python -m launch.draw --help`."""

import sys

from pix2seq_d.cli import app, draw

if __name__ == "__main__":
    sys.exit(app.run(draw.main, "draw"))
