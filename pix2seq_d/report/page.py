"""The page: scores, classes, errors, pictures, config, in one file."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.html_page import document, package_text
from pix2seq_d.labels import LabelSpace
from pix2seq_d.report import kinds, ladder, provenance, scores, video_scores, viewer
from pix2seq_d.report.ladder import Rung
from pix2seq_d.report.provenance import Run
from pix2seq_d.report.viewer import View

# Nothing is loaded, whatever a name in the page may hold.
_HEAD = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
    '<link rel="icon" href="data:,">'
)


def image_page(
    report: Report,
    label_space: LabelSpace,
    run: Run,
    views: Sequence[View],
    *,
    rungs: Sequence[Rung],
    ladder_command: str,
) -> str:
    """The page of an evaluation of images.

    Args:
      report: of the evaluation.
      label_space: the categories.
      run: what was evaluated, and how.
      views: images, those of a kind together.
      rungs: PQ with other numbers of steps; empty where that was not measured.
      ladder_command: what to call to measure it.
    """
    return _page(
        run,
        [
            *scores.cards(report),
            *provenance.facts(run),
            *scores.classes(report, label_space),
            *kinds.table(report.diagnosis),
            *ladder.section(rungs, command=ladder_command),
            *_pictures("Images", views),
        ],
    )


def video_page(report: VideoReport, run: Run, views: Sequence[View]) -> str:
    """The page of an evaluation of videos.

    Args:
      report: of the evaluation.
      run: what was evaluated, and how.
      views: clips, those of a kind together.
    """
    return _page(
        run,
        [
            *video_scores.cards(report),
            *provenance.facts(run),
            *_pictures("Videos", views),
            *video_scores.sections(report),
        ],
    )


def _page(run: Run, body: Sequence[str]) -> str:
    return document(
        title=f"Evaluation of {run.name}",
        head=_HEAD,
        style=package_text("pix2seq_d.report", "report.css"),
        script=package_text("pix2seq_d.report", "report.js"),
        body=[
            f"<h1>Evaluation of {escape(run.name)}</h1>",
            *body,
            *provenance.sections(run),
            '<div id="tip" role="status" hidden></div>',
            viewer.outcomes_json(),
        ],
    )


def _pictures(title: str, views: Sequence[View]) -> list[str]:
    parts = [f'<section class="pictures"><h2>{title}</h2>', viewer.toolbar()]
    parts.append(
        '<p class="soft needs-script">Ranked by their own score. Point at a picture, '
        "tap it, or focus it and use the arrow keys, to see what lies there; keys 1 to "
        "4 switch the layer.</p>"
    )
    parts.append("<noscript><p>Layers need JavaScript.</p></noscript>")
    parts.append(viewer.legend())
    parts.append(f'<div class="kinds-of-{title.lower()}">')
    for kind, group in groupby(views, key=lambda view: view.kind):
        figures = "".join(viewer.figure(view) for view in group)
        parts.append(
            f'<div class="kind"><h3>{kind.capitalize()}</h3>'
            f'<div class="views">{figures}</div></div>'
        )
    return [*parts, "</div></section>"]
