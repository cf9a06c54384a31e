"""PQ as a task, with what costs it and how sure it is."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pix2seq_d.evaluation.bootstrap import pq_intervals
from pix2seq_d.evaluation.counts import GROUPS, Counts, summary
from pix2seq_d.evaluation.diagnosis import INEXACT, Diagnosis
from pix2seq_d.evaluation.error_kinds import KINDS
from pix2seq_d.evaluation.readers import coco_pairs
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs, ImageScore
from pix2seq_d.evaluation.tasks.outcome import Outcome, missing_note, worst_first
from pix2seq_d.evaluation.text_table import markdown, percent


@dataclasses.dataclass(frozen=True)
class PanopticTask:
    """PQ, what costs it, and how sure it is.

    Attributes:
      pairs: the images.
      diagnose: whether to say which kinds of error cost how much.
      resamples: draws of the bootstrap; 0 makes no intervals.
      seed: of the draws.
    """

    pairs: CocoPairs
    diagnose: bool = False
    resamples: int = 0
    seed: int = 0

    unit = "image"
    per_process = 300
    chunk = 16

    def __len__(self) -> int:
        return len(self.pairs)

    def score(self, row: int) -> ImageScore:
        """See `pool.Task`."""
        return coco_pairs.score(self.pairs, row)

    def outcome(self, scores: Iterable[ImageScore]) -> Outcome:
        """Result: as `PanopticQuality.result`, `diagnosis` and `intervals`."""
        categories = self.pairs.categories
        total = Diagnosis.zeros(len(categories))
        counts: list[Counts] = []
        rows = []
        for score in scores:
            total += score.diagnosis
            rows.append(_image_row(score))
            if self.resamples:
                counts.append(score.counts)
        result: dict[str, Any] = summary(
            total.counts, is_thing=categories.is_thing, ids=categories.ids
        )
        intervals = None
        if self.resamples:
            intervals = pq_intervals(
                counts, categories, num_resamples=self.resamples, seed=self.seed
            )
        tables = [_pq_table(result, categories.names, intervals)]
        diagnosis = total.result(categories) if self.diagnose else None
        if diagnosis:
            tables += _diagnosis_tables(diagnosis, result, categories.names)
        for name, entry in zip(
            categories.names, result["per_class"].values(), strict=True
        ):
            entry["name"] = name
        result["num_images"] = len(rows)
        missing = len(self.pairs.missing)
        result["missing_predictions"] = missing
        if diagnosis:
            result["diagnosis"] = diagnosis
        if intervals:
            result["intervals"] = intervals
        note = missing_note(missing, "image", "void")
        return Outcome(result, tuple(tables), worst_first(rows, "pq"), note)


def _image_row(score: ImageScore) -> dict[str, Any]:
    """PQ of an image over the categories it has, its counts, and its errors by kind."""
    counts, errors = score.counts, score.diagnosis
    row: dict[str, Any] = {
        "file_name": score.file_name,
        "image_id": score.image_id,
        "pq": counts.mean_pq(),
    }
    row |= {name: int(getattr(counts, name).sum()) for name in ("tp", "fp", "fn")}
    by_kind = (errors.fn + errors.fp).sum(axis=1).tolist()
    return row | dict(zip(KINDS, by_kind, strict=True))


def _pq_table(
    result: Mapping[str, Any],
    names: Sequence[str],
    intervals: Mapping[str, Any] | None,
) -> str:
    """PQ, SQ, RQ in percent, groups first; `-` where a class is in neither map."""
    rows = []
    entries = [(f"**{g}** ({result[g]['n']})", result[g]) for g in GROUPS]
    entries += zip(names, result["per_class"].values(), strict=True)
    for title, entry in entries:
        shown = [entry[k] if entry["n"] else None for k in ("pq", "sq", "rq")]
        counts = (str(entry[k]) if "tp" in entry else "" for k in ("tp", "fp", "fn"))
        rows.append([title, *map(percent, shown), *counts])
    head = ["", "PQ", "SQ", "RQ", "TP", "FP", "FN"]
    if intervals:
        head.insert(2, f"{intervals['level']:.0%} interval")
        found = [intervals[g]["pq"] for g in GROUPS]
        found += [entry["pq"] for entry in intervals["per_class"].values()]
        for row, ends in zip(rows, found, strict=True):
            row.insert(2, " to ".join(map(percent, ends)) if ends else "-")
    return markdown(head, rows)


def _diagnosis_tables(
    diagnosis: Mapping[str, Any], result: Mapping[str, Any], names: Sequence[str]
) -> list[str]:
    """What each kind of error costs: in the groups, then in each class."""
    head = ["error", "errors", *(f"PQ {g.lower()} without" for g in GROUPS), "gain"]
    rows = []
    for kind in (*KINDS, INEXACT):
        entry = diagnosis[kind]
        number = str(entry["fn"] + entry["fp"]) if kind != INEXACT else ""
        gain = 100 * entry["All"]["lost"]
        pqs = (percent(entry[group]["pq"]) for group in GROUPS)
        rows.append([_words(kind), number, *pqs, f"+{gain:.1f}"])
    by_class = []
    for (category, entry), name in zip(result["per_class"].items(), names, strict=True):
        if entry["n"]:
            lost = [diagnosis[k]["per_class"][category]["lost"] for k in diagnosis]
            gains = (f"+{100 * value:.1f}" for value in lost)
            by_class.append([name, percent(entry["pq"]), *gains])
    kinds = [_words(kind) for kind in diagnosis]
    return [markdown(head, rows), markdown(["class", "PQ", *kinds], by_class)]


def _words(kind: str) -> str:
    return kind.replace("_", " ")
