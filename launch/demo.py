"""The demonstration behind `make demo`; see `python -m launch.demo --help`."""

import sys

from pix2seq_d.cli import app, demo

if __name__ == "__main__":
    sys.exit(app.run(demo.main, "demo"))
