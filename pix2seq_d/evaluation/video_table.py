"""The scores of a video evaluation as Markdown tables and as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pix2seq_d.evaluation import text_table
from pix2seq_d.evaluation.tasks.outcome import sequence_rows
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.evaluation.video_scores import VideoReport

_SHOWN = 20  # videos in a table
_VOID = {
    "counted": "predicted void is one more class",
    "left_out": "predicted void is no class",
}
_GROUPS = (("all", "vpq"), ("things", "vpq_things"), ("stuff", "vpq_stuff"))
_MEASURES = (("**J&F**", "J&F"), ("J, regions", "J"), ("F, boundaries", "F"))


@dataclasses.dataclass(frozen=True)
class Table:
    """Titles of the columns, and rows as long; `**` marks what matters most."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown(report: VideoReport) -> str:
    """The three tables of `tables`."""
    return "\n\n".join(text_table.markdown(t.head, t.rows) for t in tables(report))


def tables(report: VideoReport) -> tuple[Table, Table, Table]:
    """The scores with the oracle's, each class, and the worst videos.

    Scores are percent; what is not defined shows `-`.
    """
    return _scores(report), _classes(report), _videos(report)


def to_json(report: VideoReport) -> dict[str, Any]:
    """The report as JSON types; scores are fractions.

    `STQ`, `AQ` and `SQ` are those of `void_class`, the main one; `stq` has both.
    `classes` has the names of the numbers that stand for classes. Tables that a video
    has of its own are left out: those of some hundred videos take 100 MB.
    """
    stq, oracle = (
        {kind: _stq_json(result) for kind, result in of_kind.items()}
        for of_kind in (report.stq, report.oracle_stq)
    )
    main = report.stq[report.void_class]
    made = {
        "num_videos": report.num_videos,
        "num_frames": report.num_frames,
        "max_frames": report.max_frames,
        "ids_renumbered": report.repaired,
        "mean_steps": report.mean_steps,
        "classes": dict(enumerate(report.classes)),
        "void_class": report.void_class,
        **{key: main[key] for key in ("STQ", "AQ", "SQ")},
        "stq": stq,
        "vpq": _vpq_json(report.vpq),
        "id_switches": report.id_switches,
        "j_and_f": report.j_and_f,
        "without_objects": list(report.without_objects),
        "oracle": {"stq": oracle, "vpq": _vpq_json(report.oracle_vpq)},
    }
    return _text_keys(made)


def _scores(report: VideoReport) -> Table:
    rows = []
    for kind in sorted(report.stq, key=lambda kind: kind != report.void_class):
        values, oracle = report.stq[kind], report.oracle_stq[kind]
        name = f"**STQ**, {_VOID[kind]}" if not rows else f"STQ, {_VOID[kind]}"
        rows.append((name, *_pair(values["STQ"], oracle["STQ"])))
        rows.append(("SQ, its mean IoU", *_pair(values["SQ"], oracle["SQ"])))
    values, oracle = (s[report.void_class] for s in (report.stq, report.oracle_stq))
    rows.append(("AQ, association", *_pair(values["AQ"], oracle["AQ"])))
    for group, key in _GROUPS:
        name = f"**VPQ** {group}" if group == "all" else f"VPQ {group}"
        rows.append((name, *_pair(report.vpq[key], report.oracle_vpq[key])))
    for k, of_size in report.vpq["vpq_k"].items():
        name = f"VPQ, windows of {k} frame{'s' if k > 1 else ''}"
        pair = (_pq(of_size, "All"), _pq(report.oracle_vpq["vpq_k"][k], "All"))
        rows.append((name, *_pair(*pair)))
    if report.j_and_f is not None:
        for name, key in _MEASURES:
            rows.append((name, percent(report.j_and_f[f"{key}-Mean"]), ""))
    switches = report.id_switches
    rate = switches["switches_per_100_frames"]
    frames = str(report.num_frames)
    if report.max_frames is not None:
        frames += f" (first {report.max_frames} of each video)"
    rows += [
        ("id switches per 100 frames", f"{rate:.2f}", ""),
        ("id switches", str(switches["switches"]), ""),
        ("objects found in a frame", str(switches["matches"]), ""),
        ("ids that come back are renumbered", "yes" if report.repaired else "no", ""),
        ("steps of the sampler, for a frame", f"{report.mean_steps:.2f}", ""),
        ("videos", str(report.num_videos), ""),
        ("frames", frames, ""),
    ]
    if report.without_objects:
        count = str(len(report.without_objects))
        rows.append(("videos without object at first, not in J&F", count, ""))
    return Table(("", "", "oracle"), tuple(rows))


def _classes(report: VideoReport) -> Table:
    iou = report.stq[report.void_class]["iou_per_class"]
    oracle = report.oracle_stq[report.void_class]["iou_per_class"]
    sizes = list(report.vpq["vpq_k"])
    head = ("", "IoU", "oracle IoU", *(f"PQ, k = {k}" for k in sizes))
    rows = []
    for k, name in enumerate(report.classes):
        by_size = [report.vpq["vpq_k"][size]["per_class"][k] for size in sizes]
        pqs = [percent(entry["pq"]) if entry["n"] else "-" for entry in by_size]
        rows.append((name, percent(iou[k]), percent(oracle[k]), *pqs))
    return Table(head, tuple(rows))


def _videos(report: VideoReport) -> Table:
    result = report.stq[report.void_class]
    order = [row["sequence"] for row in sequence_rows(result, ["STQ"])]
    rows = []
    for name in order[:_SHOWN]:
        entry = result["per_sequence"][name]
        switches = report.id_switches["per_sequence"][name]
        scores = (entry["STQ"], entry["AQ"], entry["SQ"])
        counts = (switches["switches"], entry["gt_tubes"], entry["frames"])
        vpq = percent(report.vpq["per_sequence"][name]["vpq"])
        rows.append((name, *map(percent, scores), vpq, *map(str, counts)))
    head = ("", "STQ", "AQ", "SQ", "VPQ", "switches", "tracks", "frames")
    if len(order) > _SHOWN:
        more = f"... and {len(order) - _SHOWN} better ones"
        rows.append((more, *[""] * (len(head) - 1)))
    return Table(head, tuple(rows))


def _pair(value: float | None, oracle: float | None) -> tuple[str, str]:
    return percent(value), percent(oracle)


def _pq(of_size: Mapping[str, Any], group: str) -> float | None:
    return of_size[group]["pq"] if of_size[group]["n"] else None


def _stq_json(result: Mapping[str, Any]) -> dict[str, Any]:
    return {**result, "per_sequence": _without(result, "confusion", "iou_per_class")}


def _vpq_json(result: Mapping[str, Any]) -> dict[str, Any]:
    return {**result, "per_sequence": _without(result, "vpq_k")}


def _without(result: Mapping[str, Any], *large: str) -> dict[str, Any]:
    return {
        name: {key: value for key, value in entry.items() if key not in large}
        for name, entry in result["per_sequence"].items()
    }


def _text_keys(value: Any) -> Any:
    """With JSON's keys, which are text."""
    if isinstance(value, dict):
        return {str(k): _text_keys(v) for k, v in value.items()}
    return value
