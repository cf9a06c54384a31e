"""Means, spreads and directions of results, and the page that shows them."""

import json

import pytest

from pix2seq_d.reproduce import earlier, page, results
from pix2seq_d.reproduce.page import Collected
from pix2seq_d.reproduce.paper import ABLATION_LOSS
from pix2seq_d.reproduce.recipes import Check
from pix2seq_d.reproduce.results import Number, Result

PQ = ("All", "pq")
BETTER = Check("b beats a", "secondary", (("b", "a"),))


class Named:
    """As much of a row as a judgement needs."""

    def __init__(self, name):
        self.name = name


def result(name, ours):
    return Result(Named(name), (Number(PQ, None, ours),))


@pytest.mark.parametrize(
    ("a", "b", "holds"),
    [
        ({0: 10.0, 1: 12.0}, {0: 11.0, 1: 13.0}, "yes"),  # seed by seed
        ({0: 10.0, 1: 12.0}, {0: 9.0, 1: 14.0}, "for the mean"),
        ({0: 10.0, 1: 12.0}, {0: 11.0, 1: 10.0}, "no"),
        ({0: 10.0}, {1: 11.0}, "for the mean"),  # no seed that both have
        ({0: 10.0}, {}, "not known"),
    ],
)
def test_a_direction_is_compared_seed_by_seed(a, b, holds):
    outcome = results.judge(BETTER, [result("a", a), result("b", b)])
    assert outcome.holds == holds


def test_the_worst_pair_decides():
    check = Check("c is the best", "memory H", (("c", "a"), ("c", "b"), ("c", "d")))
    some = [result(n, {0: v}) for n, v in (("a", 1.0), ("b", 3.0), ("c", 2.0))]
    outcome = results.judge(check, [*some, result("d", {})])
    assert outcome.holds == "no"
    assert outcome.because == "c 2.0 > a 1.0; c 2.0 < b 3.0; d not run"


def test_near_is_near_in_both_directions():
    check = Check("b equals a", "secondary", (("b", "a"),), within=0.5)
    for value, holds in ((10.4, "yes"), (9.6, "yes"), (10.6, "no"), (9.4, "no")):
        some = [result("a", {0: 10.0}), result("b", {0: value})]
        assert results.judge(check, some).holds == holds


def test_an_earlier_collection_fills_what_the_folders_lack(tmp_path):
    l2, cross_entropy = ABLATION_LOSS.rows

    def collected(l2_ours, cross_entropy_ours):
        return [
            Result(l2, (Number(PQ, None, l2_ours),)),
            Result(cross_entropy, (Number(PQ, None, cross_entropy_ours),), 71.0),
        ]

    before = collected({0: 40.0, 2: 41.0}, {0: 45.0, 1: 46.0})
    one = Collected(ABLATION_LOSS, (0, 1, 2), before, [], [], [])
    path = tmp_path / "known.json"
    content = page.to_json({"command": "python --config.a=1"}, [one])
    path.write_text(json.dumps(content))
    encoders = ["--detection_encoder=a/e.npz", "-detection_encoder", "b/e.npz"]
    for encoder in (encoders[:1], encoders[1:]):
        command = " ".join(["python", *encoder])
        other = tmp_path / "encoder.json"
        other.write_text(json.dumps(content | {"command": command}))
        earlier.read(other, argv=["--detection_encoder", "c/e.npz"])
    known = earlier.read(path, argv=["-config.a=1"])
    now = collected({1: 50.0}, {0: 55.0})
    found, taken = earlier.complete(now, ABLATION_LOSS, (0, 1), known)
    (a,), (b,) = (result.numbers for result in found)
    # Seed 2 is not wanted; the folders' own numbers stay.
    assert list(a.ours.items()) == [(0, 40.0), (1, 50.0)]
    assert list(b.ours.items()) == [(0, 55.0), (1, 46.0)]
    assert taken == {("ablation_loss/l2", 0), ("ablation_loss/cross_entropy", 1)}
    assert found[1].oracle_pq == 71.0

    with pytest.raises(ValueError, match=r"was collected with --config\.a=1, so"):
        earlier.read(path, argv=[])
    with pytest.raises(ValueError, match="may be of other settings; give the same"):
        earlier.read(path, argv=["--config.a=1", "--detection_encoder", "a.npz"])
    # As it was written before it said what the oracle is.
    (table,) = content["tables"]
    for row in table["rows"]:
        del row["oracle_pq"]
    path.write_text(json.dumps(content))
    old = earlier.read(path, argv=["-config.a=1"])
    found, _ = earlier.complete(collected({}, {}), ABLATION_LOSS, (0, 1), old)
    assert found[1].numbers[0].ours == {0: 45.0, 1: 46.0}
    for broken in ({"rows": [3]}, {"origins": [{}]}, {"rows": [{"figures": [{}]}]}):
        path.write_text(json.dumps(content | {"tables": [table | broken]}))
        with pytest.raises(ValueError, match="not a collected table"):
            earlier.read(path, argv=["-config.a=1"])

    known["ablation_loss"]["rows"][0]["sampler"]["num_steps"] = 7
    with pytest.raises(ValueError, match="ablation_loss/l2: the earlier collection"):
        earlier.complete(now, ABLATION_LOSS, (0, 1), known)


def test_a_page_shows_the_papers_figure_ours_and_what_was_not_run():
    l2, cross_entropy = ABLATION_LOSS.rows
    found = [
        Result(l2, (Number(PQ, l2.figures[0], {0: 40.0, 1: 41.0}),)),
        Result(cross_entropy, (Number(PQ, cross_entropy.figures[0], {}),)),
    ]
    outcomes = [results.judge(check, found) for check in ABLATION_LOSS.checks]
    one = Collected(ABLATION_LOSS, (0, 1), found, outcomes, [], [])
    text = page.markdown("Losses", "made now", [one])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "| l2 | PQ | 41.9 | memory H | 40.5 ± 0.5 (40.0, 41.0) | -1.4 |" in lines
    assert "| cross_entropy | PQ | 43.9 | memory H | not run | - |" in lines
    assert any("not known | PQ: cross_entropy not run" in line for line in lines)
    content = page.to_json({"date": "now"}, [one])["tables"][0]
    (figure,) = content["rows"][0]["figures"]
    assert figure["ours"] == {"0": 40.0, "1": 41.0}
    assert (figure["mean"], figure["half_range"]) == (40.5, 0.5)
    (missing,) = content["rows"][1]["figures"]
    assert missing["ours"] == {} and missing["difference"] is None
