"""What each kind of error costs, as a table with bars."""

from collections.abc import Mapping
from html import escape
from typing import Any

from pix2seq_d.evaluation.counts import GROUPS
from pix2seq_d.evaluation.diagnosis import INEXACT
from pix2seq_d.report.outcomes import BY_NAME
from pix2seq_d.report.scores import bar
from pix2seq_d.report.viewer import swatch


def table(diagnosis: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """The kinds of error by what their repair would add to PQ, the costliest first.

    Args:
      diagnosis: as `Diagnosis.result`.
    """
    kinds = sorted(diagnosis, key=lambda kind: -diagnosis[kind]["All"]["lost"])
    most = max(diagnosis[kind]["All"]["lost"] for kind in kinds)
    head = "".join(f"<th scope=col>{group.lower()}</th>" for group in GROUPS)
    rows = []
    for kind in kinds:
        entry, outcome = diagnosis[kind], BY_NAME[kind]
        lost = [entry[group]["lost"] for group in GROUPS]
        number = f"{entry['fn'] + entry['fp']:,}" if kind != INEXACT else ""
        drawn = bar(lost[0] / most if most else 0.0, oracle=None, css_class="c")
        cells = "".join(f"<td>+{100 * value:.1f}</td>" for value in lost)
        rows.append(
            f"<tr><th scope=row>{swatch(kind)}{outcome.title}<small>"
            f"{escape(outcome.meaning)}</small></th><td class=barcell>{drawn}</td>"
            f"{cells}<td>{number}</td></tr>"
        )
    return [
        "<h2>Errors</h2>",
        '<p class="soft">What PQ would gain, in percent points, if one kind of error '
        "were repaired. The gains do not add up: PQ is a ratio.</p>",
        '<div class="scroll"><table class="bars kinds"><thead><tr><th scope=col>kind'
        f"</th><th class=barcell aria-hidden=true></th>{head}"
        "<th scope=col>errors</th></tr></thead><tbody>",
        *rows,
        "</tbody></table></div>",
    ]
