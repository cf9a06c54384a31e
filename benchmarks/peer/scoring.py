"""Writes the maps of every row and scores them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peer.data import Split
from peer.network import Logits
from peer.panoptic import readings
from pix2seq_d.evaluation import pq, table
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic_files import PanopticWriter


def score(
    logits: list[Logits],
    split: Split,
    label_space: LabelSpace,
    truth: Path,
    output: Path,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Scores each way from logits to a map.

    Args:
      logits: of every image of the split.
      split: the images.
      label_space: the categories.
      truth: the JSON of the split.
      output: folder for the maps, `panoptic`, `panoptic_1` and so on.
    Yields:
      Name of a row and its scores.
    """
    for number, (name, to_map) in enumerate(readings(label_space).items()):
        folder = "panoptic" if number == 0 else f"panoptic_{number}"
        with PanopticWriter(output, label_space, name=folder) as writer:
            rows = zip(split.ids, split.names, logits, strict=True)
            for image_id, file_name, made in rows:
                writer.write(to_map(made), image_id=image_id, file_name=file_name)
        result = pq.evaluate(truth, writer.json_path)
        yield name, table.result_to_json(result, label_space)
