"""STQ and VPQ as tasks: a sequence is an item."""

import dataclasses
from collections.abc import Iterable

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.readers.sequences import Sequences
from pix2seq_d.evaluation.stq import SegmentationTrackingQuality, VoidClass
from pix2seq_d.evaluation.tasks.outcome import (
    Outcome,
    iou_table,
    missing_note,
    sequence_rows,
    sequence_table,
)
from pix2seq_d.evaluation.text_table import markdown, percent
from pix2seq_d.evaluation.vpq import VideoPanopticQuality
from pix2seq_d.evaluation.windows import Crowd


@dataclasses.dataclass(frozen=True)
class TrackingTask:
    """STQ of sequences; names are those of the classes, for the table."""

    sequences: Sequences
    names: tuple[str, ...]
    void_class: VoidClass = "counted"

    unit = "sequence"
    per_process = 1
    chunk = 1

    def __len__(self) -> int:
        return len(self.sequences)

    def score(self, row: int) -> SegmentationTrackingQuality:
        """See `pool.Task`."""
        name = self.sequences.names[row]
        quality = self._new()
        quality.update_frames(name, self.sequences.frames(name))
        return quality

    def outcome(self, scores: Iterable[SegmentationTrackingQuality]) -> Outcome:
        """Result: as `SegmentationTrackingQuality.result`, and `missing_predictions`.

        Sequences have no `confusion`; those of a few hundred take 70 MB.
        """
        total = self._new()
        for score in scores:
            total.merge(score)
        result = total.result()
        result["missing_predictions"] = self.sequences.num_missing
        for entry in result["per_sequence"].values():
            del entry["confusion"]
        keys, counts = ("STQ", "AQ", "SQ"), ("frames", "gt_tubes", "pred_tubes")
        sequences = sequence_table(
            result,
            head=("", *keys, "frames", "tubes", "predicted"),
            title="**all sequences**",
            worst_by=keys[0],
            cells=lambda entry: [
                *(percent(entry[key]) for key in keys),
                *(str(entry[key]) for key in counts),
            ],
        )
        scored_as = "ignore"
        if result["ignore_counted_as_class"]:
            scored_as += ", one more class with IoU 0 by --void_class=counted"
        note = missing_note(self.sequences.num_missing, "frame", scored_as)
        tables = (sequences, iou_table(result["iou_per_class"], self.names))
        rows = sequence_rows(result, (*keys, *counts))
        return Outcome(result, tables, rows, note)

    def _new(self) -> SegmentationTrackingQuality:
        return SegmentationTrackingQuality(
            self.sequences.coding, void_class=self.void_class
        )


@dataclasses.dataclass(frozen=True)
class WindowTask:
    """VPQ of sequences; names are those of the classes, for the table."""

    sequences: Sequences
    names: tuple[str, ...]
    window_sizes: tuple[int, ...] = (1, 2, 3, 4)
    crowd: Crowd = "crowd"

    unit = "sequence"
    per_process = 1
    chunk = 1

    def __len__(self) -> int:
        return len(self.sequences)

    def score(self, row: int) -> VideoPanopticQuality:
        """See `pool.Task`."""
        name = self.sequences.names[row]
        quality = self._new()
        quality.update_frames(name, self.sequences.frames(name))
        return quality

    def outcome(self, scores: Iterable[VideoPanopticQuality]) -> Outcome:
        """Result: as `VideoPanopticQuality.result`, and `missing_predictions`.

        Sequences have no `per_class`; those of a few hundred take 40 MB.
        """
        total = self._new()
        for score in scores:
            total.merge(score)
        result = total.result()
        result["missing_predictions"] = self.sequences.num_missing
        for sequence in result["per_sequence"].values():
            for size in sequence["vpq_k"].values():
                del size["per_class"]
        sizes = [str(k) for k in self.window_sizes]
        per_size = [result["vpq_k"][k] for k in self.window_sizes]
        means = (result["vpq"], result["vpq_things"], result["vpq_stuff"])
        rows = []
        for group, mean in zip(GROUPS, means, strict=True):
            entries = [size[group] for size in per_size]
            pqs = [e["pq"] if e["n"] else None for e in entries]
            # A size without a window has no class.
            title = f"**{group}** ({max(e['n'] for e in entries)})"
            rows.append((title, percent(mean), *map(percent, pqs)))
        for k in per_size[0]["per_class"]:
            entries = [size["per_class"][k] for size in per_size]
            pqs = [e["pq"] if e["n"] else None for e in entries]
            known = [pq for pq in pqs if pq is not None]
            mean = sum(known) / len(known) if len(known) == len(pqs) else None
            rows.append((self.names[k], percent(mean), *map(percent, pqs)))
        head = ("", "VPQ", *(f"k = {k}" for k in sizes))
        columns = ("vpq", "vpq_things", "vpq_stuff")
        tables = (markdown(head, rows),)
        note = missing_note(self.sequences.num_missing, "frame", "void")
        return Outcome(result, tables, sequence_rows(result, columns), note)

    def _new(self) -> VideoPanopticQuality:
        return VideoPanopticQuality(
            self.sequences.coding, window_sizes=self.window_sizes, crowd=self.crowd
        )
