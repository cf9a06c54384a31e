"""Arrays of different sizes as rows of one array that grows with them."""

import numpy as np
import numpy.typing as npt


class PaddedRows:
    """[count, H, W, C]: arrays [h, w, C], each in the upper left corner of its row.

    H and W are the largest so far. Growing moves the rows within the memory, so
    there is never a second copy of them.

    Args:
      count: rows.
      channels: C.
      dtype: of the arrays.
    """

    def __init__(self, count: int, channels: int, dtype: npt.DTypeLike) -> None:
        self._count, self._channels = count, channels
        self._size = (0, 0)
        self._flat = np.zeros(0, dtype)

    @property
    def rows(self) -> np.ndarray:
        """[count, H, W, C], 0 where nothing was put; valid until the next `put`."""
        return self._flat.reshape(self._count, *self._size, self._channels)

    def put(self, row: int, array: np.ndarray) -> None:
        """Fills row `row` with [h, w, C]; rows are filled in order."""
        height, width = array.shape[:2]
        size = max(self._size[0], height), max(self._size[1], width)
        if size != self._size:
            self._grow(size, filled=row)
        self.rows[row, :height, :width] = array

    def _grow(self, size: tuple[int, int], *, filled: int) -> None:
        (height, width), self._size = self._size, size
        old = height * width * self._channels
        new = size[0] * size[1] * self._channels
        # In place where the allocator can; what is new is 0.
        self._flat.resize(self._count * new, refcheck=False)
        # A row's new place starts at or after its old one: the last one moves first.
        for row in reversed(range(filled)):
            content = self._flat[row * old : (row + 1) * old].copy()
            self.rows[row] = 0
            content = content.reshape(height, width, self._channels)
            self.rows[row, :height, :width] = content
