"""What a model holds, against what a set has."""

import pytest

from pix2seq_d import config as config_lib
from pix2seq_d.doctor import capacity
from pix2seq_d.doctor.facts import Checked, MapFacts
from pix2seq_d.doctor.statistics import count
from pix2seq_d.labels import Category, LabelSpace


def remarks(num_classes, num_segments, model=None):
    names = [Category(k, f"c{k}", True, (0, 0, 0)) for k in range(1, num_classes)]
    facts = MapFacts({}, {}, 1, 0, 0, 0, num_numbered=num_segments, num_dropped=0)
    checked = [Checked("a.png", "a", 1, (), map=facts)]
    found = capacity.remarks(
        count(checked), LabelSpace(tuple(names)), where="val", model=model
    )
    return [(f.kind, f.severity, f.line) for f in found]


@pytest.mark.parametrize(
    ("classes", "segments", "kinds"),
    [
        (128, 127, []),
        (129, 1, ["needs_8_bits"]),
        (2, 128, ["needs_8_bits"]),
        (256, 255, ["needs_8_bits"]),
        (257, 1, ["too_many_classes"]),
    ],
)
def test_without_a_config(classes, segments, kinds):
    assert [kind for kind, *_ in remarks(classes, segments)] == kinds


@pytest.mark.parametrize(("classes", "kinds"), [(128, []), (129, ["too_many_classes"])])
def test_with_one(classes, kinds):
    assert [k for k, *_ in remarks(classes, 200, capacity.Capacity(128, 7))] == kinds


def test_the_cure_trains():
    ((_, severity, line),) = remarks(300, 1)
    assert severity == "error" and "--config.model.bits_per_channel=9" in line
    config = config_lib.default()
    config.model.bits_per_channel = 9
    config.model.num_classes = 301
    assert capacity.of(config_lib.from_config_dict(config)).bits == 9
