"""Memory of large arrays that is used again, which spares the page faults of new."""

import weakref
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Buffers:
    """Arrays of one shape; the memory of one that nobody refers to is used again.

    Views of an array, and devices that share its memory, count as references. The
    pool holds as many as were ever in use at once. Threads may share it.

    Args:
      shape: of the arrays.
      dtype: of the arrays.
    """

    def __init__(self, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        self._free: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """An array whose content is arbitrary."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self._shape, self._dtype)
        # Through the buffer protocol: a plain view would hand its views on to
        # `memory`, and they would not keep it alive.
        root = np.frombuffer(memory.data.cast("B"), self._dtype)
        weakref.finalize(root, self._free.append, memory).atexit = False
        return root.reshape(self._shape)
