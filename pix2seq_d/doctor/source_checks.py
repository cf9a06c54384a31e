"""Checks of any `Source`: every example is decoded, its one-line errors are noted."""

import numpy as np

from pix2seq_d.data.source import EncodedExample, Example, Source
from pix2seq_d.doctor.facts import Checked, ImageFacts, MapFacts, image_facts
from pix2seq_d.doctor.finding import Finding, from_error
from pix2seq_d.doctor.image_checks import check_image, check_size, compare_sizes
from pix2seq_d.doctor.map_checks import Described, check_map, classes_of
from pix2seq_d.image_files import File
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.panoptic import PanopticMap


class SourceSplit:
    """See `Split`.

    Args:
      name: of the split.
      source: its examples.
      where: the file or folder it was opened from.
      max_instances: of the model.
      rule: which segments have instance ids.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        where: str,
        max_instances: int,
        rule: IdRule = COCO,
    ) -> None:
        self.name, self.where = name, where
        self.label_space = source.label_space
        self._source, self._max_instances, self._rule = source, max_instances, rule
        self._classes = classes_of(source.label_space)
        self.findings: list[Finding] = []
        if not len(source):
            message, cure = "has no example", "add annotated images"
            self.findings.append(Finding("no_annotations", where, message, cure))

    def __len__(self) -> int:
        return len(self._source)

    def check(self, index: int) -> Checked:
        """See `Split`."""
        try:
            example = self._source[index]
        except (ValueError, OSError) as error:
            found = from_error(error, "unreadable_example", self.where)
            return Checked(self.where, f"example {index}", None, (found,))
        findings, facts, image = self._image(example)
        more, panoptic = self._map(example, image)
        return Checked(
            where=self._image_where(example),
            name=example.file_name,
            image_id=example.image_id,
            findings=(*findings, *more),
            image=facts,
            map=panoptic,
        )

    def picture(self, index: int) -> tuple[np.ndarray, PanopticMap]:
        """See `Split`."""
        example = self._source[index]
        return example.image, example.panoptic

    def _image(
        self, example: Example
    ) -> tuple[list[Finding], ImageFacts | None, np.ndarray | None]:
        where, image_id = self._image_where(example), example.image_id
        if isinstance(example, EncodedExample):
            findings, image = check_image(example.image_file, image_id)
            if image is None:
                return findings, None, None
            return findings, image_facts(image, example.image_file.data), image
        try:
            image = example.image
        except (ValueError, OSError) as error:
            found = from_error(error, "unreadable_image", where, image_id)
            return [found], None, None
        return check_size(image.shape, where, image_id), image_facts(image), image

    def _map(
        self, example: Example, image: np.ndarray | None
    ) -> tuple[list[Finding], MapFacts | None]:
        where, image_id = self._image_where(example), example.image_id
        image_file: File | None = None
        try:
            if isinstance(example, EncodedExample):
                # Not example.panoptic, which needs a readable image.
                where, image_file = example.label_file.where, example.image_file
                panoptic = example.decode_labels(example.label_file)
            else:
                panoptic = example.panoptic
        except (ValueError, OSError) as error:
            return [from_error(error, "unreadable_labels", where, image_id)], None
        findings = []
        if image is not None:
            findings += compare_sizes(
                image_file,
                image.shape,
                panoptic.ids.shape,
                where=where,
                image_id=image_id,
            )
        known = self._classes.names
        segments = [
            Described(
                s.id, s.category_id if s.category_id in known else None, s.is_crowd
            )
            for s in panoptic.segments
        ]
        unknown = sorted({s.category_id for s in panoptic.segments} - known.keys())
        if unknown:
            message = f"segments have category ids {unknown}, which no category has"
            cure = "correct them or add the categories"
            findings.append(Finding("unknown_category", where, message, cure, image_id))
        more, facts = check_map(
            panoptic.ids,
            segments,
            self._classes,
            where=where,
            image_id=image_id,
            max_instances=self._max_instances,
            rule=self._rule,
        )
        return [*findings, *more], facts

    def _image_where(self, example: Example) -> str:
        if isinstance(example, EncodedExample):
            return example.image_file.where
        return f"{self.where}: {example.file_name}"
