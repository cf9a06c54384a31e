"""Runs an iterator ahead of its consumer in one background thread."""

import atexit
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

# How long closing waits for an item that is being made: one may hang for ever.
_PATIENCE_S = 10.0


def prefetch(
    items: Iterator[T],
    *,
    depth: int,
    timeout_s: float | None = None,
    waits_for: Callable[[], str] = str,
) -> Generator[T, None, None]:
    """Yields the items of an iterator, made up to `depth` ahead in a thread.

    The thread starts at the first `next` and has ended when the generator is
    exhausted, closed or collected. An exception of the iterator is raised at the
    place in the stream where it happened.

    Args:
      items: any iterator; a generator is closed when the consumer stops early.
      depth: number of finished items that may wait, >= 1.
      timeout_s: how long the consumer waits for an item; None for ever.
      waits_for: what is under way, for the message.

    Raises:
      TimeoutError: an item did not come in time.
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

    patience_s = _PATIENCE_S

    def shut() -> None:
        stop.set()
        free.release()
        thread.join(patience_s)

    thread = threading.Thread(target=work, name="pix2seq_d-prefetch", daemon=True)
    thread.start()
    # A generator nobody closed must not leave its thread inside NumPy while the
    # interpreter is torn down: that aborts the process.
    atexit.register(shut)
    try:
        while True:
            try:
                kind, value = ready.get(timeout=timeout_s)
            except queue.Empty:
                patience_s = 0.0  # what hangs now will hang when closing
                raise late(timeout_s, waits_for()) from None
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


def late(timeout_s: float | None, waits_for: str) -> TimeoutError:
    """The error that says what did not come in time."""
    return TimeoutError(
        f"no training example was ready within {timeout_s:g} s; waiting for "
        f"{waits_for}; see to the disk, or raise data.read_timeout_s"
    )
