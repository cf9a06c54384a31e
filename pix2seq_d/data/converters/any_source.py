"""Any dataset this project reads -> COCO panoptic."""

import dataclasses
from pathlib import Path

import numpy as np

from pix2seq_d.data.converters.output import Report, SplitWriter
from pix2seq_d.data.source import EncodedExample, Source
from pix2seq_d.panoptic import PanopticMap


def convert(
    source: Source, output: Path | str, *, split: str, overwrite: bool = False
) -> Report:
    """All examples of a source -> a split of a COCO panoptic folder.

    Encoded images are copied byte for byte, others saved as PNG. Crowds stay;
    segments without a pixel are left out.

    Args:
      source: the dataset.
      output: root of the COCO panoptic folder.
      split: its split.
      overwrite: whether a complete split may be replaced.
    Raises:
      FileExistsError: the split is there already.
      ValueError: the source is empty, or one of its files is damaged or would be
        written over.
    """
    if not len(source):
        raise ValueError(f"{output}: no image to write (the source is empty)")
    first = source[0]
    inputs = []
    if isinstance(first, EncodedExample):
        inputs = [first.image_file.where, first.label_file.where]
    with SplitWriter(
        output,
        split,
        source.label_space,
        total=len(source),
        inputs=inputs,
        overwrite=overwrite,
    ) as writer:
        for index in range(len(source)):
            example = source[index]
            panoptic = _with_pixels(example.panoptic)
            vanished = len(example.panoptic.segments) - len(panoptic.segments)
            writer.drop("segments without a pixel", vanished)
            encoded = isinstance(example, EncodedExample)
            writer.write(
                panoptic,
                image=example.image_file if encoded else example.image,
                image_id=example.image_id,
                file_name=example.file_name,
            )
    return writer.report


def _with_pixels(panoptic: PanopticMap) -> PanopticMap:
    present = set(np.unique(panoptic.ids).tolist())
    segments = tuple(s for s in panoptic.segments if s.id in present)
    return dataclasses.replace(panoptic, segments=segments)
