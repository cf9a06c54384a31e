"""Where the time of a training goes (ours)."""

import contextlib
import time
from collections.abc import Callable, Iterator

STEP = "step"


class Phases:
    """Seconds spent on each kind of work; what is not named is of the steps.

    Steps run on the device while Python goes on: their time is not measured, but is
    what waiting for data, saving, evaluating and so on leave of the whole.

    Args:
      clock: seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Counts the time in the context as of this phase."""
        start = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def seconds(self) -> dict[str, float]:
        """Seconds of each phase since the last `restart`, those of STEP included."""
        others = sum(self._seconds.values())
        return {STEP: self._clock() - self._start - others, **self._seconds}

    def restart(self) -> None:
        """Counts from zero."""
        self._start, self._seconds = self._clock(), {}
