"""Runs an iterator ahead of its consumer in one background thread."""

import atexit
import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """Yields the items of an iterator, made up to `depth` ahead in a thread.

    The thread starts at the first `next` and has ended when the generator is
    exhausted, closed or collected. An exception of the iterator is raised at the
    place in the stream where it happened.

    Args:
      items: any iterator; a generator is closed when the consumer stops early.
      depth: number of finished items that may wait, >= 1.
    """
    ready: queue.SimpleQueue[tuple[str, T | BaseException | None]] = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    stop = threading.Event()

    def work() -> None:
        try:
            while True:
                free.acquire()
                if stop.is_set():
                    break
                try:
                    item = next(items)
                except StopIteration:
                    ready.put(("end", None))
                    break
                ready.put(("item", item))
        except BaseException as error:  # carried to the consumer, whatever it is
            ready.put(("error", error))
        finally:
            if isinstance(items, Generator):
                items.close()

    def shut() -> None:
        stop.set()
        free.release()
        thread.join()

    thread = threading.Thread(target=work, name="pix2seq_d-prefetch", daemon=True)
    thread.start()
    # A generator nobody closed must not leave its thread inside NumPy while the
    # interpreter is torn down: that aborts the process.
    atexit.register(shut)
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if isinstance(value, BaseException):
                raise value
            free.release()
            yield value  # pyright: ignore[reportReturnType]
    finally:
        if not stop.is_set():  # else Python is ending and has shut it already
            atexit.unregister(shut)
            shut()
