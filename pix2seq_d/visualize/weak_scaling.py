"""Weak scaling: how much of a device's speed is left among many of them."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pix2seq_d.visualize import chart
from pix2seq_d.visualize.chart import Line


def draw(
    curves: Mapping[str, Sequence[tuple[int, float, float]]], *, title: str
) -> Figure:
    """Efficiency in percent over the number of devices.

    Solid lines sum gradients beside the backward pass, dashed ones after it.

    Args:
      curves: accelerator -> (devices, efficiency apart, efficiency beside), each
        efficiency in (0, 1], devices ascending.
      title: what is trained.
    """
    lines = []
    for k, (name, points) in enumerate(curves.items()):
        devices = [point[0] for point in points]
        color = chart.COLORS[k % len(chart.COLORS)]
        apart, beside = ([100 * point[side] for point in points] for side in (1, 2))
        lines.append(Line(devices, apart, color, dashed=True, width=1.2))
        marker = chart.MARKERS[k % len(chart.MARKERS)]
        lines.append(Line(devices, beside, color, f"{name} {beside[-1]:.0f}", marker))
    figure, (axes,) = chart.new_figure(1, title=title)
    about = "images/s of a device, % of one alone; dashed: gradients summed after all"
    chart.draw(axes, lines, title=about, x_title="devices")
    axes.set_xscale("log", base=2)
    counts = sorted({point[0] for points in curves.values() for point in points})
    axes.set_xticks(counts, labels=map(str, counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 105)
    chart.name_ends(axes, lines)
    return figure
