"""A whole dataset, decoded, in memory."""

import contextlib
from typing import NamedTuple

import numpy as np

from pix2seq_d.data import reading
from pix2seq_d.data.padded_rows import PaddedRows
from pix2seq_d.data.reader import Reader
from pix2seq_d.data.source import Source
from pix2seq_d.data.workers import ordered_map
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.progress import Progress


class Table(NamedTuple):
    """A whole dataset.

    Attributes:
      images: [N, H, W, 3] uint8, each in the upper left corner.
      labels: [N, H, W, 2 (F + 1)] uint8 or uint16, as `reading.Arrays.labels`.
      sizes: [N, 2] int32, (height, width) of each.
      id_ranges: [N] int32, as `Numbering`.
    """

    images: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    id_ranges: np.ndarray


def load(
    source: Source,
    *,
    max_instances: int,
    rule: IdRule,
    num_workers: int,
    read_timeout_s: float,
    max_bytes: int,
) -> Table:
    """Decodes a whole source in threads, with progress.

    Raises:
      ValueError: it takes more than `max_bytes`, as soon as that is known; whatever
        the source raises.
      TimeoutError: an example took longer than `read_timeout_s`.
    """
    count = len(source)
    reader = Reader(source, max_instances=max_instances, rule=rule)
    label_type = reading.label_type(source.label_space, max_instances)

    def read(index: int) -> tuple[str, np.ndarray, np.ndarray, int]:
        arrays, name = reader.read(index)
        labels = arrays.labels(label_type)
        return name, arrays.image, labels, arrays.numbering.id_range

    found = ordered_map(
        read,
        range(count),
        num_workers=num_workers,
        ahead=2 * num_workers,
        timeout_s=read_timeout_s,
        waits_for=reader.under_way,
    )
    sizes, ranges = np.zeros((count, 2), np.int32), np.zeros(count, np.int32)
    rows: tuple[PaddedRows, PaddedRows] | None = None
    progress = Progress("reading", count, unit="image")
    most: tuple[int, ...] = (0, 0)
    with contextlib.closing(found):
        for row, (name, image, labels, id_range) in enumerate(found):
            sizes[row], ranges[row] = image.shape[:2], id_range
            if (sizes[row] > most).any():
                most = tuple(sizes[: row + 1].max(0).tolist())
                _check_fits(
                    count * most[0] * most[1] * (3 + labels[0, 0].nbytes),
                    max_bytes,
                    last=f"{name} of {image.shape[1]}x{image.shape[0]} pixels",
                    padded=f"{count} images padded to {most[1]}x{most[0]}",
                )
            if rows is None:
                rows = (
                    PaddedRows(count, 3, np.uint8),
                    PaddedRows(count, labels.shape[-1], label_type),
                )
            for part, array in zip(rows, (image, labels), strict=True):
                part.put(row, array)
            progress.update(row + 1)
    reader.report()
    assert rows is not None  # `order.locate` has refused an empty source
    return Table(rows[0].rows, rows[1].rows, sizes, ranges)


def _check_fits(used: int, max_bytes: int, *, last: str, padded: str) -> None:
    """Raises ValueError if a table is too large; `last` made it so."""
    if used > max_bytes:
        raise ValueError(
            f"the training split takes more than {max_bytes / 2**30:.3g} GiB in "
            f"memory: {padded} are {used / 2**30:.3g} GiB, with {last}; scale large "
            "images down, or take data.loader='tf', which reads again each epoch"
        )
