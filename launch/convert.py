"""Converts weights into a checkpoint; see `python -m launch.convert --help`."""

import sys

from pix2seq_d.cli import app, convert

if __name__ == "__main__":
    sys.exit(app.run(convert.main, "convert"))
