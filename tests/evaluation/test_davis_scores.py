"""J&F: the official numbers, the definitions, what must not change them."""

import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from davis_video import video

from pix2seq_d.evaluation import boundary, davis
from pix2seq_d.evaluation.davis_sequence import Measures

SEVEN = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


class Reference:
    def __init__(self, root: Path) -> None:
        self.expected = json.loads((root / "expected.json").read_text())
        self.names = davis.sequences_of(root / "ImageSets/2017/val.txt")
        self.folders = (root / "Annotations_unsupervised/480p", root / "results")
        self.scores = [davis.score(*self.folders, name) for name in self.names]


@pytest.fixture(scope="module")
def reference():
    root = Path(__file__).resolve().parents[3] / "shared/reference/metrics/davis/main"
    if not root.is_dir():
        pytest.skip(f"no reference data: {root} does not exist")
    return Reference(root)


def close(made, expected):
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-9)


def test_official_global_values(reference):
    made = davis.evaluate(*reference.folders, sequences=reference.names)
    close([made[k] for k in SEVEN], [reference.expected["global"][k] for k in SEVEN])
    shown = {k: f"{made[k]:.3f}" for k in SEVEN}
    assert shown == reference.expected["global_csv"]
    # The folders of the truth are the sequences, where none are named.
    assert davis.evaluate(*reference.folders) == made


def test_official_values_of_each_sequence_and_object(reference):
    total = davis.JAndF()
    for score in reference.scores:
        total.add(score)
    made = total.result()
    assert sorted(made["per_object"]) == sorted(reference.expected["sequences"])
    for score in reference.scores:
        expected = reference.expected["sequences"][score.name]
        sequence = made["per_sequence"][score.name]
        assert {k: expected[k] for k in ("frames", "objects", "proposals")} == {
            k: sequence[k] for k in ("frames", "objects", "proposals")
        }
        close([sequence[k] for k in SEVEN], [expected["mean"][k] for k in SEVEN])
        close(score.scores, expected["mean_score_matrix_proposal_x_object"])
        objects = made["per_object"][score.name]
        assert [*map(str, objects)] == [*expected["per_object"]]
        for number, values in objects.items():
            wanted = expected["per_object"][str(number)]
            assert values.keys() == wanted.keys()
            assert values["proposal"] == wanted["proposal"]
            for key in (*SEVEN, "J_per_frame", "F_per_frame"):
                close(values[key], wanted[key])


def scored(truth, found, name="bear"):
    return davis.JAndF().update(name, truth, found)


def test_the_definitions_on_masks_and_all_assignments():
    for seed in range(3):
        truth, found = video(seed)
        objects, proposals = 3, 4
        void = truth == 255
        j = np.zeros((proposals, objects, len(truth)))
        f = np.zeros_like(j)
        for p, o, t in np.ndindex(j.shape):
            a, b = (truth[t] == o + 1) & ~void[t], (found[t] == p + 1) & ~void[t]
            union = (a | b).sum()
            j[p, o, t] = (a & b).sum() / union if union else 1
            f[p, o, t] = boundary.f_measures(
                a.astype(int), b.astype(int), num_objects=1, num_proposals=1
            ).item()
        values = (j.mean(-1) + f.mean(-1)) / 2
        best = max(
            itertools.permutations(range(proposals), objects),
            key=lambda rows: sum(values[p, o] for o, p in enumerate(rows)),
        )
        made = scored(truth, found)
        close(made.scores, values)
        assert made.proposals.tolist() == [p + 1 for p in best]
        close(made.j, [j[p, o] for o, p in enumerate(best)])
        close(made.f, [f[p, o] for o, p in enumerate(best)])


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 7, 20, 69, 300])
def test_decay_compares_the_first_and_the_last_quarter(frames):
    values = np.random.default_rng(frames).random(frames)
    borders = [int(np.floor(1 + (frames - 1) * i / 4 + 0.5)) for i in range(5)]
    bins = [values[a - 1 : b] for a, b in itertools.pairwise(borders)]
    made = Measures.of(values)
    assert made.decay == pytest.approx(bins[0].mean() - bins[3].mean(), abs=1e-15)
    assert made.mean == pytest.approx(values.mean())


def test_recall_is_strictly_above_one_half():
    assert Measures.of(np.array([0.5, 0.5, 0.6, 0.4])).recall == 0.25


def test_equal_maps_have_one_whatever_the_ids_and_the_void():
    truth, _ = video(0)
    found = np.array([0, 7, 1, 20])[np.where(truth > 3, 0, truth)]
    found[truth == 255] = 3
    made = scored(truth, found)
    assert made.proposals.tolist() == [7, 1, 20]
    assert (made.j == 1).all()
    assert (made.f == 1).all()


def test_disjoint_maps_have_zero():
    truth = np.zeros((3, 30, 40), np.uint8)
    truth[:, 2:9, 2:9] = 1
    made = scored(truth, truth[:, ::-1, ::-1] * 2)
    assert not made.j.any()
    assert not made.f.any()


def test_names_of_proposals_do_not_matter():
    truth, found = video(1)
    new = np.array([0, 9, 2, 17, 5])
    a, b = scored(truth, found), scored(truth, new[found])
    np.testing.assert_array_equal(new[a.proposals], b.proposals)
    np.testing.assert_array_equal(a.j, b.j)
    np.testing.assert_array_equal(a.f, b.f)
    assert b.scores.shape == (17, 3)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint32, np.uint64])
def test_the_integer_type_does_not_matter(dtype):
    truth, found = video(1)
    a, b = scored(truth, found), scored(truth.astype(dtype), found.astype(dtype))
    assert a.to_json() == b.to_json()


def test_empty_proposals_are_added_up_to_the_number_of_objects():
    truth, _ = video(2, void=False)
    found = np.where(truth == 2, 1, 0)
    made = scored(truth, found)
    assert made.proposals.tolist() == [0, 1, 0]
    assert made.num_proposals == 1
    assert made.scores.shape == (3, 3)
    total = davis.JAndF()
    total.add(made)
    objects = total.result()["per_object"]["bear"]
    assert [objects[o]["proposal"] for o in (1, 2, 3)] == [None, 1, None]
    # An empty proposal is right where the object is not in the picture.
    away = ~(truth == 1).any(axis=(1, 2))
    np.testing.assert_array_equal(made.j[0], away)


def test_more_objects_than_proposals_are_allowed():
    truth = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5).repeat(4, 1).repeat(4, 2)
    made = scored(truth, np.where(truth <= 20, truth, 0))
    assert made.proposals.tolist() == [*range(1, 21), 0, 0, 0, 0, 0]
    assert made.j.sum() == 20


def test_objects_of_later_frames_are_background():
    truth, found = video(3, void=False)
    made = scored(truth, found)
    assert len(made.proposals) == 3
    assert made.to_json() == scored(np.where(truth > 3, 0, truth), found).to_json()


def totals(names):
    made = davis.JAndF()
    for name in names:
        made.update(name, *video(sum(map(ord, name)), frames=4, shape=(12, 18)))
    return made


def test_merged_and_in_any_order_the_bits_are_the_same():
    whole = totals(["bear", "camel", "dog", "goat"])
    assert totals(["goat", "dog", "bear", "camel"]).result() == whole.result()
    parts = totals(["dog", "camel"])
    parts.merge(totals(["goat"]))
    parts.merge(davis.JAndF())
    parts.merge(totals(["bear"]))
    assert parts.result() == whole.result()
    assert [*parts.result()["per_object"]] == ["bear", "camel", "dog", "goat"]


def test_means_are_over_objects_not_sequences():
    total = davis.JAndF()
    total.update("many", *video(0))
    truth = np.zeros((2, 12, 12), np.uint8)
    truth[:, 3:6, 3:6] = 1
    total.update("one", truth, truth)
    made = total.result()
    assert made["per_sequence"]["one"]["J-Mean"] == 1.0
    many = made["per_sequence"]["many"]["J-Mean"]
    assert made["J-Mean"] == pytest.approx((3 * many + 1) / 4, abs=1e-15)
    assert made["J&F-Mean"] == (made["J-Mean"] + made["F-Mean"]) / 2


def test_json_and_pickle_keep_every_bit():
    total = totals(["bear", "camel"])
    again = davis.JAndF.from_json(json.loads(json.dumps(total.to_json())))
    assert again.result() == total.result()
    score = scored(*video(0))
    assert pickle.loads(pickle.dumps(score)).to_json() == score.to_json()
    again.update("dog", *video(5))
    assert len(again.result()["per_object"]) == 3
