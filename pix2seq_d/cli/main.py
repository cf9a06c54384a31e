"""The console script: `pix2seq-d <command> ...` is `python -m launch.<command> ...`."""

import importlib
import sys

from pix2seq_d.cli import app

COMMANDS = {
    "demo": "train, evaluate and predict on the embedded dataset",
    "train": "train a model; resumes by itself",
    "evaluate": "score a checkpoint: PQ, SQ, RQ",
    "predict": "masks for images",
    "draw": "scenes to try a model on",
    "export": "a model as one file that needs JAX and NumPy alone",
    "convert": "other weights, or those of another stage, into a checkpoint",
    "curves": "loss, quality, learning rate of trainings as a figure",
    "metrics": "PQ, STQ, VPQ, J&F or mIoU of files; no model needed",
    "doctor": "what is wrong with a dataset, and where; converts labels",
    "reproduce": "a table of the paper, or a small study: plan, run, compare",
    "summary": "shapes, parameters and FLOPs of a model",
}


def main() -> int:
    """Runs the command that the first argument names; returns the exit status."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: pix2seq-d COMMAND [--help] [flags]\n")
        for command, doc in COMMANDS.items():
            print(f"  {command:10s}{doc}")
        return 0
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"pix2seq-d: error: no command {name!r}; choose {known}", file=sys.stderr)
        return 1
    command = importlib.import_module(f"pix2seq_d.cli.{name}")
    return app.run(command.main, f"pix2seq-d {name}", sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
