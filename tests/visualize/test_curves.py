"""Training curves: what is drawn of which records, on which axes."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from svg_lines import line, words

from pix2seq_d.visualize import chart, diagram
from pix2seq_d.visualize.curves import draw_curves, read_metrics


def losses(values):
    return [{"step": k, "loss": float(v)} for k, v in enumerate(values, start=1)]


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def named(axes):
    return {text.get_text() for text in axes.texts}


def drawn(axes):
    """Label -> (x, y, line) of the lines that have one."""
    return {
        str(k.get_gid()): (np.asarray(k.get_xdata()), np.asarray(k.get_ydata()), k)
        for k in axes.get_lines()
        if k.get_gid()
    }


def test_a_run_has_a_panel_for_each_value(tmp_path):
    records = [r | {"learning_rate": 0.1, "grad_norm": 2.0} for r in losses([3, 2, 1])]
    records += [
        {
            "step": step,
            "eval/pq": pq,
            "eval/things_pq": 0.1,
            "eval/stuff_pq": 0.8,
            "eval/oracle_pq": 0.9,
        }
        for step, pq in ((1, 0.2), (3, 0.6))
    ]
    figure = draw_curves({"shapes": records})
    assert titles(figure) == [
        "training loss",
        "quality (%)",
        "learning rate",
        "gradient norm, before clipping",
    ]
    loss, quality, rate, norm = figure.axes
    assert named(quality) == {"PQ 60.0", "things 10.0", "stuff 80.0", "oracle 90.0"}
    np.testing.assert_allclose(drawn(quality)["PQ 60.0"][1], [20, 60])
    assert named(rate) == {"0.1"} and named(norm) == {"2"}
    assert len(loss.get_lines()) == 2 and len(rate.get_lines()) == 1
    assert all(axes.get_xlabel() == "training step" for axes in figure.axes)
    oracle, score = (drawn(quality)[k][2] for k in ("oracle 90.0", "PQ 60.0"))
    assert oracle.is_dashed() and not score.is_dashed()

    diagram.save(figure, tmp_path / "curves.svg")
    texts = words(tmp_path / "curves.svg")
    assert {"shapes", "quality (%)", "stuff 80.0"} <= set(texts)
    corners, markers = line(tmp_path / "curves.svg", "PQ 60.0")
    assert len(corners) == len(markers) == 2
    assert corners[1][1] < corners[0][1]  # up, where PQ rises


def test_only_loss_makes_one_panel():
    assert titles(draw_curves({"run": losses([3, 2, 1])})) == ["training loss"]


def test_scores_of_videos():
    records = [{"step": 5, "eval/stq": 0.5, "eval/vpq": 0.4, "eval/oracle_stq": 0.8}]
    (axes,) = draw_curves({"run": records}).axes
    assert named(axes) == {"STQ 50.0", "VPQ 40.0", "oracle STQ 80.0"}
    # Single points are seen.
    assert {k.get_marker() for k in axes.get_lines()} <= {"o", "s", "^", "D", "v"}


def test_last_value_of_a_repeated_step_counts_and_infinite_ones_do_not():
    resumed = [{"step": 2, "loss": 9.0}, *losses([3, 2, 1])]
    resumed.append({"step": 4, "loss": float("nan")})
    raw, *_ = draw_curves({"run": resumed}).axes[0].get_lines()
    np.testing.assert_array_equal(raw.get_data(), [[1, 2, 3], [3, 2, 1]])


def test_a_constant_loss_is_drawn():
    (axes,) = draw_curves({"run": losses([0, 0, 0])}).axes
    low, high = axes.get_ylim()
    assert low < 0 < high


def test_falling_loss_uses_a_log_axis_and_a_spike_does_not_flatten_it():
    steps = np.arange(1, 401)
    values = 10 * np.exp(-steps / 60)
    values[200] = 1e6
    (axes,) = draw_curves({"run": losses(values)}).axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] < 20
    assert {t.get_text() for t in axes.get_yticklabels()} >= {"0.1", "0.2", "0.5"}
    (smooth,) = (y for _, y, _ in drawn(axes).values())
    np.testing.assert_allclose(smooth[20:150], values[20:150], rtol=0.02)
    (axes,) = draw_curves({"run": losses([3, 2, 1])}).axes
    assert axes.get_yscale() == "linear"


def test_runs_are_told_apart_by_name_and_colour():
    records = [{"step": 1, "eval/pq": 0.5, "eval/things_pq": 0.1}]
    runs = {"a": [*losses([3, 1.5]), *records], "b": losses([2, 1])}
    loss, quality = draw_curves(runs).axes
    assert {label.split()[1] for label in named(loss)} == {"a", "b"}
    shown = {label.split()[1]: k.get_color() for label, (*_, k) in drawn(loss).items()}
    assert shown == {"a": chart.COLORS[0], "b": chart.COLORS[1]}
    # Of several runs only what can be compared.
    assert named(quality) == {"PQ 50.0 a"}
    for text in loss.texts:  # the label has its line's colour, darker
        run = text.get_text().split()[1]
        expected = 0.75 * np.array(to_rgb(shown[run]))
        np.testing.assert_allclose(to_rgb(text.get_color()), expected)


def test_half_written_last_line_is_left_out_others_are_named(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1, "loss": 2}\n\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2}]
    path.write_text('{"step": 1, "lo\n{"step": 2, "loss": 1}\n')
    with pytest.raises(ValueError, match=r"m\.jsonl:1: not JSON"):
        read_metrics(path)
    path.write_text('{"loss": 2}\n')
    with pytest.raises(ValueError, match=r"m\.jsonl:1: no number 'step'"):
        read_metrics(path)
    with pytest.raises(FileNotFoundError, match="no such metrics file"):
        read_metrics(tmp_path / "none.jsonl")


def test_nothing_to_draw_is_named():
    with pytest.raises(ValueError, match=r"no finite 'loss', .* in m; give a run"):
        draw_curves({"m": [{"step": 1, "learning_rate": 0.1}]})
