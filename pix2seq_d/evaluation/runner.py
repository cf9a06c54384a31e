"""Evaluation of anything that predicts: batches in, panoptic quality out.

Knows no model: a `predict_fn` maps network images to label maps. Beside the PQ
stands the *oracle*, the PQ of the truth itself sent through mask size and back:
the most that this mask size allows.

Several processes share the images. Their counts are whole numbers, so that any
number of processes gives the same bits.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.source import Example, Source
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.counts import Counts
from pix2seq_d.evaluation.diagnosis import diagnose
from pix2seq_d.evaluation.image_scores import ImageScore, Report, check_once, reports
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.inference import finish as finishing
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.sharding.gather import gather

# (images [B, H, W, 3] float32 or what `LadderEvaluation` encoded them to,
#  index [B] int32 with -1 for padding) -> labels [B, h, w, 2] int
PredictFn = Callable[[Any, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and post-processing of an evaluation.

    Attributes:
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
      max_instances: number of instance ids, 0 included.
      batch_size: images per call of the predict function, over all processes.
      min_area: smallest segment in pixels at original size.
      merge_stuff: whether all segments of a stuff class become one.
      rule: which segments have instance ids.
      split_ids: whether a predicted id of several classes is one object of each.
      by_region: whether a connected region of a thing's class is one, whatever its ids.
      video_as_shown: whether videos are scored after vote and smallest area.
    """

    image_size: tuple[int, int]
    mask_size: tuple[int, int]
    max_instances: int
    batch_size: int
    min_area: int
    merge_stuff: bool
    rule: IdRule
    split_ids: bool = False
    by_region: bool = False
    video_as_shown: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    """One image of a batch, to be scored.

    Attributes:
      place: its row in the batch.
      index: its position in the source.
      example: image and truth.
      unpadded: (height, width) of the content in the network's image.
      oracle: counts of the truth sent through mask size.
    """

    place: int
    index: int
    example: Example
    unpadded: tuple[int, int]
    oracle: Counts


@dataclasses.dataclass(frozen=True)
class Scored:
    """One evaluated image.

    Attributes:
      index: its position in the source.
      example: image and truth.
      prediction: at original size.
      score: of the prediction.
    """

    index: int
    example: Example
    prediction: PanopticMap
    score: ImageScore


class Evaluation:
    """Runs a predict function over a source; iterate it, then take `report()`.

    Args:
      predict_fn: see `PredictFn`; B is this process's share of a batch.
      source: labelled images.
      settings: sizes and post-processing.
      positions: of the images to take in the source, in order; None takes all.
      process_index: this process, in [0, process_count).
      process_count: processes that evaluate, each with a share of the images.

    Attributes:
      mine: positions of this process's images.
    """

    def __init__(
        self,
        predict_fn: PredictFn,
        source: Source,
        settings: Settings,
        *,
        positions: Sequence[int] | None = None,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        self._predict_fn = predict_fn
        self._source = source
        self._settings = settings
        self._categories = Categories.of(source.label_space)
        self._scored: list[tuple[int, dict[str, Any]]] = []
        self._process_count = process_count
        self._positions = range(len(source)) if positions is None else positions
        share = eval_data.share(
            len(self._positions),
            batch_size=settings.batch_size,
            process_index=process_index,
            process_count=process_count,
        )
        self._share = [self._positions[k] if k >= 0 else -1 for k in share]
        self.mine = [index for index in self._share if index >= 0]

    def __iter__(self) -> Iterator[Scored]:
        """Yields every image of this process as it is scored."""
        for batch, rows in self.batches():
            for scored in self.score(batch["image"], batch["index"], rows):
                self._scored.append((scored.index, scored.score.to_json()))
                yield scored

    def batches(self) -> Iterator[tuple[eval_data.Batch, list[Row]]]:
        """Yields this process's images in batches of one shape, padding left out."""
        settings = self._settings
        source = _Keeping(self._source)
        batches = eval_data.eval_batches(
            source,
            image_size=settings.image_size,
            mask_size=settings.mask_size,
            max_instances=settings.max_instances,
            batch_size=settings.batch_size // self._process_count,
            rule=settings.rule,
            indices=self._share,
        )
        for batch in batches:
            rows = []
            for place, index in enumerate(batch["index"].tolist()):
                if index < 0:
                    continue
                example = source.kept.pop(index)
                height, width = batch["unpadded"][place].tolist()
                oracle = self._finish(
                    batch["labels"][place], example, unpadded=(height, width)
                )
                overlap = compare(example.panoptic, oracle, self._categories)
                counts = overlap.count(overlap.match())
                rows.append(Row(place, index, example, (height, width), counts))
            yield batch, rows

    def score(
        self, images: Any, index: np.ndarray, rows: Sequence[Row]
    ) -> Iterator[Scored]:
        """Predicts a batch and yields its images as they are scored.

        Args:
          images: as the predict function wants them.
          index: [B] int32, -1 for padding.
          rows: of the batch.
        """
        labels = self._predict_fn(images, index)
        for row in rows:
            prediction = self._finish(
                labels[row.place], row.example, unpadded=row.unpadded
            )
            overlap = compare(row.example.panoptic, prediction, self._categories)
            found = diagnose(overlap, overlap.match())
            score = ImageScore(row.oracle, (found,))
            yield Scored(row.index, row.example, prediction, score)

    def report(self) -> Report:
        """Results over the images of all processes; each has to call it.

        Raises:
          IncompleteEvaluation: an image is missing or was scored twice.
        """
        shares = gather(self._scored)
        scored = [(k, ImageScore.from_json(s)) for share in shares for k, s in share]
        check_once([k for k, _ in scored], self._positions, what="images")
        return reports(scored, self._categories)[0]

    def _finish(
        self, labels: np.ndarray, example: Example, *, unpadded: Sequence[int]
    ) -> PanopticMap:
        return finish(
            labels,
            self._source.label_space,
            self._settings,
            unpadded=unpadded,
            original=example.image.shape[:2],
        )


class _Keeping:
    """Keeps what the batches read until it is scored: nothing is decoded twice."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.label_space = source.label_space
        self.kept: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Example:
        self.kept[index] = self._source[index]
        return self.kept[index]


def finish(
    labels: np.ndarray,
    label_space: LabelSpace,
    settings: Settings,
    *,
    unpadded: Sequence[int],
    original: Sequence[int],
) -> PanopticMap:
    """`inference.finish.finish` with the settings of an evaluation."""
    return finishing.finish(
        labels,
        label_space,
        image_size=settings.image_size,
        unpadded=unpadded,
        original=original,
        min_area=settings.min_area,
        merge=settings.merge_stuff,
        rule=settings.rule,
        split_ids=settings.split_ids,
        by_region=settings.by_region,
    )
