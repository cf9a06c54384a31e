"""Sums over videos: whole videos, kept frame by frame, in any number of shares."""

import json

import numpy as np
import pytest
from davis_video import video
from volumes import CODING, arguments, random_volume, rename

from pix2seq_d.evaluation import davis, stq, vpq
from pix2seq_d.evaluation.frame_pair import split_frames
from pix2seq_d.evaluation.id_switches import IdSwitches
from pix2seq_d.evaluation.video_scores import KeptVideo, VideoScores


def volume(seed):
    """(name, truth, prediction, oracle); ids of the prediction change on the way."""
    gt, pred = random_volume(seed)
    oracle = gt.copy()
    oracle[:, :, :1] = CODING.void_label
    pred = np.concatenate([pred[:2], rename(pred[2:], CODING, 1)])
    return f"v{seed}", gt, pred, oracle


def keep(name, gt, pred, oracle):
    kept = KeptVideo()
    found, best = (split_frames(name, gt, labels) for labels in (pred, oracle))
    for count, (frame, other) in enumerate(zip(found, best, strict=True), start=1):
        kept.add(frame.overlap(CODING), other.overlap(CODING), frame.where)
        assert len(kept) == count
    return kept


def keep_objects(seed, truth, found):
    """Labels of a volume, which have nothing to do with the objects."""
    kept = keep(*volume(seed))
    for maps in zip(truth, found, strict=True):
        kept.keep_objects(*maps)
    return kept


def merged(*shares):
    """The sum of shares that travelled as JSON."""
    total = VideoScores(CODING, "counted")
    for share in shares:
        total.merge_json(json.loads(json.dumps(share.to_json())))
    return total.results()


@pytest.mark.parametrize("void_class", ["counted", "left_out"])
def test_sums_are_those_of_the_whole_videos_in_memory(void_class):
    volumes = [volume(k) for k in range(3)]
    scores = VideoScores(CODING, void_class)
    for name, *labels in volumes:
        scores.add(name, keep(name, *labels))
    results = scores.results()
    found = [(name, gt, pred) for name, gt, pred, _ in volumes]
    best = [(name, gt, oracle) for name, gt, _, oracle in volumes]
    for kind in ("counted", "left_out"):
        options = arguments(CODING) | {"void_class": kind}
        assert results["stq"][kind] == stq.evaluate(found, **options)
        assert results["oracle_stq"][kind] == stq.evaluate(best, **options)
    assert results["vpq"] == vpq.evaluate(found, **arguments(CODING))
    assert results["oracle_vpq"] == vpq.evaluate(best, **arguments(CODING))
    switches = IdSwitches(CODING)
    for sequence in found:
        switches.update(*sequence)
    assert results["id_switches"] == switches.result()
    assert results["id_switches"]["switches"] > 0
    assert results["j_and_f"] is None
    assert results["without_objects"] == ()


def test_objects_are_scored_over_whole_videos():
    expected, scores = davis.JAndF(), VideoScores(CODING, "counted")
    for seed in range(2):
        truth, found = video(seed)
        expected.update(f"v{seed}", truth, found)
        scores.add(f"v{seed}", keep_objects(seed, truth, found))
    assert scores.results()["j_and_f"] == expected.result()
    assert scores.results()["without_objects"] == ()


@pytest.mark.parametrize("first", [0, 255])
def test_a_video_without_an_object_at_first_is_named_and_has_no_j_and_f(first):
    truth, found = video(0)
    late = truth.copy()
    late[0] = first
    scores = VideoScores(CODING, "counted")
    for seed, maps in ((2, late), (1, truth), (0, late)):
        scores.add(f"v{seed}", keep_objects(seed, maps, found))
    results = scores.results()
    assert results["without_objects"] == ("v0", "v2")
    assert list(results["j_and_f"]["per_sequence"]) == ["v1"]


def test_shares_add_up_to_the_whole_in_any_order():
    whole = VideoScores(CODING, "counted")
    shares = [VideoScores(CODING, "counted") for _ in range(3)]
    for seed in range(4):
        truth, found = video(seed)
        if seed == 3:
            truth[0] = 0
        for scores in (whole, shares[seed % 2]):  # the last share has no video
            scores.add(f"v{seed}", keep_objects(seed, truth, found))
    assert merged(*shares) == merged(*reversed(shares)) == whole.results()
    assert whole.results()["without_objects"] == ("v3",)


def test_an_id_that_j_and_f_has_no_room_for_is_refused_with_its_frame():
    truth, found = video(0)
    found[3, 0, 0] = 21
    kept = keep_objects(0, truth, found)
    with pytest.raises(ValueError, match=r"v0, frame 3 of the prediction: .*21"):
        VideoScores(CODING, "counted").add("v0", kept)


def test_a_video_without_frames_is_refused():
    with pytest.raises(ValueError, match="sequence v0: has no frames; leave it out"):
        VideoScores(CODING, "counted").add("v0", KeptVideo())
