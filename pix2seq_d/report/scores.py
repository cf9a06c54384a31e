"""The scores of images: groups as cards, classes as bars in a table."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.labels import Category, LabelSpace


def cards(report: Report) -> list[str]:
    """PQ, SQ, RQ and the oracle's of all classes, things and stuff."""
    parts = ['<div class="cards scores">']
    for group in GROUPS:
        values, oracle = report.pq[group], report.oracle[group]
        count = values["n"]
        parts.append(
            score_card(
                f"PQ, {group.lower()}",
                values["pq"] if count else None,
                oracle["pq"] if oracle["n"] else None,
                [
                    ("SQ", percent(values["sq"] if count else None)),
                    ("RQ", percent(values["rq"] if count else None)),
                    ("classes", str(count)),
                ],
            )
        )
    return [*parts, "</div>"]


def score_card(
    title: str,
    value: float | None,
    oracle: float | None,
    rows: Sequence[tuple[str, str]],
) -> str:
    """A score in large figures, its oracle's, and what belongs to it.

    Args:
      title: of the score.
      value: a fraction; None where it is not defined.
      oracle: likewise; None shows none.
      rows: names and values.
    """
    if oracle is not None:
        rows = [("oracle", percent(oracle)), *rows]
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows)
    return (
        f'<div class="card"><h3>{escape(title)}</h3><p class="score">'
        f"{percent(value)}</p><dl>{items}</dl></div>"
    )


def bar(value: float | None, *, oracle: float | None, css_class: str) -> str:
    """A bar with a mark at the oracle's value; both are fractions."""
    mark = ""
    if oracle is not None:
        mark = f'<i style="left:{100 * oracle:.2f}%"></i>'
    filled = f'<div class="{css_class}" style="width:{100 * (value or 0):.2f}%"></div>'
    return f'<div class="bar" aria-hidden="true">{filled}{mark}</div>'


def classes(report: Report, label_space: LabelSpace) -> list[str]:
    """The classes by falling PQ, and the names of those in neither map."""
    pq, oracle = report.pq["per_class"], report.oracle["per_class"]
    counted = [c for c in label_space.categories if pq[c.id]["n"]]
    counted.sort(key=lambda c: (-pq[c.id]["pq"], c.name))
    rows = (_class_row(c, pq[c.id], oracle[c.id]) for c in counted)
    absent = [c.name for c in label_space.categories if not pq[c.id]["n"]]
    title = (
        f"{len(absent):,} of {len(label_space.categories):,} classes are in neither map"
    )
    head = "".join(
        f"<th scope=col{extra}>{name}</th>"
        for name, extra in (
            ("class", ""),
            ("", " class=barcell aria-hidden=true"),
            ("PQ", ""),
            *((name, " class=more") for name in ("SQ", "RQ", "oracle PQ")),
            *((name, " class=more") for name in ("TP", "FP", "FN")),
        )
    )
    return [
        "<h2>Classes</h2>",
        '<p class="soft">PQ, percent; the mark on a bar is the oracle\'s. '
        '<span class="key a"></span>thing <span class="key b striped"></span>stuff</p>',
        '<div class="scroll tall" tabindex="0" role="region" aria-label="Classes">'
        f'<table class="bars"><thead><tr>{head}</tr></thead><tbody>',
        *rows,
        "</tbody></table></div>",
        *(
            [
                f"<details><summary>{title}</summary>"
                f'<p class="names">{escape(", ".join(absent))}</p></details>'
            ]
            if absent
            else []
        ),
    ]


def _class_row(
    category: Category, values: Mapping[str, Any], oracle: Mapping[str, Any]
) -> str:
    pq, sq, rq = (values[k] for k in ("pq", "sq", "rq"))
    best = oracle["pq"] if oracle["n"] else None
    tp, fp, fn = (str(values[k]) for k in ("tp", "fp", "fn"))
    kind = "thing" if category.is_thing else "stuff"
    hint = (
        f"{category.name} ({kind}): PQ {percent(pq)}, SQ {percent(sq)}, "
        f"RQ {percent(rq)}, oracle PQ {percent(best)}; TP {tp}, FP {fp}, FN {fn}"
    )
    cells = "".join(
        f"<td class=more>{cell}</td>"
        for cell in (*map(percent, (sq, rq, best)), tp, fp, fn)
    )
    red, green, blue = category.color
    color = "a" if category.is_thing else "b striped"
    return (
        f'<tr title="{escape(hint)}"><th scope=row><span class="swatch" style="'
        f'background:rgb({red},{green},{blue})"></span>{escape(category.name)} '
        f"<small>{kind}</small></th><td class=barcell>"
        f"{bar(pq, oracle=best, css_class=color)}</td><td>{percent(pq)}</td>{cells}"
        "</tr>"
    )
