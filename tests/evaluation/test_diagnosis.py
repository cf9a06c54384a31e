"""Kinds of errors and what repairing one gives: by hand, and by repaired maps."""

import json
from fractions import Fraction

import numpy as np
import pytest
from panoptic_maps import CATEGORIES, DOOR, SKY, TREE, random_pair, strip

from pix2seq_d.evaluation.categories import Categories
from pix2seq_d.evaluation.diagnosis import INEXACT, REPAIRED, Diagnosis, diagnose
from pix2seq_d.evaluation.error_kinds import KINDS, find_errors
from pix2seq_d.evaluation.image_scores import ImageScore
from pix2seq_d.evaluation.overlap import compare
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs, score
from pix2seq_d.panoptic import PanopticMap, Segment

SPACE = Categories.of(CATEGORIES)


def diagnosed(truth, found):
    overlap = compare(truth, found, SPACE)
    return diagnose(overlap, overlap.match())


def errors(truth, found):
    """(kind, category) -> (fn, fp), where there are any."""
    made = diagnosed(truth, found)
    return {
        (KINDS[row], SPACE.ids[column]): (
            int(made.fn[row, column]),
            int(made.fp[row, column]),
        )
        for row, column in np.argwhere(made.fn + made.fp).tolist()
    }


def repaired_pq(truth, found, kind, category):
    row = diagnosed(truth, found).result(SPACE)[kind]["per_class"][category]
    return row["pq"]


def test_a_perfect_prediction_has_no_errors_and_loses_nothing():
    truth = strip((6, 1, SKY), (3, 2, DOOR), (2, 0, None))
    assert errors(truth, truth) == {}
    for row in diagnosed(truth, truth).result(SPACE).values():
        assert row["All"] == {"pq": 1.0, "lost": 0.0}
        assert row["fn"] == row["fp"] == 0


def test_wrong_class_gets_its_iou_in_the_right_class():
    truth = strip((5, 1, DOOR), (5, 2, SKY))
    found = strip((4, 1, TREE), (6, 2, SKY))
    assert errors(truth, found) == {
        ("wrong_class", DOOR): (1, 0),
        ("wrong_class", TREE): (0, 1),
    }
    row = diagnosed(truth, found).result(SPACE)["wrong_class"]
    assert row["per_class"][DOOR] == {"pq": 0.8, "lost": 0.8, "fn": 1, "fp": 0}
    # The tree leaves the mean, as it would in the repaired map.
    assert row["All"]["pq"] == pytest.approx((0.8 + 5 / 6) / 2)
    assert row["All"]["lost"] == pytest.approx((0.8 + 5 / 6) / 2 - 5 / 6 / 3)
    assert row["Things"]["pq"] == 0.8
    assert row["Stuff"] == {"pq": pytest.approx(5 / 6), "lost": 0.0}


def test_split_where_no_part_matches():
    truth = strip((9, 1, DOOR), (3, 2, SKY))
    found = strip((4, 1, DOOR), (4, 2, DOOR), (4, 3, SKY))
    assert errors(truth, found) == {("split", DOOR): (1, 2)}
    assert repaired_pq(truth, found, "split", DOOR) == 8 / 9
    for kind in ("merged", "missed", "spurious", "low_overlap", "wrong_class"):
        assert repaired_pq(truth, found, kind, DOOR) == 0.0


def test_split_where_one_part_matches():
    truth = strip((9, 1, DOOR), (3, 2, SKY))
    found = strip((6, 1, DOOR), (2, 2, DOOR), (4, 3, SKY))
    assert errors(truth, found) == {("split", DOOR): (0, 1)}
    assert repaired_pq(truth, found, "split", DOOR) == 8 / 9


def test_parts_that_do_not_match_together_are_no_split():
    truth = strip((9, 1, DOOR), (9, 2, SKY))
    found = strip((5, 3, SKY), (2, 1, DOOR), (2, 2, DOOR), (9, 3, SKY))
    assert errors(truth, found) == {("low_overlap", DOOR): (1, 2)}
    assert repaired_pq(truth, found, "split", DOOR) == 0.0


def test_merged_where_no_content_matches():
    truth = strip((4, 1, DOOR), (4, 2, DOOR), (4, 3, SKY))
    found = strip((9, 1, DOOR), (3, 2, SKY))
    assert errors(truth, found) == {("merged", DOOR): (2, 1)}
    # The ninth pixel belongs to no door: it is cut off.
    assert repaired_pq(truth, found, "merged", DOOR) == 1.0
    assert repaired_pq(truth, found, "split", DOOR) == 0.0


def test_merged_where_one_content_matches():
    truth = strip((6, 1, DOOR), (3, 2, DOOR), (3, 3, SKY))
    found = strip((8, 1, DOOR), (4, 2, SKY))
    assert errors(truth, found) == {("merged", DOOR): (1, 0)}
    assert repaired_pq(truth, found, "merged", DOOR) == pytest.approx((1 + 2 / 3) / 2)


def test_a_large_segment_over_small_ones_is_no_merger():
    truth = strip((2, 1, DOOR), (2, 2, DOOR), (8, 3, SKY), (8, 4, TREE))
    found = strip((20, 1, DOOR))
    assert errors(truth, found) == {
        ("missed", SKY): (1, 0),
        ("missed", TREE): (1, 0),
        ("low_overlap", DOOR): (2, 1),
    }


def test_split_and_merged_are_mirror_images():
    one = strip((9, 1, DOOR), (3, 2, SKY))
    two = strip((5, 1, DOOR), (4, 2, DOOR), (3, 3, SKY))
    assert errors(one, two) == {("split", DOOR): (0, 1)}
    assert errors(two, one) == {("merged", DOOR): (1, 0)}


def test_a_segment_both_split_and_merged_is_split():
    # Door 1 and the first found one lie in each other but do not match.
    truth = strip((11, 1, DOOR), (5, 2, DOOR), (4, 4, SKY))
    found = strip((5, 2, DOOR), (11, 1, DOOR), (4, 4, SKY))
    assert errors(truth, found) == {
        ("split", DOOR): (1, 2),
        ("merged", DOOR): (1, 0),
    }
    made = diagnosed(truth, found)
    fused, cut = (made.repaired[REPAIRED.index(k)] for k in ("split", "merged"))
    assert [fused.tp[1], fused.fp[1], fused.fn[1]] == [1, 0, 1]
    assert [cut.tp[1], cut.fp[1], cut.fn[1]] == [2, 1, 0]


def test_low_overlap_missed_and_spurious_keep_the_quality_of_the_matches():
    truth = strip((5, 1, DOOR), (10, 2, DOOR), (5, 3, DOOR), (20, 4, SKY))
    found = strip(
        *((4, 1, DOOR), (7, 9, SKY), (4, 2, DOOR), (5, 9, SKY)),
        *((4, 9, SKY), (3, 3, DOOR), (13, 9, SKY)),
    )
    assert errors(truth, found) == {
        ("low_overlap", DOOR): (1, 1),
        ("missed", DOOR): (1, 0),
        ("spurious", DOOR): (0, 1),
    }
    made = diagnosed(truth, found).result(SPACE)
    pq = {kind: row["per_class"][DOOR]["pq"] for kind, row in made.items()}
    # As it is: one match with IoU 0.8, two missed, two spurious.
    assert pq["low_overlap"] == pytest.approx(0.8 * 2 / 3)
    assert pq["missed"] == pytest.approx(0.8 * 2 / 3.5)
    assert pq["spurious"] == pytest.approx(0.8 / 2.5)
    assert pq[INEXACT] == pytest.approx(1 / 3)
    assert made["missed"]["per_class"][DOOR]["lost"] == pytest.approx(
        0.8 * 2 / 3.5 - 0.8 / 3
    )


def test_where_nothing_matches_what_is_found_is_exact():
    truth, found = strip((5, 1, DOOR), (5, 2, SKY)), strip((10, 2, SKY))
    assert repaired_pq(truth, found, "missed", DOOR) == 1.0


def test_the_least_overlap_is_a_tenth():
    truth = strip((10, 1, DOOR), (9, 2, SKY))
    found = strip((1, 1, DOOR), (18, 2, SKY))  # door 1 / 10
    assert errors(truth, found)["low_overlap", DOOR] == (1, 1)
    found = strip((9, 2, SKY), (2, 1, DOOR), (8, 2, SKY))  # door 1 / 11
    assert errors(truth, found)["missed", DOOR] == (1, 0)
    assert errors(truth, found)["spurious", DOOR] == (0, 1)


def test_crowd_and_void_are_no_errors():
    truth = strip((8, 1, DOOR), (4, 2, DOOR), (4, 0, None), crowd=[1])
    found = strip((4, 1, DOOR), (4, 2, DOOR), (4, 3, DOOR), (4, 4, TREE))
    assert errors(truth, found) == {}
    # A part that is excused does not count as error, but takes part in the repair.
    truth = strip((9, 1, DOOR), (9, 0, None))
    found = strip((4, 1, DOOR), (4, 2, DOOR), (1, 0, None), (9, 0, None))
    found.ids[0, 9:14] = 2
    assert errors(truth, found) == {("split", DOOR): (1, 1)}
    assert repaired_pq(truth, found, "split", DOOR) == 8 / 9
    # A crowd is neither split nor a content.
    truth = strip((9, 1, DOOR), (3, 2, SKY), crowd=[1])
    found = strip((4, 1, DOOR), (5, 2, DOOR), (3, 3, SKY))
    assert errors(truth, found) == {}
    truth = strip((4, 1, DOOR), (4, 2, DOOR), (2, 3, SKY), crowd=[1])
    assert errors(truth, strip((8, 1, DOOR), (2, 3, SKY))) == {
        ("low_overlap", DOOR): (1, 1)
    }


# The definitions again, on sets of pixels.


def pixel_sets(panoptic):
    flat = panoptic.ids.ravel()
    return [set(np.flatnonzero(flat == s.id).tolist()) for s in panoptic.segments]


def iou(g, p, void):
    return Fraction(len(g & p), len(g | (p - void))) if g | (p - void) else 0


def groups(wholes, pieces, same, match):
    """whole -> its pieces, where two or more lie in it and together match it."""
    made = {}
    for w, whole in enumerate(wholes):
        inside = [
            k
            for k, piece in enumerate(pieces)
            if same(w, k) and 2 * len(piece & whole) > len(piece)
        ]
        union = set().union(*(pieces[k] for k in inside))
        if len(inside) > 1 and match(whole, union):
            made[w] = inside
    return made


def reference(truth, found):
    """Kinds of the unmatched segments, and the three repaired predictions."""
    void = set(np.flatnonzero(truth.ids.ravel() == 0).tolist())
    truths, founds = pixel_sets(truth), [p - void for p in pixel_sets(found)]
    real = [not s.is_crowd for s in truth.segments]
    g_class = [s.category_id for s in truth.segments]
    p_class = [s.category_id for s in found.segments]

    def is_match(g, p):
        return iou(g, p, set()) > Fraction(1, 2)

    matched, wrong = {}, {}
    for i, g in enumerate(truths):
        for j, p in enumerate(founds):
            if real[i] and is_match(g, p):
                (matched if g_class[i] == p_class[j] else wrong)[i] = j

    def same(i, j):
        return real[i] and g_class[i] == p_class[j]

    split = groups(truths, founds, same, is_match)
    merged = groups(founds, truths, lambda j, i: same(i, j), is_match)
    truth_kind, found_kind = {}, {}
    for kind, group in (
        ("wrong_class", {i: [j] for i, j in wrong.items()}),
        ("split", split),
        ("merged", {i: [j] for j, rows in merged.items() for i in rows}),
    ):
        for i, columns in group.items():
            truth_kind.setdefault(i, kind)
            for j in columns:
                found_kind.setdefault(j, kind)
    rows = [
        i
        for i in range(len(truths))
        if real[i] and i not in matched and i not in truth_kind
    ]
    columns = [
        j
        for j in range(len(founds))
        if j not in matched.values() and j not in found_kind
    ]
    for i in rows:
        for j in columns:
            if same(i, j) and iou(truths[i], founds[j], set()) >= Fraction(1, 10):
                truth_kind[i] = found_kind[j] = "low_overlap"

    relabelled = [
        Segment(s.id, g_class[next(i for i, k in wrong.items() if k == j)])
        if j in wrong.values()
        else s
        for j, s in enumerate(found.segments)
    ]
    fused_ids, gone = found.ids.copy(), set()
    for columns in split.values():
        first, *others = (found.segments[j].id for j in columns)
        fused_ids[np.isin(fused_ids, others)] = first
        gone |= set(others)
    fused = [s for s in found.segments if s.id not in gone]
    cut_ids, cut, new = found.ids.copy(), list(found.segments), 2**23
    for j, inside in merged.items():
        mine = found.ids == found.segments[j].id
        cut.remove(found.segments[j])
        cut_ids[mine] = 0
        for i in inside:
            new += 1
            cut_ids[mine & (truth.ids == truth.segments[i].id)] = new
            cut.append(Segment(new, p_class[j]))
    return (
        [truth_kind.get(i, "missed") for i in range(len(truths))],
        [found_kind.get(j, "spurious") for j in range(len(founds))],
        (
            PanopticMap(found.ids, tuple(relabelled)),
            PanopticMap(fused_ids, tuple(fused)),
            PanopticMap(cut_ids, tuple(cut)),
        ),
    )


@pytest.fixture(scope="module")
def random_pairs():
    return [random_pair(seed, void=seed % 4 > 0) for seed in range(60)]


def test_kinds_and_repairs_on_random_maps(random_pairs):
    seen = np.zeros((2, len(KINDS)), int)
    for truth, found in random_pairs:
        truth_kind, found_kind, repaired = reference(truth, found)
        overlap = compare(truth, found, SPACE)
        matching = overlap.match()
        made = find_errors(overlap, matching)
        for k in np.flatnonzero(matching.missed):
            assert KINDS[made.truth_kind[k]] == truth_kind[k]
        for k in np.flatnonzero(matching.spurious):
            assert KINDS[made.found_kind[k]] == found_kind[k]
        diagnosis = diagnose(overlap, matching)
        for counts, prediction in zip(diagnosis.repaired, repaired, strict=True):
            again = compare(truth, prediction, SPACE)
            assert counts.to_json() == again.count(again.match()).to_json()
        assert (diagnosis.fn.sum(axis=0) == diagnosis.counts.fn).all()
        assert (diagnosis.fp.sum(axis=0) == diagnosis.counts.fp).all()
        seen += [diagnosis.fn.sum(axis=1), diagnosis.fp.sum(axis=1)]
    assert (seen[0][:5] > 5).all() and (seen[1][[0, 1, 2, 3, 5]] > 5).all(), seen


def test_no_repair_lowers_the_pq_of_any_category_or_group(random_pairs):
    every = [diagnosed(*pair) for pair in random_pairs]
    for made in [*every, sum(every, Diagnosis.zeros(len(SPACE)))]:
        for kind, row in made.result(SPACE).items():
            for group in ("All", "Things", "Stuff"):
                assert row[group]["lost"] >= -1e-12, (kind, group)
            for values in row["per_class"].values():
                assert values["lost"] >= -1e-12, kind
                assert values["pq"] <= 1 + 1e-12


def test_spurious_repaired_is_the_map_without_them(random_pairs):
    for truth, found in random_pairs[:20]:
        overlap = compare(truth, found, SPACE)
        matching = overlap.match()
        kinds = find_errors(overlap, matching).found_kind
        gone = [
            s.id
            for s, kind, wrong in zip(
                found.segments, kinds, matching.spurious, strict=True
            )
            if wrong and KINDS[kind] == "spurious"
        ]
        rest = PanopticMap(
            np.where(np.isin(found.ids, gone), 0, found.ids),
            tuple(s for s in found.segments if s.id not in gone),
        )
        again = diagnosed(truth, rest).counts
        row = diagnose(overlap, matching).result(SPACE)["spurious"]
        for k, category in enumerate(SPACE.ids):
            assert row["per_class"][category]["pq"] == pytest.approx(again.pq[k])


def test_sums_are_the_same_in_any_order_and_through_json(random_pairs):
    every = [diagnosed(*pair) for pair in random_pairs]
    forward = sum(every, Diagnosis.zeros(len(SPACE)))
    shards = [sum(every[k::3][::-1], Diagnosis.zeros(len(SPACE))) for k in range(3)]
    zeros = Diagnosis.zeros(len(SPACE))
    text = [
        json.dumps(ImageScore(zeros.counts, (shard, zeros)).to_json())
        for shard in shards
    ]
    scores = [ImageScore.from_json(json.loads(t)) for t in text]
    assert all(not score.found[1].table().any() for score in scores)
    backward = sum((score.found[0] for score in scores), zeros)
    assert (forward.table() == backward.table()).all()
    assert forward.result(SPACE) == backward.result(SPACE)
    assert json.loads(json.dumps(forward.result(SPACE)))["split"]["fp"] > 5


def test_on_the_reference_data_all_errors_are_told_apart(shared):
    folder = shared / "reference/metrics/pq/facade"
    pairs = CocoPairs.open(folder / "panoptic_gt.json", folder / "panoptic_pred.json")
    total = Diagnosis.zeros(len(pairs.categories))
    for row in range(len(pairs)):
        total += score(pairs, row).diagnosis
    assert (total.fn.sum(axis=0) == total.counts.fn).all()
    assert (total.fp.sum(axis=0) == total.counts.fp).all()
    # The predictions were made by splitting, merging, relabelling and so on.
    assert ((total.fn + total.fp).sum(axis=1) > 0).all()
