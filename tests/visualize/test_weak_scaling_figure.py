"""Weak scaling: the lines are where the numbers say, and are named."""

import pytest
from svg_lines import line, words

from pix2seq_d.visualize import diagram, weak_scaling

CURVES = {
    "v5e": [(1, 1.0, 1.0), (4, 0.5, 0.8), (16, 0.4, 0.6)],
    "H100": [(1, 1.0, 1.0), (2, 0.9, 1.0)],
}


def test_efficiency_over_the_logarithm_of_the_devices(tmp_path):
    path = tmp_path / "scaling.svg"
    diagram.save(weak_scaling.draw(CURVES, title="low_res"), path)
    texts = words(path)
    assert {"low_res", "devices", "1", "2", "4", "16"} <= set(texts)
    corners, markers = line(path, "v5e 60")
    assert corners == markers
    (x1, y1), (x4, y4), (x16, y16) = corners
    assert x16 - x4 == pytest.approx(x4 - x1)
    assert (y16 - y1) / (y4 - y1) == pytest.approx(2)  # 40 % less beside 20 %
    assert line(path, "H100 100")[0][1][1] == pytest.approx(y1)
