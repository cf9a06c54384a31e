"""Reproduces a table of the paper; see `python -m launch.reproduce --help`."""

import sys

from pix2seq_d.cli import app, reproduce

if __name__ == "__main__":
    sys.exit(app.run(reproduce.main, "reproduce"))
