"""The progress line: one line rewritten on a terminal, plain lines in a log."""

import sys
import time
from typing import TextIO


def duration(seconds: float) -> str:
    """59 -> '59s', 61 -> '1m01s', 3700 -> '1h01m'."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"


class Progress:
    """Prints how far long work is and how long it will take.

    Args:
      title: first word of the line.
      total: number of units of work; None: not known before `end`.
      done: units done before, by an earlier process.
      unit: name of a unit.
      stream: where to print; standard error by default.
      every_s: seconds between lines where the stream is no terminal.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        *,
        done: int = 0,
        unit: str = "step",
        stream: TextIO | None = None,
        every_s: float = 10.0,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._stream = sys.stderr if stream is None else stream
        self._every_s = every_s
        self._start = self._last = time.monotonic()
        self._first = done
        self._width = 0

    def restart(self, done: int) -> None:
        """Measures speed from now on, e.g. after compiling."""
        self._start, self._first = time.monotonic(), done

    def pause(self, seconds: float) -> None:
        """Takes time spent on something else out of the speed."""
        self._start += seconds

    def end(self, done: int) -> None:
        """Shows that all work is done, however much was expected."""
        if self._total != done:
            self._total = done
            self.update(done)

    def update(self, done: int, text: str = "") -> None:
        """Shows that `done` units are done; `text` is put behind."""
        if self._total is not None and done > self._total:
            self._total = None  # it was an estimate
        now = time.monotonic()
        terminal = self._stream.isatty()
        finished = self._total is not None and done >= self._total
        if not terminal and not finished and now - self._last < self._every_s:
            return
        self._last = now
        line = f"{self._title} {self._unit} {done}"
        if self._total is not None:
            line += f"/{self._total}"
        if text:
            line += f"  {text}"
        units = done - self._first
        if units > 0 and not finished and self._total is not None:
            left = (now - self._start) / units * (self._total - done)
            line += f"  left {duration(left)}"
        if terminal:
            end = "\n" if finished else ""
            self._stream.write("\r" + line.ljust(self._width) + end)
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
