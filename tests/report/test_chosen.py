"""Which images are shown."""

from pix2seq_d.report.chosen import choose


def test_each_kind_by_rising_score():
    scores = {k: (7 * k % 10) / 10 for k in range(10)}  # 3, 6, 9, 2, ... have 0.1 ...
    by_score = sorted(scores, key=scores.get)
    assert choose(scores, each=2) == {
        "worst": by_score[:2],
        "median": by_score[4:6],
        "best": by_score[8:],
    }


def test_no_key_twice_and_none_left_out_of_few():
    for count in range(9):
        chosen = choose({k: 0.5 for k in range(count)}, each=3)
        keys = [key for of_kind in chosen.values() for key in of_kind]
        assert sorted(keys) == list(range(count))
    assert choose({"a": 0.2}, each=1) == {"worst": ["a"], "median": [], "best": []}
