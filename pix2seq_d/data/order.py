"""Which example stands where in the endless, shuffled training stream.

Position p = 0, 1, 2, ... of the stream lies in epoch p // n and holds example
perm_{seed, epoch}[p % n]. Global batch k is positions k B ... (k + 1) B - 1, and
each process takes one contiguous share of it. Nothing depends on the past, so a
run that starts at step N sees what an uninterrupted run would have seen.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=2)  # two, because a batch may straddle two epochs
def permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """[num_examples] int64, read-only: the order of one epoch (ours)."""
    order = np.random.default_rng((seed, epoch, 0, 0)).permutation(num_examples)
    order.flags.writeable = False
    return order


def locate(
    positions: np.ndarray, *, num_examples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the stream -> (epoch, index into the source).

    Args:
      positions: [...] int64, >= 0.
      num_examples: length of the source.
      seed: seed of the run, >= 0.

    Returns:
      epoch, index: [...] int64; every index occurs once in each epoch.

    Raises:
      ValueError: the source is empty or the seed negative.
    """
    if num_examples < 1:
        raise ValueError("the training source is empty: check its root and split")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    epoch, offset = np.divmod(positions, num_examples)
    index = np.empty_like(offset)
    for one in np.unique(epoch):
        here = epoch == one
        index[here] = permutation(seed, int(one), num_examples)[offset[here]]
    return epoch, index


def batch_positions(
    step: int, *, batch_size: int, process_index: int = 0, process_count: int = 1
) -> np.ndarray:
    """[batch_size / process_count] int64: one process's share of batch `step`.

    Args:
      step: number of the global batch, 0 is the first of the run.
      batch_size: examples in the global batch, over all processes.
      process_index: this process, in [0, process_count).
      process_count: processes that read.

    Raises:
      ValueError: the batch cannot be split evenly, or the process is out of range.
    """
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"batch_size {batch_size} does not divide over {process_count} "
            "process(es): use a positive multiple"
        )
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index {process_index} is not in [0, {process_count})"
        )
    if step < 0:
        raise ValueError(f"the first step must be 0 or more, got {step}")
    share = batch_size // process_count
    first = step * batch_size + process_index * share
    return np.arange(first, first + share, dtype=np.int64)
