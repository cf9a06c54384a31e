import json

import numpy as np
import pytest
from PIL import Image

from pix2seq_d.visualize.curves import (
    COLORS,
    draw_curves,
    read_metrics,
    training_curves,
)
from pix2seq_d.visualize.plot import linear_ticks, log_ticks, tick_text


def losses(values):
    return [{"step": k, "loss": float(v)} for k, v in enumerate(values, start=1)]


def color_pixels(drawn, color):
    return np.nonzero((np.abs(drawn.astype(int) - color) < 12).all(-1))


def write(path, records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_png_of_a_run_has_both_plots(tmp_path):
    records = [
        *losses(np.linspace(3, 1, 50)),
        {"step": 25, "eval/pq": 0.2, "eval/oracle_pq": 0.9},
        {"step": 50, "eval/pq": 0.6, "eval/oracle_pq": 0.9},
    ]
    training_curves(write(tmp_path / "m.jsonl", records), tmp_path / "c.png")
    drawn = np.asarray(Image.open(tmp_path / "c.png"))
    assert drawn.shape == (480, 1440, 3) and drawn.dtype == np.uint8
    _, x = color_pixels(drawn, COLORS[0])
    assert (x < 720).sum() > 500 and (x > 800).sum() > 300


def test_only_loss_makes_one_plot():
    assert draw_curves({"run": losses([3, 2, 1])}).shape == (480, 720, 3)


def test_pq_rises_on_the_picture_where_it_rises_in_the_data():
    records = [{"step": k, "eval/pq": k / 100} for k in range(0, 101, 10)]
    y, x = color_pixels(draw_curves({"run": records}), COLORS[0])
    in_axes = (y > 58) & (y < 300)  # above the legend
    slope = np.polyfit(x[in_axes], y[in_axes], 1)[0]
    # 100 % is 364 pixels high, 100 steps are 620 wide.
    assert slope == pytest.approx(-364 / 620, rel=0.02)


def test_oracle_is_dashed_and_pq_is_not():
    def covered(key):
        records = [{"step": k, "eval/pq": 0.1, key: 0.7} for k in (0, 100)]
        _, x = color_pixels(draw_curves({"run": records})[50:300], COLORS[0])
        return len(np.unique(x)) / 620

    assert 0.4 < covered("eval/oracle_pq") < 0.7
    assert covered("eval/pq") > 0.95


def test_last_value_of_a_repeated_step_counts_and_infinite_ones_do_not():
    plain = draw_curves({"run": losses([3, 2, 1])})
    resumed = [{"step": 2, "loss": 9.0}, *losses([3, 2, 1])]
    resumed.append({"step": 4, "loss": float("nan")})
    np.testing.assert_array_equal(draw_curves({"run": resumed}), plain)


def test_a_single_step_and_a_constant_loss_are_drawn():
    assert len(color_pixels(draw_curves({"run": losses([2])}), COLORS[0])[0]) > 40
    assert draw_curves({"run": losses([0, 0, 0])}).shape == (480, 720, 3)


def test_falling_loss_uses_a_log_axis():
    steps = np.arange(1, 201)
    drawn = draw_curves({"run": losses(10 * np.exp(-steps / 40))})
    y, x = color_pixels(drawn, COLORS[0])
    in_axes = (y > 110) & (x < 690)
    # Exponential decay is a straight line there.
    residual = np.polyfit(x[in_axes], y[in_axes], 1, full=True)[1][0] / in_axes.sum()
    assert residual < 4


def test_runs_are_told_apart_by_folder_and_colour(tmp_path):
    for name, level in (("a", 3.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "metrics.jsonl", losses([level, level / 2]))
    paths = [tmp_path / n / "metrics.jsonl" for n in "ab"]
    training_curves(paths, tmp_path / "both.png")
    drawn = np.asarray(Image.open(tmp_path / "both.png"))
    for color in COLORS[:2]:
        assert len(color_pixels(drawn, color)[0]) > 300
    named = {"a": losses([3, 1.5]), "b": losses([2, 1])}
    np.testing.assert_array_equal(drawn, draw_curves(named))
    assert (drawn != draw_curves({"a": named["a"], "c": named["b"]})).any()


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


def test_missing_file_and_empty_metrics_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such metrics file"):
        training_curves(tmp_path / "none.jsonl", tmp_path / "c.png")
    with pytest.raises(ValueError, match="no finite 'loss' or 'eval/pq' in m"):
        training_curves(write(tmp_path / "m.jsonl", []), tmp_path / "c.png")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.13, 0.52, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (-3, 9, [-4, -2, 0, 2, 4, 6, 8, 10]),
    ],
)
def test_linear_ticks_are_round_and_enclose(low, high, ticks):
    np.testing.assert_allclose(linear_ticks(low, high), ticks, atol=1e-12)


def test_log_ticks_and_texts():
    np.testing.assert_allclose(log_ticks(0.07, 2.4), [0.1, 0.2, 0.5, 1, 2])
    np.testing.assert_allclose(log_ticks(1e-4, 20), [1e-4, 1e-3, 1e-2, 0.1, 1, 10])
    assert [tick_text(v) for v in (0.05, 20, 5000, 1.5e6, 0)] == [
        "0.05",
        "20",
        "5k",
        "1.5M",
        "0",
    ]
