"""Evaluation of video predictors: which frames they get, and what is scored of them."""

import dataclasses
import itertools
import json
import threading

import numpy as np
import pytest

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.data.source import DecodedExample, Video
from pix2seq_d.evaluation import davis, stq, video_runner, vpq
from pix2seq_d.evaluation.id_switches import IdSwitches
from pix2seq_d.evaluation.image_scores import IncompleteEvaluation
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.evaluation.video_labels import truth_channels
from pix2seq_d.evaluation.video_runner import VideoEvaluation
from pix2seq_d.instance_ids import DAVIS, KITTI_STEP, IdRule
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

SPACE = LabelSpace(
    (
        Category(id=8, name="sky", is_thing=False, color=(0, 0, 1)),
        Category(id=3, name="person", is_thing=True, color=(0, 0, 2)),
        Category(id=4, name="car", is_thing=True, color=(0, 0, 3)),
    )
)
ARGUMENTS = {
    "num_classes": 3,
    "things": (1, 2),
    "ignore_label": 255,
    "label_divisor": 1000,
}
SETTINGS = Settings(
    image_size=(32, 32),
    mask_size=(16, 16),
    max_instances=16,
    batch_size=1,
    min_area=10**6,  # of no use here: nothing may be dropped
    merge_stuff=True,
    rule=KITTI_STEP,
)
WITHOUT_CLASSES = dataclasses.replace(SETTINGS, rule=DAVIS)


class Boxes:
    """Videos of two persons, a car and a crowd; the first person leaves for a while.

    Person 2 and the car have the same number; frames are not as square as the
    network's images, and not a multiple of the masks in size.
    """

    label_space = SPACE

    def __init__(self, *lengths, away=(2, 5)):
        self.away = away
        stops = np.cumsum(lengths).tolist()
        self.videos = tuple(
            Video(f"v{k}", stop - length, stop)
            for k, (length, stop) in enumerate(zip(lengths, stops, strict=True))
        )
        self.reads = []

    def __len__(self):
        return self.videos[-1].stop

    def __getitem__(self, index):
        self.reads.append(index)
        video = next(v for v in self.videos if index < v.stop)
        t = index - video.start
        ids = np.full((13, 22), 5, np.int32)
        ids[:, 20:] = 0
        ids[10:, :8] = 30
        if not self.away[0] <= t < self.away[1]:
            ids[1:6, t : t + 5] = 11
        ids[4:11, 10 - t % 3 : 16] = 12
        ids[1:4, 12:19] = 22
        segments = (
            Segment(5, 8, instance=0),
            Segment(11, 3, instance=1),
            Segment(12, 3, instance=2),
            Segment(22, 4, instance=2),
            Segment(30, 4, is_crowd=True, instance=0),
        )
        present = tuple(s for s in segments if (ids == s.id).any())
        image = np.random.default_rng(index).integers(0, 256, (13, 22, 3), np.uint8)
        name = f"{video.name}/{t:05d}.png"
        return DecodedExample(index, name, image, PanopticMap(ids, present))


class Perfect:
    """Predicts the truth at mask size, or what `change(channels, k, t)` makes of it.

    Padding gets labels and numbers of steps that no score could bear.
    """

    def __init__(self, source, settings=SETTINGS, change=None):
        self.source, self.settings, self.change = source, settings, change
        self.starts, self.images = [], []

    def start(self, index):
        assert index.dtype == np.int32
        self.starts.append(index.tolist())
        return index, 0

    def __call__(self, state, images):
        index, first = state
        self.images.append(images)
        shape = images.shape[:2]
        labels = np.full((*shape, *self.settings.mask_size, 2), -1)
        steps = np.full(shape, 10**9)
        for b, t in np.ndindex(shape):
            if index[b] < 0:
                continue
            video = self.source.videos[index[b]]
            frame = video.start + first + t
            if frame < video.stop:
                labels[b, t] = self.labels(frame, index[b], first + t)
                steps[b, t] = 8 if first + t else 32
        return (index, first + shape[1]), labels, steps

    def labels(self, frame, k, t):
        channels = truth_channels(
            self.source[frame].panoptic, self.source.label_space, rule=KITTI_STEP
        )
        if self.change:
            channels = self.change(channels, k, t)
        if not self.settings.rule.classes:
            channels[..., 0] = 0
        return eval_data.fit_labels(
            channels, self.settings.image_size, self.settings.mask_size
        )


def evaluate(source, predictor=None, *, settings=SETTINGS, **options):
    """The report, and the frames in the order of the source."""
    predictor = predictor or Perfect(source, settings)
    options = {"clips_at_once": 2, "frames_at_once": 3} | options
    evaluation = VideoEvaluation(predictor, source, settings, **options)
    frames = sorted(evaluation, key=lambda f: (f.video, f.frame))
    return evaluation.report(), frames


def truth_labels(panoptic):
    """[H, W] labels, class * 1000 + instance, of `Boxes`."""
    label_of = {0: 255_000, 5: 0, 11: 1001, 12: 1002, 22: 2002, 30: 2000}
    return np.vectorize(label_of.get)(panoptic.ids)


def found_labels(frame):
    """[H, W] labels of a prediction."""
    kind = frame.semantic - 1
    instance = np.where(kind > 0, frame.instance, 0)
    return np.where(kind < 0, 255_000, kind * 1000 + instance)


def through_mask_size(labels):
    """Labels that are gone to mask size and came back."""
    unpadded = eval_data.fit_size(labels.shape, SETTINGS.image_size)
    small = eval_data.fit_labels(
        labels[..., None] + 1, SETTINGS.image_size, SETTINGS.mask_size
    )
    back = eval_data.restore(
        small, image_size=(32, 32), unpadded=unpadded, original=labels.shape
    )[..., 0]
    return np.where(back == 0, 255_000, back - 1)


def sequences(frames, make):
    """(name, truth, prediction) of every video."""
    names = sorted({frame.video for frame in frames})
    for name in names:
        own = [frame for frame in frames if frame.video == name]
        truth = [truth_labels(frame.example.panoptic) for frame in own]
        yield name, np.stack(truth), np.stack([make(frame) for frame in own])


def spoil(channels, k, t):
    """A prediction that is partly right: void, wrong classes, ids that change."""
    rng = np.random.default_rng((int(k), t))
    channels = channels.copy()
    channels[rng.random(channels.shape[:2]) < 0.2] = 0
    wrong = rng.random(channels.shape[:2]) < 0.1
    channels[wrong] = (2, 7)
    if t >= 2:
        channels[..., 1] = np.array([0, 2, 1, *range(3, 16)])[channels[..., 1]]
    return channels


@pytest.mark.parametrize("void_class", ["counted", "left_out"])
@pytest.mark.parametrize("repair", [True, False])
def test_scores_are_those_of_the_whole_videos_in_memory(repair, void_class):
    source = Boxes(3, 6, 4, 9)
    report, frames = evaluate(
        source, Perfect(source, change=spoil), repair=repair, void_class=void_class
    )
    assert [(f.video, f.frame) for f in frames] == [
        (v.name, t) for v in source.videos for t in range(v.stop - v.start)
    ]

    def oracle(frame):
        return through_mask_size(truth_labels(frame.example.panoptic))

    for kind in ("counted", "left_out"):
        found, best = (
            stq.evaluate(sequences(frames, make), **ARGUMENTS, void_class=kind)
            for make in (found_labels, oracle)
        )
        assert report.stq[kind] == found
        assert report.oracle_stq[kind] == best
        assert 0.1 < found["STQ"] < best["STQ"] < 1
    assert report.vpq == vpq.evaluate(sequences(frames, found_labels), **ARGUMENTS)
    assert report.oracle_vpq == vpq.evaluate(sequences(frames, oracle), **ARGUMENTS)
    switches = IdSwitches(LabelCoding(**ARGUMENTS))
    for sequence in sequences(frames, found_labels):
        switches.update(*sequence)
    assert report.id_switches == switches.result()
    assert report.id_switches["switches"] > 0
    assert (report.void_class, report.repaired) == (void_class, repair)
    assert (report.num_videos, report.num_frames) == (4, 22)
    assert report.mean_steps == (4 * 32 + 18 * 8) / 22
    assert report.classes == ("sky", "person", "car")
    assert report.j_and_f is None


def test_frames_are_given_at_original_size_as_they_were_predicted():
    source = Boxes(3)
    _, frames = evaluate(source)
    for frame in frames:
        truth = truth_labels(frame.example.panoptic)
        np.testing.assert_array_equal(found_labels(frame), through_mask_size(truth))
        np.testing.assert_array_equal(frame.drawn, frame.instance)
        assert frame.semantic.dtype == frame.instance.dtype == np.int32
        assert frame.example.file_name == f"{frame.video}/{frame.frame:05d}.png"
    assert [frame.steps for frame in frames] == [32, 8, 8]


@pytest.fixture(scope="module")
def shapes():
    return ShapesVideo("val", size=(24, 32), num_videos=3, num_frames=9)


SHAPES = dataclasses.replace(SETTINGS, max_instances=64)


@pytest.fixture(scope="module")
def perfect(shapes):
    return evaluate(shapes, Perfect(shapes, SHAPES), settings=SHAPES, repair=False)[0]


def test_a_perfect_predictor_gets_what_the_oracle_gets(perfect):
    assert perfect.stq == perfect.oracle_stq
    assert perfect.vpq == perfect.oracle_vpq
    assert perfect.stq["counted"]["gt_tubes"] > 5
    assert 0.5 < perfect.stq["counted"]["STQ"] < 1
    assert perfect.id_switches["switches"] == 0 < perfect.id_switches["matches"]


def test_names_of_ids_do_not_matter(shapes, perfect):
    def permute(channels, k, t):
        table = np.random.default_rng(int(k)).permutation(np.arange(1, 64))
        instance = np.concatenate([[0], table])[channels[..., 1]]
        return np.stack([channels[..., 0], instance], -1)

    predictor = Perfect(shapes, SHAPES, change=permute)
    found, frames = evaluate(shapes, predictor, settings=SHAPES, repair=False)
    assert found == perfect
    assert max(frame.instance.max() for frame in frames) > 30


def test_as_shown_what_is_too_small_joins_its_object_or_is_void():
    def speckle(channels, k, t):
        channels = channels.copy()
        person = channels[..., 1] == 2
        channels[5:7, 11:13][person[5:7, 11:13], 0] = 3  # of the person, as a car
        channels[11:, 15:17] = (2, 9)  # a person in the sky
        return channels

    source = Boxes(3)

    def vpq_of(change=None, *, as_shown):
        settings = dataclasses.replace(SETTINGS, min_area=12, video_as_shown=as_shown)
        predictor = Perfect(source, settings, change)
        report, _ = evaluate(source, predictor, settings=settings)
        return report.vpq["vpq_k"][1]["All"]["pq"]

    decoded, shown = (vpq_of(speckle, as_shown=x) for x in (False, True))
    # The person in the sky leaves a hole.
    assert decoded < shown < vpq_of(as_shown=True)


@pytest.mark.parametrize("rule", [KITTI_STEP, IdRule(stuff=False), IdRule()], ids=str)
def test_as_shown_numbers_of_the_truth_may_be_any(rule):
    class Far(Boxes):
        def __getitem__(self, index):
            example = super().__getitem__(index)
            segments = tuple(
                dataclasses.replace(s, instance=s.instance and s.instance + 5000)
                for s in example.panoptic.segments
            )
            ids = example.panoptic.ids
            return dataclasses.replace(example, panoptic=PanopticMap(ids, segments))

    settings = dataclasses.replace(
        SETTINGS, rule=rule, min_area=2, split_ids=True, video_as_shown=True
    )
    near, far = (
        evaluate(source, Perfect(Boxes(4), settings), settings=settings)[0]
        for source in (Boxes(4), Far(4))
    )
    assert near.oracle_vpq == far.oracle_vpq and near.vpq == far.vpq
    assert near.oracle_vpq["vpq_k"][1]["All"]["pq"] > 0.5


@pytest.mark.parametrize("rule", [KITTI_STEP, IdRule(stuff=False), IdRule()], ids=str)
def test_as_shown_of_any_size_the_truth_stays_as_it_is(shapes, rule):
    def oracle(**changed):
        settings = dataclasses.replace(SHAPES, rule=rule, **changed)
        report = evaluate(shapes, Perfect(shapes, settings), settings=settings)[0]
        return report.oracle_stq, report.oracle_vpq

    shown = {"min_area": 0, "video_as_shown": True}
    assert oracle(**shown, split_ids=True) == oracle()
    assert oracle(**shown, split_ids=False) == oracle()


def test_as_shown_ids_are_repaired_by_what_the_model_drew():
    def shrink(channels, k, t):
        channels = channels.copy()
        person = channels[..., 1] == 2
        if 2 <= t < 6:  # for longer than the model remembers
            ys, xs = np.nonzero(person)
            channels[ys[4:], xs[4:]] = 0
        return channels

    source = Boxes(9, away=(0, 9))
    settings = dataclasses.replace(SETTINGS, min_area=9, video_as_shown=True)
    predictor = Perfect(source, settings, shrink)
    _, frames = evaluate(source, predictor, settings=settings, memory=2)
    people = [set(f.instance[f.semantic == 2].tolist()) - {0} for f in frames]
    assert people[0] == people[8] == {2} and people[3] == set()


def test_ids_that_two_things_swap_cost_association_and_are_switches():
    source = Boxes(8, 8, away=(0, 0))

    def swap(channels, k, t):
        instance = channels[..., 1]
        is_person = channels[..., 0] == 2
        if k == 1 and t >= 4:
            instance = np.where(is_person & (instance > 0), 3 - instance, instance)
        return np.stack([channels[..., 0], instance], -1)

    before, _ = evaluate(source)
    after, _ = evaluate(source, Perfect(source, change=swap))
    assert after.id_switches["per_sequence"]["v0"]["switches"] == 0
    assert after.id_switches["per_sequence"]["v1"]["switches"] == 2
    assert after.id_switches["matches"] == before.id_switches["matches"] > 40
    before_stq, after_stq = before.stq["counted"], after.stq["counted"]
    assert after_stq["AQ"] < before_stq["AQ"] - 0.1
    assert after_stq["SQ"] == before_stq["SQ"]
    one, four = (after.vpq["vpq_k"][k]["All"]["pq"] for k in (1, 4))
    assert one == before.vpq["vpq_k"][1]["All"]["pq"] > four


def test_an_id_that_comes_back_after_a_gap_is_renumbered_if_asked():
    source = Boxes(9)
    with_repair, frames = evaluate(source)
    without, kept = evaluate(source, repair=False)
    assert without.stq == without.oracle_stq == with_repair.oracle_stq
    assert with_repair.stq["counted"]["AQ"] < without.stq["counted"]["AQ"]
    assert with_repair.id_switches["switches"] == 1
    for frame, other in zip(frames, kept, strict=True):
        np.testing.assert_array_equal(frame.drawn, other.instance)
        is_first = frame.drawn == 1
        assert is_first.any() == (not 2 <= frame.frame < 5)
        # 1 and 2 are taken: 3 is the smallest that is free.
        assert (frame.instance[is_first] == (1 if frame.frame < 2 else 3)).all()


@pytest.mark.parametrize("clips", [1, 2, 3, 5])
@pytest.mark.parametrize("chunk", [1, 2, 4, 20])
def test_all_calls_have_one_shape_and_their_number_does_not_matter(clips, chunk):
    source = Boxes(3, 6, 4, 9)
    expected, _ = evaluate(source, clips_at_once=4, frames_at_once=9)
    predictor = Perfect(source)
    report, _ = evaluate(source, predictor, clips_at_once=clips, frames_at_once=chunk)
    assert report == expected
    assert {x.shape for x in predictor.images} == {(clips, chunk, 32, 32, 3)}
    assert {x.dtype for x in predictor.images} == {np.dtype(np.float32)}
    # Videos of like length together, the longest first.
    order = [3, 1, 2, 0, *[-1] * 4][: -(-4 // clips) * clips]
    assert list(itertools.chain(*predictor.starts)) == order
    lengths = (9, 6, 4, 3)
    longest = lengths[::clips]
    assert len(predictor.images) == sum(-(-n // chunk) for n in longest)


def test_the_predictor_gets_every_frame_once_in_order_and_padding():
    source = Boxes(2, 5)
    predictor = Perfect(source)
    evaluate(source, predictor, clips_at_once=3, frames_at_once=2)
    images = np.concatenate(predictor.images, axis=1)
    assert images.shape[:2] == (3, 6)
    padding = np.full((32, 32, 3), eval_data.PAD_VALUE, np.float32)
    for b, (video, length) in enumerate([(1, 5), (0, 2), (0, 0)]):
        for t in range(6):
            expected = padding
            if t < length:
                example = source[source.videos[video].start + t]
                expected, _ = eval_data.fit_image(example.image, (32, 32))
            np.testing.assert_array_equal(images[b, t], expected)


def test_only_the_first_frames_are_taken_if_asked():
    source = Boxes(3, 6, 9)
    predictor = Perfect(source)
    report, frames = evaluate(source, predictor, max_frames=4, frames_at_once=2)
    assert len(frames) == report.num_frames == 3 + 4 + 4
    expected, _ = evaluate(Boxes(3, 4, 4))
    assert report.max_frames == 4
    assert dataclasses.replace(report, max_frames=None) == expected
    # 9 frames would take 5 calls, 4 take 2.
    assert len(predictor.images) == 2 + 2
    later = [v.start + t for v in source.videos for t in range(4, v.stop - v.start)]
    evaluation = VideoEvaluation(
        Perfect(Boxes(3, 6, 9)),
        source,
        SETTINGS,
        clips_at_once=2,
        frames_at_once=3,
        max_frames=4,
    )
    source.reads.clear()
    assert len(list(evaluation)) == 11
    assert not set(source.reads) & set(later)


def test_videos_of_two_evaluations_sum_up_to_the_report_of_one():
    source, scores = Boxes(3, 6, 9), []
    for positions in ([2, 0], [1]):
        report, frames = evaluate(source, positions=positions)
        assert {frame.video for frame in frames} == {f"v{k}" for k in positions}
        assert report.num_videos == len(positions)
        scores += [json.dumps(f.score) for f in frames if f.score is not None]
    expected, frames = evaluate(source)
    assert [f.frame for f in frames if f.score is not None] == [2, 5, 8]
    total = start(source).total(map(json.loads, scores))
    assert total == expected


def run_together(monkeypatch, make, *, count):
    """The reports of `count` evaluations, each in a thread that stands for a process.

    What they gather travels as JSON, as between processes.
    """
    values, barrier = [None] * count, threading.Barrier(count, timeout=60)
    place, reports = threading.local(), [None] * count

    def gather(value):
        values[place.index] = json.dumps(value)
        barrier.wait()
        return [json.loads(text) for text in values]

    def work(index):
        place.index = index
        try:
            reports[index] = make(index)
        except BaseException:
            barrier.abort()
            raise

    monkeypatch.setattr(video_runner, "gather", gather)
    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports


@pytest.mark.parametrize(
    "settings", [SETTINGS, WITHOUT_CLASSES], ids=["classes", "no_classes"]
)
def test_processes_share_the_videos_and_report_what_one_does(monkeypatch, settings):
    source = Boxes(3, 6, 4, 9, 5)
    expected, _ = evaluate(
        source, Perfect(source, settings, spoil), settings=settings, clips_at_once=4
    )
    predictors = [Perfect(source, settings, spoil) for _ in range(2)]
    seen = [[], []]

    def make(index):
        evaluation = VideoEvaluation(
            predictors[index],
            source,
            settings,
            clips_at_once=4,
            frames_at_once=3,
            process_index=index,
            process_count=2,
        )
        seen[index] = [(frame.video, frame.frame) for frame in evaluation]
        assert {f"v{k}" for k in evaluation.mine} == {name for name, _ in seen[index]}
        return evaluation.report()

    reports = run_together(monkeypatch, make, count=2)
    assert reports == [expected, expected]
    assert sorted(seen[0] + seen[1]) == [
        (v.name, t) for v in source.videos for t in range(v.stop - v.start)
    ]
    # Calls are collective: 9 frames, then 3, in chunks of 3, though one has none.
    assert [p.starts for p in predictors] == [[[3, 1], [0, -1]], [[4, 2], [-1, -1]]]
    shapes = [[x.shape for x in p.images] for p in predictors]
    assert shapes[0] == shapes[1] == [(2, 3, 32, 32, 3)] * (3 + 1)


def test_without_classes_objects_are_scored_with_their_ids_as_drawn():
    source = Boxes(4, 9)
    report, frames = evaluate(
        source, Perfect(source, WITHOUT_CLASSES, spoil), settings=WITHOUT_CLASSES
    )
    expected, tracks = davis.JAndF(), []
    for video in source.videos:
        own = [frame for frame in frames if frame.video == video.name]
        # Numbers of the data, which the second person and the car have in common.
        object_of = np.zeros(31, int)
        object_of[[11, 12, 22, 30]] = 1, 2, 2, 255
        truth = np.stack([object_of[f.example.panoptic.ids] for f in own])
        expected.update(video.name, truth, np.stack([frame.drawn for frame in own]))
        found = np.stack([frame.instance for frame in own])
        # All but the things is void, the crowd too.
        void = ((truth == 0) | (truth == 255), found == 0)
        labels = (
            np.where(v, 255_000, x) for v, x in zip(void, (truth, found), strict=True)
        )
        tracks.append((video.name, *labels))
    assert report.j_and_f == expected.result()
    assert 0.2 < report.j_and_f["J&F-Mean"] < 1
    assert any((frame.drawn != frame.instance).any() for frame in frames)
    assert report.without_objects == ()
    # All things are of one class; the rest is void.
    assert report.classes == ("object",)
    assert list(report.vpq["vpq_k"][1]["per_class"]) == [0]
    one = ARGUMENTS | {"num_classes": 1, "things": (0,)}
    assert report.stq["counted"] == stq.evaluate(tracks, **one)
    assert report.vpq == vpq.evaluate(tracks, **one)
    assert report.stq["counted"]["gt_tubes"] == 4


def test_a_video_without_an_object_at_first_is_named_and_has_no_j_and_f():
    class Late(Boxes):
        def __getitem__(self, index):
            example = super().__getitem__(index)
            if index not in (0, 1, 2):
                return example
            sky = np.full((13, 22), 5, np.int32)
            empty = PanopticMap(sky, (Segment(5, 8, instance=0),))
            return dataclasses.replace(example, panoptic=empty)

    report, _ = evaluate(
        Late(3, 4), Perfect(Late(3, 4), WITHOUT_CLASSES), settings=WITHOUT_CLASSES
    )
    assert report.without_objects == ("v0",)
    assert list(report.j_and_f["per_sequence"]) == ["v1"]


def test_an_evaluation_that_misses_videos_or_frames_has_no_report():
    source = Boxes(3, 6, 4)
    evaluation = VideoEvaluation(
        Perfect(source), source, SETTINGS, clips_at_once=1, frames_at_once=2
    )
    with pytest.raises(
        IncompleteEvaluation, match="0 of 3 videos were evaluated, in 0"
    ):
        evaluation.report()
    frames = iter(evaluation)
    for _ in range(7):  # all of the longest, one of the next
        next(frames)
    frames.close()
    with pytest.raises(
        IncompleteEvaluation, match="1 of 3 videos were evaluated, in 1"
    ):
        evaluation.report()
    # The first is scored once more now.
    assert len(list(evaluation)) == 13
    message = "3 of 3 videos were evaluated, in 4 turns; evaluate each once"
    with pytest.raises(IncompleteEvaluation, match=message):
        evaluation.report()


def start(source=None, settings=SETTINGS, **options):
    source = source or Boxes(3)
    options = {"clips_at_once": 1, "frames_at_once": 1} | options
    return VideoEvaluation(Perfect(source), source, settings, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"frames_at_once": 0},
            "frames_at_once 0, max_frames None: must be at least 1",
        ),
        ({"max_frames": 0}, "frames_at_once 1, max_frames 0: must be at least 1"),
        ({"process_count": 2}, r"batch_size 1 does not divide over 2 process\(es\)"),
        ({"void_class": "none"}, "void_class is 'none'; choose one of"),
        ({"source": Boxes(2, 0, 3)}, "video v1: has no frames; leave it out"),
        (
            {"settings": dataclasses.replace(WITHOUT_CLASSES, max_instances=22)},
            "max_instances is 22, but J&F, .* take at most 21 ids, with 0",
        ),
    ],
)
def test_bad_settings_are_refused_at_the_start(options, message):
    with pytest.raises(ValueError, match=message):
        start(**options)


@pytest.mark.parametrize(
    ("channel", "value", "message"),
    [
        (0, 4, r"video v0, frame 1: the prediction has semantic ids 0 \.\.\. 4, which"),
        (0, -1, r"video v0, frame 1: the prediction has semantic ids -1 \.\.\. 3, wh"),
        (1, 16, r"frame 1: the id 16 is not in 0 \.\.\. 15"),
    ],
)
def test_a_prediction_out_of_range_is_refused(channel, value, message):
    source = Boxes(3)

    def change(channels, k, t):
        if t == 1:
            channels[2:6, 2:6, channel] = value
        return channels

    with pytest.raises(ValueError, match=message):
        evaluate(source, Perfect(source, change=change))
