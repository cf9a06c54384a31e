"""An evaluation under way: what any number of processes have scored so far (ours).

Each process has a folder of its own, to which it adds a line for each image or video
when that is scored and its files are there:

  <folder>/<host>-<number>/journal.jsonl   a header with the settings, then the scores
  <folder>/<host>-<number>/...             the files of the predictions

Nothing is written twice, so that a process may be killed at any moment, and another may
go on from what all have done, on any host that has the folder. Whoever finds the
evaluation complete makes the results of it, removes the folder, and leaves beside it
the settings, `<folder>.json`, by which a process that comes late knows.
"""

import contextlib
import dataclasses
import fcntl
import functools
import json
import secrets
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.atomic_file import replace_text
from pix2seq_d.json_lines import append_line, changed_field, read_entries, read_header

FOLDER = "shards"  # below the folder of the results
_JOURNAL, _LOCK = "journal.jsonl", "lock"


@dataclasses.dataclass(frozen=True)
class Record:
    """One image or video that was scored.

    Attributes:
      score: of JSON types.
      folder: of the files of its prediction.
      seconds: what its process had spent by then, as it was given to `Shards.add`.
    """

    score: Any
    folder: Path
    seconds: Any


class Shards:
    """The records of one evaluation, of all processes.

    Args:
      folder: made with the first record.
      settings: of JSON types; what the scores depend on.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))  # as they are read

    @functools.cached_property
    def own(self) -> Path:
        """This process's folder, a new one."""
        # Never a name of before, to whose process this would be its own.
        path = self.folder / f"{socket.gethostname()}-{secrets.token_hex(4)}"
        path.mkdir(parents=True)
        append_line(path / _JOURNAL, {"settings": self._settings})
        return path

    @property
    def has_own(self) -> bool:
        """Whether `own` is made."""
        return "own" in vars(self)

    def add(
        self,
        position: int,
        score: Any,
        *,
        files: Sequence[str] = (),
        seconds: Any = None,
    ) -> None:
        """Adds a record.

        Args:
          position: of the image or video in its source.
          score: of JSON types.
          files: of its prediction, below `own`; they are there.
          seconds: of JSON types; what this process has spent so far.
        Raises:
          FileNotFoundError: another process has made the results and removed all.
        """
        sums = {name: zlib.crc32((self.own / name).read_bytes()) for name in files}
        entry = {"position": position, "score": score, "files": sums}
        append_line(self.own / _JOURNAL, entry | {"seconds": seconds})

    def records(self) -> dict[int, Record]:
        """What all processes have scored, by position.

        A record whose files are not as they were written is left out. One that is
        there several times, for shards that overlap, has to be the same each time.

        Raises:
          ValueError: the folder is of other settings, or two records of one position
            differ.
        """
        records: dict[int, Record] = {}
        for journal in self._journals():
            folder = journal.parent
            for entry in read_entries(journal):
                if not _are_whole(folder, entry["files"]):
                    continue
                position = entry["position"]
                record = Record(entry["score"], folder, entry["seconds"])
                before = records.setdefault(position, record)
                if before.score != record.score:
                    raise ValueError(
                        f"{before.folder} and {folder} have other scores of number "
                        f"{position}, as of other devices or versions; delete one"
                    )
        return records

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Waits until no other process makes the results.

        Raises:
          FileNotFoundError: the folder is not there, or was removed meanwhile.
        """
        with (self.folder / _LOCK).open("a") as file:
            # File systems without locks: of two that end at once both make them.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            (self.folder / _LOCK).stat()
            yield

    @property
    def finished(self) -> bool:
        """Whether the results were made, and nothing was begun since."""
        try:
            made = json.loads(self._marker.read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        return made == self._settings and not self.folder.exists()

    def finish(self) -> None:
        """Removes all records: the results are made."""
        replace_text(self._marker, json.dumps(self._settings, indent=1) + "\n")
        removed = tempfile.mkdtemp(prefix="removed_", dir=self.folder.parent)
        # In one go, for another process may be waiting to read them.
        self.folder.rename(Path(removed) / self.folder.name)
        shutil.rmtree(removed, ignore_errors=True)

    @property
    def _marker(self) -> Path:
        return self.folder.with_name(self.folder.name + ".json")

    def _journals(self) -> list[Path]:
        """Of all processes, in order; ValueError if one is of other settings."""
        journals = sorted(self.folder.glob(f"*/{_JOURNAL}"))
        for journal in journals:
            before = read_header(journal).get("settings", self._settings)
            changed = changed_field(before, self._settings)
            if changed is not None:
                raise ValueError(
                    f"{self.folder}: an evaluation that was not finished has "
                    f"{changed}; finish it with the same, delete this folder, or give "
                    "another --output"
                )
        return journals


def _are_whole(folder: Path, sums: Mapping[str, int]) -> bool:
    """Whether all files are as they were written."""
    try:
        return all(
            zlib.crc32((folder / name).read_bytes()) == value
            for name, value in sums.items()
        )
    except FileNotFoundError:
        return False
