"""Evaluates a checkpoint; see `python -m launch.evaluate --help`."""

import sys

from pix2seq_d.cli import app, evaluate

if __name__ == "__main__":
    sys.exit(app.run(evaluate.main, "evaluate"))
