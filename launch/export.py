"""Exports a model as one file; see `python -m launch.export --help`."""

import sys

from pix2seq_d.cli import app, export

if __name__ == "__main__":
    sys.exit(app.run(export.main, "export"))
