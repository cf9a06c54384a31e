"""Prints what a model consists of; see `python -m launch.summary --help`."""

import sys

from pix2seq_d.cli import app, summary

if __name__ == "__main__":
    sys.exit(app.run(summary.main, "summary"))
