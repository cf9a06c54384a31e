"""What a training has to know of its past beside the state (ours).

It is of no use to the model, and so not in the checkpoints: scalars that are in no line
of metrics yet, so that their means do not depend on where a training was stopped;
seconds spent on the steps that were kept; steps that were left out.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from pix2seq_d import atomic_file

LEDGER_FILE = "ledger.json"
# More checkpoints than these are kept by few, and an entry is only missed a little.
_ENTRIES = 50


@dataclasses.dataclass(frozen=True)
class Entry:
    """A training's past when it was saved.

    Attributes:
      window: scalars of the steps since the last line of metrics.
      step_seconds: spent on all steps that the state has taken.
      left_out: steps whose update was left out, as loss or gradient was no number.
    """

    window: tuple[dict[str, float], ...] = ()
    step_seconds: float = 0.0
    left_out: int = 0


class Ledger:
    """`<workdir>/ledger.json`: an entry for every saved step, and the first start.

    Args:
      workdir: of the training; process 0 alone may write it.
      resume_step: step the training goes on from; later entries are dropped.

    Attributes:
      started: when the training began at step 0, seconds since 1970.
    """

    def __init__(self, workdir: Path, *, resume_step: int) -> None:
        self._path = workdir / LEDGER_FILE
        found = _read(self._path)
        now = time.time()
        self.started: float = found.get("started", now) if resume_step else now
        self._entries: dict[str, dict[str, Any]] = {
            step: entry
            for step, entry in found.get("steps", {}).items()
            if int(step) <= resume_step
        }
        self._write()

    def entry(self, step: int) -> Entry:
        """The entry of a step; an empty one where there is none."""
        found = self._entries.get(str(step))
        if found is None:
            return Entry()
        return Entry(tuple(found["window"]), found["step_seconds"], found["left_out"])

    def note(self, step: int, entry: Entry) -> None:
        """Writes an entry, before the checkpoint it belongs to."""
        self._entries[str(step)] = dataclasses.asdict(entry)
        self._entries = dict(list(self._entries.items())[-_ENTRIES:])
        self._write()

    def _write(self) -> None:
        text = json.dumps({"started": self.started, "steps": self._entries})
        atomic_file.replace_text(self._path, text + "\n")


def step_seconds(workdir: Path, step: int) -> float:
    """What a training spent on all steps up to a saved one; 0 where it is not known."""
    entry = _read(workdir / LEDGER_FILE).get("steps", {}).get(str(step), {})
    return entry.get("step_seconds", 0.0)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        # Of no use to the model: no reason to stop.
        print(
            f"note: {path} cannot be read ({error}); goodput, the next line's means "
            "and the number of steps left out begin anew",
            file=sys.stderr,
            flush=True,
        )
        return {}
