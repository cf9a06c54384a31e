"""The report as text and as JSON."""

from collections.abc import Sequence
from typing import Any

from pix2seq_d.doctor.examine import Examination, SplitResult
from pix2seq_d.doctor.finding import KINDS, SEVERITIES, Finding, by_kind

EXAMPLES = 5  # of each kind, in the text


def verdict(examination: Examination) -> str:
    """One line: whether the set can be trained on, and what is in it.

    `the set is fine to train on: ...; 3 remarks`, or `12 problems in 9 files`.
    """
    errors = examination.errors
    if errors:
        files = {f.where.partition(": ")[0] for f in errors}
        return f"{count(len(errors), 'problem')} in {count(len(files), 'file')}"
    remarks = len(by_kind(examination.findings))
    limited = any(len(r.checked) < len(r.split) for r in examination.splits)
    start = "the set is fine to train on"
    if limited:
        start = "no problem in the part that was looked at"
    said = count(remarks, "remark") if remarks else "no remarks"
    return f"{start}: {contents(examination.splits)}; {said}"


def contents(splits: Sequence[SplitResult]) -> str:
    """`478 + 57 images, 15,184 segments, 11 classes (5 things, 6 stuff)`."""
    images = " + ".join(
        f"{len(r.split):,}"
        if len(r.checked) == len(r.split)
        else f"{len(r.checked):,} of {len(r.split):,}"
        for r in splits
    )
    segments = sum(r.statistics.num_segments for r in splits)
    word = "image" if images == "1" else "images"
    text = f"{images or 0} {word}, {count(segments, 'segment')}"
    labels = next((r.split.label_space for r in splits if r.split.label_space), None)
    if labels is None:
        return text
    things = sum(c.is_thing for c in labels.categories)
    number = len(labels.categories)
    word = "class" if number == 1 else "classes"
    return (
        f"{text}, {number} {word} ({count(things, 'thing')}, {number - things} stuff)"
    )


def text(examination: Examination) -> str:
    """The report for a terminal: verdict, splits, findings of each kind, classes."""
    lines = [f"{examination.root}: {verdict(examination)}"]
    lines += ["", *_splits(examination.splits)]
    groups = by_kind(examination.findings)
    for severity in SEVERITIES:
        kinds = [k for k in groups if KINDS[k].severity == severity]
        for kind in kinds:
            lines += ["", *_group(kind, groups[kind])]
    if examination.splits:
        lines += ["", *_classes(examination.splits)]
    return "\n".join(lines)


def to_json(examination: Examination) -> dict[str, Any]:
    """The content of findings.json."""
    return {
        "dataset": examination.root,
        "layout": examination.layout,
        "fine": not examination.errors,
        "verdict": verdict(examination),
        "counts": {
            severity: sum(f.severity == severity for f in examination.findings)
            for severity in SEVERITIES
        },
        "splits": {r.split.name: _split_json(r) for r in examination.splits},
        "findings": [
            f.to_json()
            for group in by_kind(examination.findings).values()
            for f in group
        ],
    }


def count(number: int, word: str) -> str:
    """1, 'file' -> '1 file'; 1200, 'file' -> '1,200 files'."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def heading(kind: str, findings: Sequence[Finding]) -> str:
    """`warning: segments without a pixel: 12 (train 10, val 2)`."""
    splits: dict[str, int] = {}
    for finding in findings:
        splits[finding.split] = splits.get(finding.split, 0) + 1
    parts = ", ".join(f"{name} {number:,}" for name, number in splits.items() if name)
    text = f"{KINDS[kind].severity}: {KINDS[kind].title}: {len(findings):,}"
    return f"{text} ({parts})" if len(splits) > 1 else text


def _group(kind: str, findings: Sequence[Finding]) -> list[str]:
    lines = [f"{heading(kind, findings)}  [{kind}]"]
    lines += [f"  {finding.line}" for finding in findings[:EXAMPLES]]
    if len(findings) > EXAMPLES:
        lines.append(f"  and {len(findings) - EXAMPLES:,} more")
    return lines


def _splits(splits: Sequence[SplitResult]) -> list[str]:
    lines = []
    for result in splits:
        s = result.statistics
        sizes = s.sizes.most_common(1)
        size = f"{sizes[0][0][1]}x{sizes[0][0][0]}" if sizes else "no size"
        if len(s.sizes) > 1:
            size += f" and {count(len(s.sizes) - 1, 'other size')}"
        most = max(s.instances, default=0)
        lines.append(
            f"  {result.split.name:8s}{count(len(result.split), 'image')}, {size}, "
            f"{count(s.num_segments, 'segment')}, up to {most} objects in an image, "
            f"void {s.void_share:.1%}, crowd {s.crowd_share:.1%}"
        )
        if s.num_dropped:
            lines[-1] += f", {count(s.num_dropped, 'segment')} too many for the model"
    return lines


def _classes(splits: Sequence[SplitResult]) -> list[str]:
    """A table: segments and share of the pixels of each class in each split."""
    labels = next((r.split.label_space for r in splits if r.split.label_space), None)
    if labels is None:
        return []
    width = max(len("class"), *(len(c.name) for c in labels.categories)) + 2
    head = "".join(f"{r.split.name:>12s} pixels" for r in splits)
    lines = [f"  {'class':{width}s}{'':5s}{head}"]
    for category in labels.categories:
        line = f"  {category.name:{width}s}{'thing' if category.is_thing else 'stuff'}"
        for result in splits:
            s = result.statistics
            share = s.pixels[category.id] / max(1, s.num_pixels)
            line += f"{s.segments[category.id]:12,d} {share:6.1%}"
        lines.append(line)
    return lines


def _split_json(result: SplitResult) -> dict[str, Any]:
    s, labels = result.statistics, result.split.label_space
    return {
        "images": len(result.split),
        "checked": len(result.checked),
        "segments": s.num_segments,
        "crowd_share": s.crowd_share,
        "void_share": s.void_share,
        "dropped_segments": s.num_dropped,
        "instances_per_image": {str(k): s.instances[k] for k in sorted(s.instances)},
        "sizes": {f"{w}x{h}": n for (h, w), n in s.sizes.most_common()},
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "isthing": int(c.is_thing),
                "segments": s.segments[c.id],
                "pixels": s.pixels[c.id],
                "images": s.images[c.id],
            }
            for c in (labels.categories if labels else ())
        ],
    }
