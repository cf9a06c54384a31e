"""J&F of DAVIS as a task: a sequence is an item, an object a row."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from pix2seq_d.evaluation import davis
from pix2seq_d.evaluation.davis_sequence import SequenceScore
from pix2seq_d.evaluation.tasks.outcome import (
    Outcome,
    missing_note,
    sequence_table,
    worst_first,
)
from pix2seq_d.evaluation.text_table import percent


@dataclasses.dataclass(frozen=True)
class ObjectTask:
    """DAVIS' J&F; folders, names and number as `davis.check` takes and gives them."""

    gt_dir: Path
    pred_dir: Path
    names: tuple[str, ...]
    num_missing: int = 0

    unit = "sequence"
    per_process = 1
    chunk = 1

    def __len__(self) -> int:
        return len(self.names)

    def score(self, row: int) -> SequenceScore:
        """See `pool.Task`."""
        return davis.score(
            self.gt_dir,
            self.pred_dir,
            self.names[row],
            allow_missing=self.num_missing > 0,
        )

    def outcome(self, scores: Iterable[SequenceScore]) -> Outcome:
        """Result: as `JAndF.result`, and `missing_predictions`."""
        total = davis.JAndF()
        for score in scores:
            total.add(score)
        result = total.result()
        result["missing_predictions"] = self.num_missing
        keys = [key for key in result if key[:2] in ("J&", "J-", "F-")]
        table = sequence_table(
            result,
            head=("", *keys),
            title="**all objects**",
            worst_by=keys[0],
            cells=lambda entry: [percent(entry[key]) for key in keys],
        )
        objects = [
            {"sequence": name, "object": number, "proposal": entry["proposal"]}
            | {key: entry[key] for key in keys}
            for name, entries in result["per_object"].items()
            for number, entry in entries.items()
        ]
        note = missing_note(self.num_missing, "frame", "background")
        return Outcome(result, (table,), worst_first(objects, keys[0]), note)
