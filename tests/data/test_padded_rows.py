"""Rows of one array that grows with what is put into them."""

import tracemalloc

import numpy as np

from pix2seq_d.data.padded_rows import PaddedRows


def test_rows_keep_their_content_while_the_array_grows():
    rng = np.random.default_rng(0)
    shapes = [(3, 2), (1, 5), (6, 1), (2, 2), (6, 7)]
    arrays = [rng.integers(1, 256, (*shape, 3), np.uint8) for shape in shapes]
    made = PaddedRows(len(arrays) + 1, 3, np.uint8)
    for row, array in enumerate(arrays):
        made.put(row, array)
    assert made.rows.shape == (6, 6, 7, 3) and made.rows.dtype == np.uint8
    for row, array in zip(made.rows, arrays, strict=False):
        height, width = array.shape[:2]
        np.testing.assert_array_equal(row[:height, :width], array)
        assert np.count_nonzero(row) == array.size
    assert not made.rows[5].any()


def test_growing_never_holds_the_rows_twice():
    tracemalloc.start()
    try:
        made = PaddedRows(100, 3, np.uint8)
        for row in range(100):
            made.put(row, np.ones((100, 100 + row // 99, 3), np.uint8))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.rows.nbytes == 100 * 100 * 101 * 3
    assert peak < 1.1 * made.rows.nbytes
