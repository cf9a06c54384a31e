"""Pictures of the page: layers to switch, segments to point at, clips to play."""

import dataclasses
import json
from collections.abc import Sequence
from html import escape
from typing import Any

from pix2seq_d.evaluation.error_map import CORRECT, IGNORED
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.report.frame import Frame, ShownSegment
from pix2seq_d.report.outcomes import BY_NAME, OUTCOMES

LAYERS = ("image", "truth", "prediction", "errors")
_OPACITY = 65  # percent, of the layers over the photo


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A picture of the page: an image, or a clip of several frames.

    Attributes:
      kind: `worst`, `median` or `best`.
      title: file name of the image or name of the video.
      score: what it is ranked by, such as "PQ 58.7".
      frames: one for an image.
    """

    kind: str
    title: str
    score: str
    frames: Sequence[Frame]


def toolbar() -> str:
    """What switches the layer of all pictures, and how strongly it covers the photo."""
    buttons = "".join(
        f'<label><input type="radio" name="layer" value="{layer}"'
        f"{' checked' if layer == 'prediction' else ''}>"
        f"<span>{layer.capitalize()} <kbd>{k}</kbd></span></label>"
        for k, layer in enumerate(LAYERS, start=1)
    )
    return (
        '<div class="toolbar needs-script"><fieldset><legend>Layer of all pictures'
        f'</legend>{buttons}</fieldset><label class="opacity">Opacity '
        f'<input type="range" id="opacity" min="0" max="100" value="{_OPACITY}">'
        "</label></div>"
    )


def legend() -> str:
    """What the colours and patterns of the errors mean."""
    items = "".join(
        f"<li>{swatch(o.name)}<b>{o.title}</b> "
        f'<span class="soft">{escape(o.meaning)}</span></li>'
        for o in OUTCOMES
        if o.color
    )
    return (
        "<details class=legend><summary>What the errors layer shows</summary>"
        f"<ul>{items}</ul></details>"
    )


def swatch(name: str) -> str:
    """A small field in the colour and pattern of an outcome."""
    outcome = BY_NAME[name]
    return (
        f'<canvas class="swatch" width="24" height="16" data-outcome="{name}" '
        f'style="background:{outcome.color}" aria-hidden="true"></canvas>'
    )


def outcomes_json() -> str:
    """What `report.js` knows of the outcomes."""
    return json_script(
        [
            {"name": o.name, "title": o.title, "color": o.color, "pattern": o.pattern}
            for o in OUTCOMES
        ],
        "outcomes",
    )


def figure(view: View) -> str:
    """A picture with all of its layers inside."""
    first = view.frames[0]
    height, width = first.photo.shape[:2]
    rows = [frame.to_json() for frame in view.frames]
    for row, frame in zip(rows[1:], view.frames[1:], strict=True):
        row["photo"] = frame.photo_url()
    title = escape(view.title)
    player = _player(view.frames) if len(view.frames) > 1 else ""
    details = "" if len(view.frames) > 1 else _segments(first)
    return (
        f'<figure class="viewer"><div class="stage" tabindex="0" role="group" '
        f'aria-label="{title}: arrow keys point at segments">'
        f'<img src="{first.photo_url()}" width="{width}" height="{height}" '
        f'alt="{title}"><canvas aria-hidden="true"></canvas></div>{player}'
        f"<figcaption><b>{escape(view.score)}</b> <span>{title}</span>"
        '<button type="button" class="enlarge needs-script" aria-pressed="false">'
        f"Enlarge</button></figcaption>{details}{json_script(rows)}</figure>"
    )


def json_script(value: Any, name: str = "") -> str:
    """Data for the script; no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    name = f' id="{name}"' if name else ""
    return f'<script type="application/json"{name}>{text}</script>'


def verdict_words(segment: ShownSegment, *, of_truth: bool) -> str:
    """What became of a segment, as `report.js` says it, too."""
    verdict = segment.verdict
    if verdict.outcome == CORRECT:
        return f"true positive, IoU {percent(verdict.iou, 0)} %"
    if verdict.outcome == IGNORED:
        return "does not count"
    side = "false negative" if of_truth else "false positive"
    return f"{side}: {BY_NAME[verdict.outcome].title}"


def _player(frames: Sequence[Frame]) -> str:
    last = len(frames) - 1
    return (
        '<div class="player needs-script"><button type="button" class="play">Play'
        f'</button><input type="range" class="scrubber" min="0" max="{last}" '
        f'value="0" aria-label="Frame"><output>frame {frames[0].number}</output></div>'
    )


def _segments(frame: Frame) -> str:
    """The segments as a table, for those who cannot point at them."""
    rows = []
    for of_truth, segments in ((True, frame.truth), (False, frame.found)):
        for segment in segments:
            # A match is in the rows of the truth already.
            if of_truth or segment.verdict.outcome != CORRECT:
                words = verdict_words(segment, of_truth=of_truth)
                rows.append(
                    f"<tr><th scope=row>{escape(segment.name)}</th>"
                    f"<td>{'truth' if of_truth else 'prediction'}</td>"
                    f"<td>{segment.pixels:,}</td><td>{escape(words)}</td></tr>"
                )
    return (
        "<details><summary>Segments</summary><div class=scroll><table><thead><tr>"
        "<th scope=col>segment</th><th scope=col>of</th><th scope=col>pixels</th>"
        f"<th scope=col>outcome</th></tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table></div></details>"
    )
