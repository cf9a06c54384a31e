"""What a job leaves in its folder about itself: command, time, hardware, commit."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from pix2seq_d import atomic_file

FILE = "reproduce.json"


@dataclasses.dataclass(frozen=True)
class Record:
    """One start of a job.

    Attributes:
      command: as a shell takes it.
      started: ISO 8601, UTC.
      ended: the same.
      status: exit status of the command.
      hardware: number and kind of the devices.
      commit: of the code; '' where git does not say.
    """

    command: str
    started: str
    ended: str
    status: int
    hardware: str
    commit: str


def read(folder: Path) -> list[Record]:
    """All starts of a job, the first one first; [] where none is recorded."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return [Record(**entry) for entry in content["starts"]]
    except FileNotFoundError:
        return []


def add(folder: Path, record: Record) -> None:
    """Writes one more start into a folder, which is made if absent."""
    starts: list[dict[str, Any]] = [
        dataclasses.asdict(entry) for entry in (*read(folder), record)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"starts": starts}, indent=2) + "\n"
    atomic_file.replace_text(folder / FILE, text)
