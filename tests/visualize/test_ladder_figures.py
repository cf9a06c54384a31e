"""PQ against steps: the points are where the numbers say, and are named."""

import itertools
import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from svg_lines import line, words

from pix2seq_d.visualize import diagram, ladder_plot


def content(steps, differences=(2.0,)):
    rows = []
    for td, n in itertools.product(differences, steps):
        pq = 0.1 + 0.2 * math.log10(n) + 0.01 * td
        groups = {"All": pq, "Things": pq / 2, "Stuff": 2 * pq}
        rows.append(
            {
                "num_steps": n,
                "time_difference": td,
                "pq": {group: {"pq": value} for group, value in groups.items()},
            }
        )
    return {"rows": rows, "oracle": {"All": {"pq": 0.88}}}


def saved(figure, tmp_path):
    diagram.save(figure, tmp_path / "figure.svg")
    return tmp_path / "figure.svg"


def test_groups_over_the_logarithm_of_the_steps(tmp_path):
    steps = (1, 2, 5, 10)
    figure = ladder_plot.against_steps(content(steps), title="shapes val, model m")
    path = saved(figure, tmp_path)
    texts = words(path)
    assert "shapes val, model m" in texts and "sampler steps" in texts
    assert {"1", "2", "5", "10"} <= set(texts)
    names = ["all 32.0", "things 16.0", "stuff 64.0"]
    assert {*names, "oracle of all 88.0"} <= set(texts)
    for name in names:
        corners, markers = line(path, name)
        assert len(markers) == len(steps)
        # PQ grows with the logarithm: a straight line, if the axis is logarithmic.
        (x0, y0), *inner, (x1, y1) = markers
        assert x1 > x0 and y1 < y0
        for (x, y), n in zip(inner, steps[1:-1], strict=True):
            assert (x - x0) / (x1 - x0) == pytest.approx(math.log10(n), abs=1e-3)
            assert (y - y0) / (y1 - y0) == pytest.approx(math.log10(n), abs=1e-3)
        assert corners[0] == pytest.approx(markers[0], abs=1e-3)
    oracle, markers = line(path, "oracle of all 88.0")
    assert len({y for _, y in oracle}) == 1 and not markers
    # 88 % against the 32 % and 64 % of two lines.
    y_all, y_stuff = (line(path, name)[1][-1][1] for name in (names[0], names[2]))
    assert (oracle[0][1] - y_all) / (y_stuff - y_all) == pytest.approx(56 / 32, 1e-3)


def test_several_time_differences_are_lines_of_all(tmp_path):
    made = content((5, 10), (0.0, 1.5))
    path = saved(ladder_plot.against_steps(made, title=""), tmp_path)
    for name in ("time difference 0 30.0", "time difference 1.5 31.5"):
        assert name in words(path)
        assert len(line(path, name)[1]) == 2
    path = saved(ladder_plot.against_time_difference(made, title=""), tmp_path)
    assert {"5 steps 25.5", "10 steps 31.5", "0", "1.5"} <= set(words(path))
    assert "PQ of all (%) against time difference; oracle 88.0" in words(path)
    ((x0, y0), (x1, y1)) = line(path, "10 steps 31.5")[1]
    assert x1 > x0 and y1 < y0
    # The axis is that of the lines, so that they can be told apart.
    assert y0 - y1 > 30


def test_labels_do_not_touch_where_lines_end_together():
    made = content((1, 2, 10, 18, 19, 20))
    for row in made["rows"]:
        for group in row["pq"].values():
            group["pq"] = 0.875
    figure = ladder_plot.against_steps(made, title="t")
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    texts = [*axes.texts, *axes.get_xticklabels()]
    extents = [t.get_window_extent() for t in texts if t.get_text()]
    assert len(axes.texts) == 4
    for one, other in itertools.combinations(extents, 2):
        assert not one.overlaps(other)
    assert all(figure.bbox.x1 >= extent.x1 for extent in extents)
    # Every number of steps has a tick, but for those that would touch a number.
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        "1",
        "2",
        "10",
        "18",
        "",
        "",
    ]


def test_a_single_rung(tmp_path):
    path = saved(ladder_plot.against_steps(content((4,)), title="t"), tmp_path)
    assert "4" in words(path)
    assert len(line(path, "all 24.0")[1]) == 1


def test_lines_differ_in_colour_and_marker():
    figure = ladder_plot.against_steps(content((1, 2)), title="t")
    drawn = [
        k for k in figure.axes[0].get_lines() if k.get_marker() not in ("", "None")
    ]
    assert len({str(k.get_marker()) for k in drawn}) == 3
    assert len({str(k.get_color()) for k in drawn}) == len(drawn) == 3
