"""How long encoding and sampling take, in evaluations of one or many processes."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pix2seq_d.evaluation.shards import Record


class Timed:
    """A function that knows how long it takes; its first call, which compiles, apart.

    Attributes:
      calls: how many there were.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._seconds = 0.0
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        """What the function returns, when it is computed."""
        start = time.perf_counter()
        result = jax.block_until_ready(self._function(*args))
        if self.calls:
            self._seconds += time.perf_counter() - start
        self.calls += 1
        return result

    def spent(self, batch_size: int) -> tuple[float, int]:
        """Seconds, and rows of batches that they went into."""
        return self._seconds, max(self.calls - 1, 0) * batch_size


def seconds_per_image(records: Iterable[Record]) -> list[float | None]:
    """Seconds of each function, the mean over all processes; None: not measured.

    Args:
      records: whose `seconds` are `Timed.spent` of each function.
    """
    last: dict[Path, np.ndarray] = {}  # what each process had spent in the end
    for record in records:
        spent = np.array(record.seconds)
        last[record.folder] = np.maximum(spent, last.get(record.folder, spent))
    total = np.sum(list(last.values()), axis=0).tolist()
    return [seconds / rows if rows else None for seconds, rows in total]
