"""Predicts masks for images; see `python -m launch.predict --help`."""

import sys

from pix2seq_d.cli import app, predict

if __name__ == "__main__":
    sys.exit(app.run(predict.main, "predict"))
