"""Charts of plain HTML, drawn by the page's style."""

from collections.abc import Mapping

_BINS = 12


def bar(share: float, css_class: str) -> str:
    """A horizontal bar, filled to a share in [0, 1]."""
    width = 100 * min(max(share, 0.0), 1.0)
    filled = f'<div class="{css_class}" style="width:{width:.2f}%"></div>'
    return f'<div class="bar">{filled}</div>'


def columns(counts: Mapping[int, int], css_class: str) -> str:
    """A histogram of whole numbers: at most 12 columns of equal range.

    Args:
      counts: value -> how often; not empty.
      css_class: colours the columns.
    """
    step = max(counts) // _BINS + 1
    bins = [0] * (max(counts) // step + 1)
    for value, number in counts.items():
        bins[value // step] += number
    parts = []
    for k, number in enumerate(bins):
        height = 100 * number / max(bins)
        first, last = k * step, (k + 1) * step - 1
        name = str(first) if step == 1 else f"{first} to {last}"
        parts.append(
            f'<div class="column" title="{name} objects: {number} images">'
            f"<span>{_short(number) if number else ''}</span>"
            f'<div class="{css_class}" style="height:{height:.1f}px"></div>'
            f"<span>{first}</span></div>"
        )
    return (
        f'<div class="columns">{"".join(parts)}</div><p class="soft">Images by their '
        "number of objects; below each column the smallest.</p>"
    )


def _short(number: int) -> str:
    """987 -> '987', 1234 -> '1.2k', 118287 -> '118k'."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.{int(number < 10_000)}f}k"
