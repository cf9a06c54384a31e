"""Scores predictions against the truth; see `python -m launch.metrics --help`."""

import sys

if __name__ == "__main__":
    # Not above: the processes that score import this file too, and need neither.
    from pix2seq_d.cli import app, metrics

    sys.exit(app.run(metrics.main, "metrics"))
