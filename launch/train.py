"""Trains a model; see `python -m launch.train --help`."""

import sys

from pix2seq_d.cli import app, train

if __name__ == "__main__":
    sys.exit(app.run(train.main, "train"))
