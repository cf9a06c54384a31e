"""Draws the curves of trainings; see `python -m launch.curves --help`."""

import sys

from pix2seq_d.cli import app, curves

if __name__ == "__main__":
    sys.exit(app.run(curves.main, "curves"))
