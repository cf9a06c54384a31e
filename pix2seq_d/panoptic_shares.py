"""Panoptic files that several processes write: a share each, merged by one (ours).

A writer names PNGs by what it has written before, so that processes which wrote into
one folder could take the same name. Merged, the files are those of one process.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import PanopticWriter

SHARES = "shares"


def share_folder(output: Path, process_index: int, process_count: int) -> Path:
    """Where a process's `PanopticWriter` writes; `output` itself for a lone one."""
    return output if process_count == 1 else output / SHARES / str(process_index)


def merge_shares(
    output: Path, label_space: LabelSpace, shares: Sequence[Sequence[int]]
) -> None:
    """Moves closed shares into `output` and removes their folders.

    Args:
      output: as in `share_folder`.
      label_space: the categories.
      shares: for each process the positions in the source of the images that it
        wrote, in that order.
    Raises:
      FileNotFoundError: a share is not there.
      ValueError: it holds another number of images, or two have an id in common.
    """
    entries = []
    for process, positions in enumerate(shares):
        folder = share_folder(output, process, len(shares))
        entries += zip(positions, _entries(folder, process), strict=True)
    with PanopticWriter(output, label_space) as writer:
        for _, entry in sorted(entries, key=lambda row: row[0]):
            writer.take(*entry)
    shutil.rmtree(output / SHARES)


def _entries(
    folder: Path, process: int
) -> Iterator[tuple[Path, dict[str, Any], list[dict[str, Any]]]]:
    path = folder / "panoptic.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: what process {process} predicted is not there; give an --output "
            "that is one folder for all processes"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    for image, annotation in zip(
        content["images"], content["annotations"], strict=True
    ):
        png = folder / "panoptic" / annotation["file_name"]
        yield png, image, annotation["segments_info"]
