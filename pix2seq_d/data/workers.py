"""A function mapped over items in threads, in order, with a limit to the waiting."""

import collections
import concurrent.futures
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from pix2seq_d.data.prefetch import late

T = TypeVar("T")
R = TypeVar("R")

# How long closing waits for threads in the midst of an item.
_PATIENCE_S = 5.0


def num_cpus() -> int:
    """CPUs that this process may use: more threads would only get in their way."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    num_workers: int,
    ahead: int,
    timeout_s: float | None = None,
    waits_for: Callable[[], str] = str,
) -> Generator[R, None, None]:
    """Yields function(item) of every item, in order.

    The results do not depend on the number of workers if `function` is pure. An
    exception of `function` is raised at its item's place. Threads are daemons, not
    those of `concurrent.futures`: one that hangs must not keep Python from ending.

    Args:
      function: called in the threads.
      items: taken as they are needed, in the thread of the consumer.
      num_workers: threads, >= 1.
      ahead: items that may be finished or under way before the consumer asks.
      timeout_s: how long the consumer waits for one result; None for ever.
      waits_for: what is under way, for the message.

    Raises:
      TimeoutError: a result did not come in time.
    """
    tasks: queue.SimpleQueue[tuple[concurrent.futures.Future[R], T] | None] = (
        queue.SimpleQueue()
    )
    waiting: collections.deque[concurrent.futures.Future[R]] = collections.deque()
    patience_s = _PATIENCE_S

    def work() -> None:
        while task := tasks.get():
            future, item = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(item))
            except BaseException as error:  # carried to the consumer, whatever it is
                future.set_exception(error)
            del task, future, item  # nothing outlives its consumer here

    def result() -> R:
        nonlocal patience_s
        future = waiting.popleft()
        concurrent.futures.wait([future], timeout_s)
        if not future.done():
            patience_s = 0.0  # what hangs now will hang when closing
            raise late(timeout_s, waits_for())
        return future.result()

    threads = [
        threading.Thread(target=work, name="pix2seq_d-worker", daemon=True)
        for _ in range(num_workers)
    ]
    for thread in threads:
        thread.start()
    try:
        for item in items:
            future = concurrent.futures.Future()
            waiting.append(future)
            tasks.put((future, item))
            if len(waiting) > ahead:
                yield result()
        while waiting:
            yield result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in threads:
            tasks.put(None)
        end = time.monotonic() + patience_s
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
