"""The report as one page of HTML: no script, no network, phones and dark mode too."""

from collections.abc import Sequence
from html import escape

from pix2seq_d.doctor.charts import bar, columns
from pix2seq_d.doctor.examine import Examination, SplitResult
from pix2seq_d.doctor.finding import KINDS, SEVERITIES, Finding, by_kind
from pix2seq_d.doctor.pictures import Picture
from pix2seq_d.doctor.report import EXAMPLES, count, verdict
from pix2seq_d.html_page import document, jpeg_url

_STYLE = """
.verdict { font-size: 1.15rem; font-weight: 600; margin: .3rem 0 1rem; }
.error { color: var(--error); } .warning { color: var(--warning); }
.note { color: var(--note); } .fine { color: var(--fine); }
.finding { border-top: 1px solid var(--line); padding: .5rem .9rem; }
.finding code { overflow-wrap: anywhere; font-size: .85rem; }
.finding p { margin: .1rem 0; }
.classes { display: grid; gap: .7rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.class { break-inside: avoid; }
.class b { overflow-wrap: anywhere; font-weight: 600; }
.row { display: grid; grid-template-columns: 4.6rem minmax(0, 1fr) 10.5rem; gap: .5rem;
  align-items: center; font-size: .85rem; }
.row span { font-variant-numeric: tabular-nums; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.row span:last-child { text-align: right; }
.columns { display: flex; align-items: flex-end; gap: 2px; max-width: 32rem; }
.column { flex: 1 1 0; min-width: 0; text-align: center; font-size: .72rem;
  color: var(--soft); }
.column div { border-radius: .15rem .15rem 0 0; }
.pictures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
"""


def html(examination: Examination, pictures: Sequence[Picture]) -> str:
    """The whole page.

    Args:
      examination: what was found.
      pictures: examples of the labels, see `pictures.draw`.
    """
    line = verdict(examination)
    state = "error" if examination.errors else "fine"
    body = [
        f"<h1>{escape(examination.root)}</h1>",
        f'<p class="verdict {state}">{escape(line)}</p>',
        '<div class="cards">',
        *(_split(result) for result in examination.splits),
        "</div>",
        *_findings(examination.findings),
        *_classes(examination.splits),
        *_instances(examination.splits),
        *_pictures(pictures),
    ]
    return document(title=f"{examination.root}: {line}", body=body, style=_STYLE)


def _split(result: SplitResult) -> str:
    s = result.statistics
    sizes = [f"{w} x {h}: {n:,}" for (h, w), n in s.sizes.most_common(3)]
    if len(s.sizes) > 3:
        sizes.append(count(len(s.sizes) - 3, "other size"))
    rows = [
        ("labelled images", f"{len(result.split):,}"),
        ("of these decoded", f"{len(result.checked):,}"),
        ("segments", f"{s.num_segments:,}"),
        ("segments too many for the model", f"{s.num_dropped:,}"),
        ("pixels in crowds", f"{s.crowd_share:.1%}"),
        ("void pixels", f"{s.void_share:.1%}"),
        ("sizes (width x height)", "<br>".join(map(escape, sizes)) or "none"),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    name = escape(result.split.name)
    return f'<div class="card"><h3>{name}</h3><dl>{items}</dl></div>'


def _findings(findings: Sequence[Finding]) -> list[str]:
    lines = ["<h2>Findings</h2>"]
    if not findings:
        lines.append("<p>None.</p>")
    for severity in SEVERITIES:
        for kind, group in by_kind(findings).items():
            if KINDS[kind].severity == severity:
                lines.append(_group(kind, group))
    return lines


def _group(kind: str, findings: Sequence[Finding]) -> str:
    severity, title = KINDS[kind].severity, KINDS[kind].title
    opened = " open" if len(findings) <= EXAMPLES else ""
    entries = "\n".join(map(_finding, findings))
    return (
        f'<details{opened}><summary><b class="{severity}">{severity}</b> '
        f'{escape(title)}: {len(findings):,} <span class="soft">[{kind}]</span>'
        f"</summary>\n{entries}\n</details>"
    )


def _finding(finding: Finding) -> str:
    split = f"{escape(finding.split)}, " if finding.split else ""
    image = ""
    if finding.image_id is not None:
        image = f"image {escape(str(finding.image_id))}: "
    return (
        f'<div class="finding"><p>{split}{image}{escape(finding.message)}; '
        f'<span class="soft">{escape(finding.cure)}</span></p>'
        f"<code>{escape(finding.where)}</code></div>"
    )


def _classes(splits: Sequence[SplitResult]) -> list[str]:
    labels = next((r.split.label_space for r in splits if r.split.label_space), None)
    if labels is None:
        return []
    most = max(
        (r.statistics.pixels[c.id] / max(1, r.statistics.num_pixels))
        for r in splits
        for c in labels.categories
    )
    lines = [
        "<h2>Classes</h2>",
        '<p class="soft">Segments, and the share of the pixels (the bar).</p>',
        '<div class="classes">',
    ]
    for category in labels.categories:
        red, green, blue = category.color
        kind = "thing" if category.is_thing else "stuff"
        lines.append(
            f'<div class="class"><span class="swatch" style="background:'
            f'rgb({red},{green},{blue})"></span><b>{escape(category.name)}</b> '
            f'<span class="soft">{kind}, id {category.id}</span>'
        )
        for k, result in enumerate(splits):
            s = result.statistics
            share = s.pixels[category.id] / max(1, s.num_pixels)
            number = f"{count(s.segments[category.id], 'segment')}, {share:.1%}"
            drawn = bar(share / max(most, 1e-9), "ab"[k % 2])
            lines.append(
                f'<div class="row"><span>{escape(result.split.name)}</span>'
                f"{drawn}<span>{number}</span></div>"
            )
        lines.append("</div>")
    return [*lines, "</div>"]


def _instances(splits: Sequence[SplitResult]) -> list[str]:
    lines = ["<h2>Objects in an image</h2>", '<div class="cards">']
    for k, result in enumerate(splits):
        if result.statistics.instances:
            chart = columns(result.statistics.instances, "ab"[k % 2])
            name = escape(result.split.name)
            lines.append(f'<div class="card"><h3>{name}</h3>{chart}</div>')
    return [*lines, "</div>"]


def _pictures(pictures: Sequence[Picture]) -> list[str]:
    if not pictures:
        return []
    lines = ["<h2>Examples</h2>", '<div class="pictures">']
    for picture in pictures:
        title = escape(f"{picture.split}, image {picture.title}")
        url = jpeg_url(picture.pixels, quality=82)
        lines.append(
            f'<figure><img src="{url}" alt="{title}, and its labels">'
            f"<figcaption>{title}</figcaption></figure>"
        )
    return [*lines, "</div>"]
