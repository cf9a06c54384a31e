"""PQ against the sampler's settings: several predictions of images encoded once (ours).

A rung of the ladder is one setting. Each is scored as `Evaluation` scores it alone, and
the truth is sent through mask size once for all.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pix2seq_d.data.source import Source
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.runner import Evaluation, PredictFn, Scored, Settings


@dataclasses.dataclass(frozen=True)
class Rung:
    """One setting and its scores.

    Attributes:
      num_steps: sampler steps.
      time_difference: td of the sampler.
      report: PQ of all images.
      seconds: that sampling took an image, encoding and scoring left out; None where
        it was not measured.
    """

    num_steps: int
    time_difference: float
    report: Report
    seconds: float | None


class LadderEvaluation:
    """Runs several predict functions over a source; iterate it.

    Args:
      encode_fn: images [B, H, W, 3] float32 -> what the predict functions take for
        them; called once for each batch.
      predict_fns: one for each rung, see `PredictFn`.
      source: labelled images.
      settings: sizes and post-processing.
      **share: `positions`, `process_index` and `process_count` of `Evaluation`.

    Attributes:
      mine: positions in the source of this process's images.
    """

    def __init__(
        self,
        encode_fn: Callable[[np.ndarray], Any],
        predict_fns: Sequence[PredictFn],
        source: Source,
        settings: Settings,
        **share: Any,
    ) -> None:
        self._encode_fn = encode_fn
        self._rungs = [
            Evaluation(predict_fn, source, settings, **share)
            for predict_fn in predict_fns
        ]
        self.mine = self._rungs[0].mine

    def __iter__(self) -> Iterator[tuple[int, Scored]]:
        """Yields every prediction as it is scored, with the number of its rung.

        Those of one image come in the order of the rungs.
        """
        for batch, rows in self._rungs[0].batches():
            encoded = self._encode_fn(batch["image"])
            for number, rung in enumerate(self._rungs):
                for scored in rung.score(encoded, batch["index"], rows):
                    yield number, scored
