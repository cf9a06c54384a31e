"""A trace of some steps, for TensorBoard's profiler or Perfetto."""

from pathlib import Path
from typing import Any

import jax

FOLDER = "profile"


class Profile:
    """Records the steps from `first` to `last` into `<workdir>/profile`.

    Only process 0 does; where the training ends before `last`, the trace does too.

    Args:
      workdir: of the training.
      steps: (first, last); None: nothing is recorded.
    """

    def __init__(self, workdir: Path, steps: tuple[int, int] | None) -> None:
        self._folder = workdir / FOLDER
        self._steps = steps if jax.process_index() == 0 else None
        self._running = False

    def before(self, step: int, state: Any) -> None:
        """Call before a step is dispatched; `state` goes into it."""
        if self._steps and step == self._steps[0]:
            # What was dispatched before is not of these steps.
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._folder)
            self._running = True

    def after(self, step: int, state: Any) -> bool:
        """Call after it, with the state that it made; True where the trace ended."""
        if not (self._running and self._steps and step == self._steps[1]):
            return False
        jax.block_until_ready(state)
        self.close()
        return True

    def close(self) -> None:
        """Ends a trace under way."""
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
