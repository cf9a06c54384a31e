"""The scalars of the steps since the last line of metrics (ours)."""

import math
from collections.abc import Sequence

import jax

# Steps that may be under way on the device: enough for it never to wait for Python,
# and few, because each holds a batch in its memory.
AHEAD = 2


class Window:
    """Collects scalars without making the device wait.

    Args:
      values: of steps before, which a stopped training had not written yet.
    """

    def __init__(self, values: Sequence[dict[str, float]] = ()) -> None:
        self.values = list(values)
        self._under_way: list[tuple[int, dict[str, jax.Array]]] = []

    def add(self, step: int, scalars: dict[str, jax.Array]) -> None:
        """Takes what a step returned, which need not be computed yet."""
        self._under_way.append((step, scalars))

    def settle(self, *, ahead: int = 0) -> list[tuple[int, dict[str, float]]]:
        """Waits until at most `ahead` steps are under way.

        Returns:
          (step, scalars) of those that have ended since the last call.
        """
        count = max(len(self._under_way) - ahead, 0)
        ended, self._under_way = self._under_way[:count], self._under_way[count:]
        settled = [
            (step, {name: float(value) for name, value in scalars.items()})
            for step, scalars in jax.device_get(ended)
        ]
        self.values += [scalars for _, scalars in settled]
        return settled

    def take(self) -> dict[str, float]:
        """Means over the window's steps, which then begins anew.

        A step whose update was left out (`finite` 0) is not counted; where none is
        left, there are no means.
        """
        counted = [values for values in self.values if values["finite"]]
        self.values = []
        return {
            name: math.fsum(values[name] for values in counted) / len(counted)
            for name in (counted[0] if counted else ())
            if name != "finite"
        }
