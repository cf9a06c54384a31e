"""Evaluation of anything that segments videos as streams: STQ, VPQ, id switches, J&F.

Knows no model: a `VideoPredictor` takes several videos at a time, some frames of each
per call, and keeps what it remembers in a state. Nothing grows with the length of a
video but small tables. A prediction is scored as it is, without vote or smallest area
(spec 6.2), for it is also what the model goes on from; or, if wanted, as it is shown.

Beside the scores stand those of the *oracle*, the truth itself sent through mask size
and back: the most that this mask size allows.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.source import Example, VideoSource
from pix2seq_d.data.workers import ordered_map
from pix2seq_d.evaluation.frame_pair import FramePair
from pix2seq_d.evaluation.image_scores import check_once
from pix2seq_d.evaluation.label_overlap import LabelOverlap
from pix2seq_d.evaluation.readers.davis_frames import MAX_PROPOSALS
from pix2seq_d.evaluation.runner import Settings
from pix2seq_d.evaluation.stq import VoidClass
from pix2seq_d.evaluation.video_labels import (
    code,
    label_coding,
    truth_channels,
    truth_objects,
)
from pix2seq_d.evaluation.video_scores import KeptVideo, VideoReport, VideoScores
from pix2seq_d.inference import id_reuse, postprocess
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import VOID
from pix2seq_d.sharding.gather import gather

_NUM_WORKERS = 4  # threads that read and resize
_NO_PIXELS = LabelOverlap.total([])


class VideoPredictor(Protocol):
    """Segments B videos, frame after frame."""

    def start(self, index: np.ndarray) -> Any:
        """The state before the first frames.

        Args:
          index: [B] int32, position of each video in `source.videos`; -1: padding.
        """
        ...

    def __call__(
        self, state: Any, images: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Segments the next T frames of every video.

        Args:
          state: of the frames before.
          images: [B, T, H, W, 3] float32 in [0, 1]; padding behind the last frame.
        Returns:
          The state after them, labels [B, T, h, w, 2] int (semantic, instance) at
          mask size, and steps [B, T] int that the sampler took.
        """
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredFrame:
    """One frame with its prediction at original size.

    Attributes:
      video: name of its video.
      frame: its number in the video, from 0.
      example: image and truth.
      semantic: [H, W] int32 in [0, num_classes).
      instance: [H, W] int32 in [0, max_instances), as STQ and VPQ have it.
      drawn: [H, W] int32, the same before ids were renumbered, as J&F has it.
      steps: that the sampler took.
      score: with the last frame that of the whole video, of JSON types, which
        `VideoEvaluation.total` takes; None with all before.
    """

    video: str
    frame: int
    example: Example
    semantic: np.ndarray
    instance: np.ndarray
    drawn: np.ndarray
    steps: int
    score: dict[str, Any] | None


def check_ids(settings: Settings) -> None:
    """Raises ValueError if there are more ids than J&F, where it is scored, takes."""
    if not settings.rule.classes and settings.max_instances > MAX_PROPOSALS + 1:
        raise ValueError(
            f"max_instances is {settings.max_instances}, but J&F, which is scored "
            f"without classes, has room for {MAX_PROPOSALS} objects of a video; "
            f"take at most {MAX_PROPOSALS + 1} ids, with 0"
        )


class VideoEvaluation:
    """Runs a predictor over the videos of a source; iterate it, then take `report()`.

    Videos of like length are taken together, the longest first. All processes call
    the predictor equally often, each with its own videos.

    Args:
      predictor: see `VideoPredictor`; B is this process's share of `clips_at_once`.
      source: labelled videos.
      settings: sizes, rule of ids, and what is done before scoring. Without
        classes (`rule.classes`) things are all of one class and the rest, crowds
        too, is void; then J&F is scored, too, with only the crowds as its void.
      clips_at_once: videos in a call, over all processes.
      frames_at_once: T, frames of each video in a call.
      positions: of the videos to take in `source.videos`; None takes all.
      process_index: this process, in [0, process_count).
      process_count: processes that evaluate, each with a share of the videos.
      max_frames: take the first so many frames of each video, as the reference's
        second score does with 100; None takes all.
      repair: renumber ids that come back after a gap (spec 6.3). J&F is scored with
        the ids as drawn all the same, as in the reference.
      memory: number of past frames that the model sees, for `repair`.
      void_class: of the main STQ; both are reported.
    Raises:
      ValueError: an argument is out of range, a video has no frames, or there are
        more ids than J&F scores.

    Attributes:
      num_videos: of all processes.
      mine: positions of this process's videos.
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        source: VideoSource,
        settings: Settings,
        *,
        clips_at_once: int,
        frames_at_once: int,
        positions: Sequence[int] | None = None,
        process_index: int = 0,
        process_count: int = 1,
        max_frames: int | None = None,
        repair: bool = True,
        memory: int = 2,
        void_class: VoidClass = "counted",
    ) -> None:
        if frames_at_once < 1 or (max_frames is not None and max_frames < 1):
            raise ValueError(
                f"frames_at_once {frames_at_once}, max_frames {max_frames}: must be at "
                "least 1"
            )
        check_ids(settings)
        self._predictor, self._source, self._settings = predictor, source, settings
        self._frames_at_once, self._max_frames = frames_at_once, max_frames
        self._repair, self._memory = repair, memory
        self._void_class: VoidClass = void_class
        self._coding = label_coding(source.label_space, settings.rule)
        VideoScores(self._coding, void_class)  # refuses what there is not
        self._done: list[tuple[int, dict[str, Any]]] = []
        videos = source.videos
        self._positions = range(len(videos)) if positions is None else positions
        self._lengths: dict[int, int] = {}
        for k in self._positions:
            length = videos[k].stop - videos[k].start
            if length <= 0:
                raise ValueError(f"video {videos[k].name}: has no frames; leave it out")
            self._lengths[k] = min(length, max_frames or length)
        self.num_videos = len(self._lengths)
        share = eval_data.share(
            self.num_videos,
            batch_size=clips_at_once,
            process_index=process_index,
            process_count=process_count,
        )
        order = sorted(self._lengths, key=lambda k: (-self._lengths[k], k))
        local = clips_at_once // process_count
        # The frames of the longest video of a batch, in any process, and our videos.
        self._batches = [
            (
                self._lengths[order[batch * clips_at_once]],
                [order[p] if p >= 0 else -1 for p in share[batch * local :][:local]],
            )
            for batch in range(len(share) // local)
        ]
        self.mine = [k for _, batch in self._batches for k in batch if k >= 0]

    def __iter__(self) -> Iterator[ScoredFrame]:
        """Yields every frame of this process as it is scored.

        Those of one video come in order, with those of other videos in between.
        """
        size = len(self._batches[0][1]) * self._frames_at_once if self._batches else 0
        loaded = ordered_map(
            self._load, self._rows(), num_workers=_NUM_WORKERS, ahead=size
        )
        with contextlib.closing(loaded):
            for longest, videos in self._batches:
                state = self._predictor.start(np.array(videos, np.int32))
                streams = [_Stream(k, self._settings.max_instances) for k in videos]
                for _ in range(0, longest, self._frames_at_once):
                    images, truths = zip(*itertools.islice(loaded, size), strict=True)
                    shape = (len(videos), self._frames_at_once, *images[0].shape)
                    batch = np.stack(images).reshape(shape)
                    state, labels, steps = self._predictor(state, batch)
                    labels, steps = np.asarray(labels), np.asarray(steps)
                    for k, truth in enumerate(truths):
                        if truth is not None:
                            b, t = divmod(k, self._frames_at_once)
                            made = labels[b, t], int(steps[b, t])
                            yield self._score(streams[b], truth, *made)

    def report(self) -> VideoReport:
        """Results over the videos of all processes; each has to call it.

        Raises:
          IncompleteEvaluation: a video is missing, unfinished or was scored twice.
          ValueError: there is no video, or no pixel of the truth is labelled.
        """
        done = [row for share in gather(self._done) for row in share]
        check_once([k for k, _ in done], self._positions, what="videos")
        return self.total(score for _, score in done)

    def total(self, scores: Iterable[Mapping[str, Any]]) -> VideoReport:
        """Results over videos, in whatever order, by whatever process scored.

        Args:
          scores: of `ScoredFrame`, one for each video.
        Raises:
          ValueError: there is no video, or no pixel of the truth is labelled.
        """
        total = VideoScores(self._coding, self._void_class)
        num_videos = num_frames = steps = 0
        for score in scores:
            total.merge_json(score["scores"])
            num_videos += 1
            num_frames += score["frames"]
            steps += score["steps"]
        names = [c.name for c in self._source.label_space.categories]
        return VideoReport(
            **total.results(),
            void_class=self._void_class,
            classes=tuple(names) if self._settings.rule.classes else ("object",),
            mean_steps=steps / max(num_frames, 1),
            num_videos=num_videos,
            num_frames=num_frames,
            max_frames=self._max_frames,
            repaired=self._repair,
        )

    def _rows(self) -> Iterator[int]:
        """Position in the source of every row of every call; -1 is padding."""
        for longest, videos in self._batches:
            for first in range(0, longest, self._frames_at_once):
                for k in videos:
                    for t in range(first, first + self._frames_at_once):
                        is_frame = k >= 0 and t < self._lengths[k]
                        yield self._source.videos[k].start + t if is_frame else -1

    def _load(self, index: int) -> tuple[np.ndarray, "_Truth | None"]:
        """Image [H, W, 3] of a row, and the truth of one that is no padding."""
        settings = self._settings
        if index < 0:
            shape = (*settings.image_size, 3)
            return np.full(shape, eval_data.PAD_VALUE, np.float32), None
        example = self._source[index]
        image, unpadded = eval_data.fit_image(example.image, settings.image_size)
        channels = truth_channels(
            example.panoptic, self._source.label_space, rule=settings.rule
        )
        small = eval_data.fit_labels(channels, settings.image_size, settings.mask_size)
        truth = _Truth(example, unpadded, code(channels, self._coding))
        # Stuff of the truth has no ids.
        rule = dataclasses.replace(settings.rule, stuff=False)
        through = self._shown(self._restore(small, truth), truth, rule)
        through = code(through, self._coding)
        pair = FramePair(truth.labels, through, example.file_name)
        return image, dataclasses.replace(truth, oracle=pair.overlap(self._coding))

    def _restore(self, labels: np.ndarray, truth: "_Truth") -> np.ndarray:
        return eval_data.restore(
            labels,
            image_size=self._settings.image_size,
            unpadded=truth.unpadded,
            original=truth.labels.shape,
        )

    def _shown(self, labels: np.ndarray, truth: "_Truth", rule: IdRule) -> np.ndarray:
        """Labels [H, W, 2] as they are scored: decoded, or as `predict` shows them."""
        s, space = self._settings, self._source.label_space
        if not s.video_as_shown:
            return labels
        # Those of the truth may be any numbers.
        ids, dense = np.unique(labels[..., 1], return_inverse=True)
        dense = dense.reshape(labels.shape[:2]) + (ids[0] > 0)  # 0 stays 0
        voted = postprocess.shown_channels(
            np.stack([labels[..., 0], dense], -1),
            space,
            num_ids=len(ids) + 1,
            min_area=s.min_area,
            merge=s.merge_stuff,
            rule=rule,
            split_ids=s.split_ids,
            magnified=eval_data.magnification(
                s.mask_size,
                image_size=s.image_size,
                unpadded=truth.unpadded,
                original=truth.labels.shape,
            ),
        )
        semantic = voted[..., 0]
        is_left = (voted[..., 1] > 0) & (labels[..., 1] > 0)
        if rule.classes:
            is_thing = space.is_thing[semantic]
            # Things without an id are none.
            semantic = np.where(is_thing & ~is_left, VOID, semantic)
            is_left &= is_thing
        # An object keeps the id that it was decoded with.
        instance = np.where(is_left, labels[..., 1], 0)
        return np.stack([semantic, instance], -1).astype(np.int32)

    def _score(
        self, stream: "_Stream", truth: "_Truth", labels: np.ndarray, steps: int
    ) -> ScoredFrame:
        """Scores the next frame of a video and, with the last one, the video."""
        video, frame = self._source.videos[stream.video], len(stream.kept)
        where = f"video {video.name}, frame {frame}"
        restored = self._restore(labels.astype(np.int32), truth)
        semantic, drawn = restored[..., 0], restored[..., 1]
        highest = self._source.label_space.num_classes - 1
        if semantic.min() < 0 or semantic.max() > highest:
            raise ValueError(
                f"{where}: the prediction has semantic ids {semantic.min()} ... "
                f"{semantic.max()}, which must be in 0 ... {highest}; predict with the "
                "label space of the data"
            )
        instance = drawn
        if self._repair:
            # By all that the model drew, which it remembers, shown or not.
            instance, stream.history = id_reuse.repair(
                drawn, stream.history, memory=self._memory
            )
        shown = self._shown(restored, truth, self._settings.rule)
        semantic = shown[..., 0]
        instance, drawn = (np.where(shown[..., 1] > 0, x, 0) for x in (instance, drawn))
        is_object = semantic if self._settings.rule.classes else instance > 0
        found = code(np.stack([is_object, instance], -1), self._coding)
        pair = FramePair(truth.labels, found, where)
        stream.kept.add(pair.overlap(self._coding), truth.oracle, where)
        stream.steps += steps
        if not self._settings.rule.classes:
            objects = truth_objects(truth.labels, truth.example.panoptic)
            stream.kept.keep_objects(objects, drawn)
        score = None
        if len(stream.kept) == self._lengths[stream.video]:
            whole = VideoScores(self._coding, self._void_class)
            whole.add(video.name, stream.kept)
            score = {
                "scores": whole.to_json(),
                "frames": len(stream.kept),
                "steps": stream.steps,
            }
            self._done.append((stream.video, score))
        return ScoredFrame(
            video.name, frame, truth.example, semantic, instance, drawn, steps, score
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Truth:
    """What the score of a frame needs.

    Attributes:
      example: image and truth.
      unpadded: (height, width) of the content in the network's image.
      labels: [H, W] int64.
      oracle: of the labels, and of what is left of them at mask size.
    """

    example: Example
    unpadded: tuple[int, int]
    labels: np.ndarray
    oracle: LabelOverlap = _NO_PIXELS


class _Stream:
    """A video under way."""

    def __init__(self, video: int, max_instances: int) -> None:
        self.video = video
        self.history = id_reuse.IdHistory.start(max_instances)
        self.kept = KeptVideo()
        self.steps = 0
