"""Scores of many items by several processes, in the order of the items."""

import contextlib
import itertools
import multiprocessing
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

_task: "Task"  # of a worker process


class Task(Protocol):
    """Items that can be scored one by one, in any process: it can be pickled."""

    @property
    def unit(self) -> str:
        """What an item is, `image` or `sequence`."""
        ...

    @property
    def per_process(self) -> int:
        """How many items are worth the second that a process takes to start."""
        ...

    @property
    def chunk(self) -> int:
        """How many items a process is given at a time: what is quick goes in parts."""
        ...

    def __len__(self) -> int: ...

    def score(self, row: int) -> Any:
        """The score of an item, which can be pickled."""
        ...


def scores(task: Task, *, num_workers: int) -> Iterator[Any]:
    """Yields the score of each item in order; errors are those of `task.score`.

    Args:
      task: what to score.
      num_workers: processes; 1, or few items, take none beside this one.
    Raises:
      RuntimeError: a process was killed.
    """
    num_workers = min(num_workers, len(task) // task.per_process)
    if num_workers <= 1:
        yield from map(task.score, range(len(task)))
        return
    pool = ProcessPoolExecutor(
        num_workers,
        # A forked process would inherit locks of threads that it does not have.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(task,),
    )
    size = task.chunk
    parts = iter([range(len(task))[k : k + size] for k in range(0, len(task), size)])

    def submit(count: int) -> list[Future[list[Any]]]:
        chosen = itertools.islice(parts, count)
        with _interrupt_held():
            return [pool.submit(_score, part) for part in chosen]

    try:
        # Few at a time, so that an error is not followed by hours of other work.
        ahead = submit(4 * num_workers)
        while ahead:
            yield from ahead.pop(0).result()
            ahead += submit(1)
    except (BrokenProcessPool, BrokenPipeError) as error:
        raise RuntimeError(
            "a process was killed, most likely for want of memory; lower num_workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Ctrl-C waits till the end, and a process that is started never sees it.

    Ctrl-C reaches all processes of a terminal, of which one is to say so; between
    its start and its entry in the pool a process would be left behind.
    """
    held: list[int] = []
    with contextlib.ExitStack() as afterwards:
        if threading.current_thread() is threading.main_thread():
            before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
            afterwards.callback(lambda: [signal.raise_signal(n) for n in held[:1]])
            afterwards.callback(signal.signal, signal.SIGINT, before)
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            # A process inherits what is blocked, but no handler.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            afterwards.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        yield


def _start(task: Task) -> None:
    global _task
    _task = task


def _score(rows: range) -> list[Any]:
    return [_task.score(row) for row in rows]
