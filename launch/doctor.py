"""Checks a dataset; see `python -m launch.doctor --help`."""

import sys

from pix2seq_d.cli import app, doctor

if __name__ == "__main__":
    sys.exit(app.run(doctor.main, "doctor"))
