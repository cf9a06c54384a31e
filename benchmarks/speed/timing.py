"""Times of a compiled function; needs JAX alone, so that any revision can be timed."""

import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Spread:
    """Seconds of single calls, or ratios of them.

    Attributes:
      median: of them.
      low: the smallest.
      high: the largest.
      count: how many there are.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclasses.dataclass(frozen=True)
class Work:
    """A function to compile and what to call it with.

    Attributes:
      function: jitted.
      arguments: arrays on the devices.
      images: of one call.
      takes_state: the first result is the first argument of the next call, whose
        buffers are given away.
    """

    function: Any
    arguments: tuple[Any, ...]
    images: int
    takes_state: bool = False


class Runner:
    """A compiled function that is called again and again.

    Args:
      work: what to compile.

    Attributes:
      traced: `jax.stages.Traced`.
      compiled: `jax.stages.Compiled`.
      compile_s: seconds of tracing and compiling.
      result: of the last call.
    """

    def __init__(self, work: Work) -> None:
        start = time.perf_counter()
        self.traced = work.function.trace(*work.arguments)
        self._lowered = self.traced.lower()
        self.compiled = self._lowered.compile()
        self.compile_s = time.perf_counter() - start
        self._arguments, self._takes_state = work.arguments, work.takes_state
        self.result: Any = None

    def seconds(self, calls: int) -> list[float]:
        """Seconds of so many calls, each waited for."""
        found = []
        for _ in range(calls):
            start = time.perf_counter()
            result = jax.block_until_ready(self.compiled(*self._arguments))
            found.append(time.perf_counter() - start)
            if self._takes_state:
                self._arguments = (result[0], *self._arguments[1:])
            self.result = result
        return found

    def queued_s(self, calls: int) -> float:
        """Seconds of a call of so many that are handed over at once, and waited for.

        A device that has the next call already has no pause between two, as in a
        training, where `seconds` has one a call.
        """
        start = time.perf_counter()
        for _ in range(calls):
            self.result = self.compiled(*self._arguments)
            if self._takes_state:
                self._arguments = (self.result[0], *self._arguments[1:])
        jax.block_until_ready(self.result)
        return (time.perf_counter() - start) / calls

    def xla_cost(self) -> dict[str, float | None]:
        """XLA's {'flops', 'bytes', 'temporaries'} of one call; each loop counts once.

        `flops` are those of the program as it is traced: the CPU's compiler makes
        calls of some products, whose arithmetic it does not know. `bytes` are read and
        written by the compiled operations, `temporaries` allocated. What XLA does not
        count is None: on CUDA it counts no program before it is compiled (jax 0.11.2).
        """
        return {
            "flops": (self._lowered.cost_analysis() or {}).get("flops"),
            "bytes": (self.compiled.cost_analysis() or {}).get("bytes accessed"),
            "temporaries": self.compiled.memory_analysis().temp_size_in_bytes,
        }
