"""The scores of videos: the main ones as cards, all of them as tables."""

from html import escape

from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.evaluation.video_table import Table, tables
from pix2seq_d.report.scores import score_card

_TITLES = ("All scores", "Classes", "Videos, the worst first")


def cards(report: VideoReport) -> list[str]:
    """STQ and VPQ, of a set without classes J&F, each with what it is made of."""
    stq, best = report.stq[report.void_class], report.oracle_stq[report.void_class]
    vpq = report.vpq
    parts = [
        '<div class="cards scores">',
        score_card(
            "STQ",
            stq["STQ"],
            best["STQ"],
            [
                ("AQ, association", percent(stq["AQ"])),
                ("SQ, segmentation", percent(stq["SQ"])),
            ],
        ),
        score_card(
            "VPQ",
            vpq["vpq"],
            report.oracle_vpq["vpq"],
            [
                ("things", percent(vpq["vpq_things"])),
                ("stuff", percent(vpq["vpq_stuff"])),
            ],
        ),
    ]
    if report.j_and_f is not None:
        rows = [
            ("J, regions", percent(report.j_and_f["J-Mean"])),
            ("F, boundaries", percent(report.j_and_f["F-Mean"])),
        ]
        parts.append(score_card("J&F", report.j_and_f["J&F-Mean"], None, rows))
    rate = report.id_switches["switches_per_100_frames"]
    switches = f"{rate:.1f} id switches in 100 frames, {report.mean_steps:.1f} sampler "
    return [*parts, "</div>", f'<p class="soft">{switches}steps for a frame.</p>']


def sections(report: VideoReport) -> list[str]:
    """The tables of `evaluation.video_table`."""
    parts = []
    for title, table in zip(_TITLES, tables(report), strict=True):
        parts += [f"<h2>{title}</h2>", _html(table, title)]
    return parts


def _html(table: Table, title: str) -> str:
    head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in table.head)
    rows = []
    for first, *cells in table.rows:
        filled = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr><th scope=row>{_marked(first)}</th>{filled}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        "</div>"
    )


def _marked(cell: str) -> str:
    """What stands between the first two `**` is strong."""
    before, *rest = escape(cell).split("**", 2)
    if len(rest) < 2 or before:
        return escape(cell)
    return f"<strong>{rest[0]}</strong>{rest[1]}"
