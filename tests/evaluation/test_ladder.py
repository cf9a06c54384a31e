"""Several predictions of images that are encoded once, scored as each alone."""

import numpy as np
import pytest

from pix2seq_d.data.shapes import Shapes
from pix2seq_d.evaluation import ladder_table
from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.image_scores import reports
from pix2seq_d.evaluation.ladder import LadderEvaluation, Rung
from pix2seq_d.evaluation.runner import Evaluation, Settings
from pix2seq_d.instance_ids import IdRule

SOURCE = Shapes("val", size=(32, 32), num_examples=5)
SETTINGS = Settings(
    image_size=(32, 32),
    mask_size=(16, 16),
    max_instances=8,
    batch_size=2,
    min_area=1,
    merge_stuff=True,
    rule=IdRule(stuff=False),
)


def predict(semantic):
    """Sky above one class; `images` only have to be those that were encoded."""

    def fn(images, index):
        assert images.shape == (2, 3) and images.max() < 0
        labels = np.zeros((len(index), 16, 16, 2), np.int32)
        labels[:, :8, :, 0], labels[:, 8:, :, 0] = 1, semantic
        return labels

    return fn


def encode(calls):
    def fn(images):
        calls.append(images.shape)
        return -images.mean((1, 2))

    return fn


@pytest.fixture(scope="module")
def ladder():
    calls = []
    evaluation = LadderEvaluation(
        encode(calls), [predict(k) for k in (2, 3, 4)], SOURCE, SETTINGS
    )
    scored = list(evaluation)
    made = []
    for number in range(3):
        of_rung = ((s.index, s.score) for rung, s in scored if rung == number)
        made += reports(of_rung, Categories.of(SOURCE.label_space))
    return [number for number, _ in scored], calls, made


def test_each_batch_is_encoded_once_for_all_rungs(ladder):
    scored, calls, reports = ladder
    assert calls == [(2, 32, 32, 3)] * 3
    assert scored == [0, 0, 1, 1, 2, 2] * 2 + [0, 1, 2]
    assert [report.num_images for report in reports] == [5] * 3


def test_every_rung_is_scored_as_it_is_alone(ladder):
    reports = ladder[2]
    for k, report in zip((2, 3, 4), reports, strict=True):

        def alone(images, index, k=k):
            return predict(k)(encode([])(images), index)

        evaluation = Evaluation(alone, SOURCE, SETTINGS)
        assert len(list(evaluation)) == 5
        assert evaluation.report() == report
    assert len({report.pq["Stuff"]["pq"] for report in reports}) == 3
    assert max(report.pq["Stuff"]["pq"] for report in reports) > 0
    assert all(r.oracle == reports[0].oracle for r in reports)


def test_the_table_has_a_row_for_each_rung_and_the_oracle(ladder):
    reports = ladder[2]
    rungs = [Rung(1, 2.0, reports[0], None), Rung(5, 0.5, reports[1], 0.0123)]
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in ladder_table.markdown(rungs).splitlines()
    )
    assert head[:3] == ["sampler steps", "time difference", "PQ"] and head[-1] == "ms"
    assert [row[:2] for row in rows] == [["1", "2"], ["5", "0.5"], ["oracle", ""]]
    assert [row[-1] for row in rows] == ["-", "12.3", ""]
    for row, report in zip(rows[:2], reports[:2], strict=True):
        assert row[2] == f"{100 * report.pq['All']['pq']:.1f}"
        assert row[5] == f"{100 * report.pq['All']['sq']:.1f}"
    assert rows[2][2] == f"{100 * reports[0].oracle['All']['pq']:.1f}"
