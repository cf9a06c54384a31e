"""PQ against steps: what is read, and what is drawn of it."""

import json
import re

import pytest
from html_text import Page

from pix2seq_d.report import ladder
from pix2seq_d.report.ladder import Rung


def write(path, rows):
    groups = ("All", "Things", "Stuff")
    content = {
        "rows": [
            {
                "num_steps": steps,
                "pq": {g: {"pq": v} for g, v in zip(groups, pq, strict=True)},
            }
            for steps, *pq in rows
        ]
    }
    path.write_text(json.dumps(content))
    return path


def test_rows_are_read_by_rising_steps(tmp_path):
    path = write(tmp_path / "ladder.json", [(5, 0.5, 0.25, 0.75), (1, 0.1, 0.0, 0.2)])
    assert ladder.read(path, time_difference=2.0) == (
        Rung(1, (0.1, 0.0, 0.2)),
        Rung(5, (0.5, 0.25, 0.75)),
    )


def test_of_several_time_differences_the_samplers_own_is_shown(tmp_path):
    path = write(tmp_path / "ladder.json", [(5, 0.1, 0, 0), (5, 0.2, 0, 0)])
    content = json.loads(path.read_text())
    for row, time in zip(content["rows"], (1.0, 3.0), strict=True):
        row["time_difference"] = time
    path.write_text(json.dumps(content))
    for time, pq in ((1.0, 0.1), (3.0, 0.2)):
        assert ladder.read(path, time_difference=time) == (Rung(5, (pq, 0, 0)),)
    assert not ladder.read(path, time_difference=2.0)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"rows": []}',
        '{"rows": [3]}',
        '{"rows": [{"num_steps": 1, "pq": {"All": {"pq": 0.5}}}]}',
        '{"rows": [{"num_steps": 0, "pq": {"All": {"pq": 0}, "Things": {"pq": 0}, '
        '"Stuff": {"pq": 0}}}]}',
    ],
)
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "ladder.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"ladder\.json: .*again"):
        ladder.read(path, time_difference=2.0)


def test_the_plot_has_every_point_at_its_height():
    rungs = (Rung(1, (0.2, 0.1, 0.3)), Rung(4, (0.6, 0.5, 0.8)), Rung(16, (1, 1, 1)))
    text = "".join(ladder.section(rungs, command="x"))
    parsed = Page(text)
    for title in ("things, 4 steps: PQ 50.0", "all, 16 steps: PQ 100.0"):
        assert title in parsed.text
    lines = re.findall(r'points="([^"]+)"', text)
    points = [[tuple(map(float, p.split(","))) for p in line.split()] for line in lines]
    assert [len(line) for line in points] == [3, 3, 3]
    (x1, y1), (x2, y2), (x3, y3) = points[0]
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.1)  # log2 of the steps
    assert (y1 - y3) / (y2 - y3) == pytest.approx(2, abs=0.02)  # 80 and 40 below
    labels = [
        float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)">\w+ 100', text)
    ]
    assert len(labels) == 3 and min(abs(labels[0] - y) for y in labels[1:]) >= 16


def test_one_row_is_drawn_too():
    Page("".join(ladder.section((Rung(3, (0.0, 0.0, 0.0)),), command="x")))


def test_without_a_ladder_the_command_is_told():
    text = Page("".join(ladder.section((), command="launch --ladder=1,2 <x>"))).text
    assert "Not measured. launch --ladder=1,2 <x> measures it," in text
