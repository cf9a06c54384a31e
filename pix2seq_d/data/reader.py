"""Reads training examples; knows what is being read, and what was lost in it."""

import sys
import threading
import time

from pix2seq_d.data import reading
from pix2seq_d.data.source import Source
from pix2seq_d.instance_ids import IdRule

_SHOWN = 4  # examples in one message


class Reader:
    """Decodes examples of a source, in any number of threads.

    The first image with more segments than there are instance ids is named on
    standard error; `report` says how many there were.

    Args:
      source: labelled images, or `Clips`.
      max_instances: number of instance ids, 0 included.
      rule: which segments get instance ids.
    """

    def __init__(self, source: Source, *, max_instances: int, rule: IdRule) -> None:
        self._source = source
        self._max_instances, self._rule = max_instances, rule
        # Each thread writes its own entry, or an image's for ever the same number.
        self._under_way: dict[int, tuple[float, str]] = {}
        self._dropped: dict[int, int] = {}
        self._lock = threading.Lock()

    def read(self, index: int) -> tuple[reading.Arrays, str]:
        """Example `index` and its file name.

        Raises:
          ValueError, OSError: as the source.
        """
        thread, start = threading.get_ident(), time.monotonic()
        self._under_way[thread] = start, f"example {index}"
        try:
            example = self._source[index]
            self._under_way[thread] = start, f"example {index} ({example.file_name})"
            _ = example.image  # first, so that its header is not parsed for its size
            arrays = reading.read(
                example,
                self._source.label_space,
                max_instances=self._max_instances,
                rule=self._rule,
            )
        finally:
            del self._under_way[thread]
        if arrays.numbering.num_dropped:
            self._count(index, example.file_name, arrays.numbering.num_dropped)
        return arrays, example.file_name

    def under_way(self) -> str:
        """'example 7 (7.jpg) since 31 s, ...': what is being read, the oldest first."""
        now = time.monotonic()
        # A copy in one step: other threads go on.
        found = sorted(self._under_way.copy().values())
        texts = [f"{what} since {now - start:.0f} s" for start, what in found[:_SHOWN]]
        if len(found) > _SHOWN:
            texts.append(f"{len(found) - _SHOWN} more")
        return ", ".join(texts) or "no file, but the processor"

    def report(self) -> None:
        """Says on standard error how many segments found no id, if any did not."""
        with self._lock:
            segments, images = sum(self._dropped.values()), len(self._dropped)
        if segments:
            _say(
                f"{segments} segment(s) in {images} of the images read became void: "
                f"they had more than model.max_instances={self._max_instances} can "
                "tell apart"
            )

    def _count(self, index: int, file_name: str, number: int) -> None:
        with self._lock:
            is_first = not self._dropped
            self._dropped[index] = number
        if is_first:
            _say(
                f"warning: {file_name}: its {number} smallest segment(s) become void, "
                f"for there are ids for {self._max_instances - 1} only; raise "
                "model.max_instances, or live with it: such images are counted"
            )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
