"""The evaluation of a training that goes on: its moving average, as scalars."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import Mesh

from pix2seq_d.config import Config
from pix2seq_d.data.source import Source, VideoSource
from pix2seq_d.evaluation import video_runner
from pix2seq_d.evaluation.image_scores import Report
from pix2seq_d.evaluation.runner import Evaluation
from pix2seq_d.evaluation.text_table import percent
from pix2seq_d.evaluation.video_runner import VideoEvaluation
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.inference.video_predictor import FRAMES_AT_ONCE, VideoPredictor
from pix2seq_d.training.state import TrainState


def make_predictor(config: Config, mesh: Mesh) -> Predictor | VideoPredictor:
    """What a model predicts with: of clips, or of single images.

    Raises:
      ValueError: the config's sampler does not sample videos, or there are more ids
        than their evaluation takes: before a training, not after it.
    """
    kind = VideoPredictor if config.model.num_cond_frames else Predictor
    if kind is VideoPredictor:
        video_runner.check_ids(eval_settings(config, mesh))
    return kind(config, mesh, seed=config.evaluation.seed)


def evaluate_ema(
    state: TrainState,
    predictor: Predictor | VideoPredictor,
    source: Source,
    config: Config,
    *,
    check: Callable[[], None],
) -> Report | VideoReport:
    """Evaluates the moving average on the leading `train.eval_images` images.

    Of videos, on the leading ones that hold so many frames. All processes have to call
    it, and get the same report.

    Args:
      state: of the training.
      predictor: of its config.
      source: labelled images, or videos for a model of clips.
      config: of the training.
      check: called before each batch, equally often in all processes; what it raises
        ends the evaluation.
    """
    limit = config.train.eval_images or None
    if isinstance(predictor, VideoPredictor):
        videos = cast(VideoSource, source)
        evaluation = video_evaluation(
            _Checking(predictor.of(state.ema), check),
            predictor.mesh,
            videos,
            config,
            positions=range(leading_videos(videos, limit)),
        )
    else:
        images = predictor

        def predict(batch: np.ndarray, index: np.ndarray) -> np.ndarray:
            check()
            return images.labels(state.ema, batch, index)

        evaluation = Evaluation(
            predict,
            source,
            eval_settings(config, predictor.mesh),
            positions=range(len(source))[:limit],
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
    for _ in cast(Iterator[Any], evaluation):
        pass
    return evaluation.report()


def leading_videos(source: VideoSource, limit: int | None) -> int:
    """The number of leading videos that hold `limit` frames; of all if it is None."""
    videos = source.videos
    if limit is None:
        return len(videos)
    enough = (k for k, v in enumerate(videos, start=1) if v.stop >= limit)
    return next(enough, len(videos))


def video_evaluation(
    predictor: video_runner.VideoPredictor,
    mesh: Mesh,
    source: VideoSource,
    config: Config,
    *,
    positions: Sequence[int],
) -> VideoEvaluation:
    """The evaluation of a config's videos, shared by all processes.

    Args:
      predictor: with weights.
      mesh: of the predictor.
      source: labelled videos.
      config: of the training.
      positions: of the videos to take.
    """
    settings = eval_settings(config, mesh)
    # No more than there are, over all devices.
    most = max(1, -(-len(positions) // mesh.size)) * mesh.size
    return VideoEvaluation(
        predictor,
        source,
        settings,
        clips_at_once=min(settings.batch_size, most),
        frames_at_once=FRAMES_AT_ONCE,
        positions=positions,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        max_frames=config.evaluation.max_frames or None,
        memory=config.model.num_cond_frames,
    )


def score(report: Report | VideoReport) -> float:
    """What the best checkpoints are kept by: PQ, of videos STQ."""
    if isinstance(report, VideoReport):
        return report.stq[report.void_class]["STQ"]
    return report.pq["All"]["pq"]


def eval_scalars(report: Report | VideoReport) -> dict[str, float]:
    """{'eval/pq', 'eval/things_pq', ..., 'eval/oracle_pq'}, fractions.

    Of videos {'eval/stq', 'eval/aq', 'eval/sq', 'eval/oracle_stq', 'eval/id_switches',
    'eval/steps'}: id switches in 100 frames, sampler steps for one; 'eval/vpq' where a
    video is as long as the longest window, and 'eval/j_and_f' where there are no
    classes.
    """
    if isinstance(report, VideoReport):
        stq = report.stq[report.void_class]
        scalars = {
            "eval/oracle_stq": report.oracle_stq[report.void_class]["STQ"],
            **{f"eval/{name.lower()}": stq[name] for name in ("STQ", "AQ", "SQ")},
            "eval/id_switches": report.id_switches["switches_per_100_frames"],
            "eval/steps": report.mean_steps,
        }
        if report.vpq["vpq"] is not None:
            scalars["eval/vpq"] = report.vpq["vpq"]
        if report.j_and_f is not None:
            scalars["eval/j_and_f"] = report.j_and_f["J&F-Mean"]
        return scalars
    scalars = {"eval/oracle_pq": report.oracle["All"]["pq"]}
    for group, prefix in (("All", ""), ("Things", "things_"), ("Stuff", "stuff_")):
        for name in ("pq", "sq", "rq"):
            scalars[f"eval/{prefix}{name}"] = report.pq[group][name]
    return scalars


def eval_line(report: Report | VideoReport, step: int, num_steps: int) -> str:
    """One line for people: PQ of all, things, stuff, or STQ and VPQ; and the oracle."""
    where = f"evaluation at step {step}/{num_steps} on"
    if isinstance(report, VideoReport):
        scalars = eval_scalars(report)
        stq, oracle, vpq = (
            percent(scalars.get(f"eval/{name}"))
            for name in ("stq", "oracle_stq", "vpq")
        )
        return (
            f"{where} {report.num_videos} videos: STQ {stq}  VPQ {vpq}  "
            f"id switches {scalars['eval/id_switches']:.1f} in 100 frames  "
            f"(oracle STQ {oracle})"
        )
    values = [100 * report.pq[g]["pq"] for g in ("All", "Things", "Stuff")]
    return (
        f"{where} {report.num_images} images: "
        f"PQ {values[0]:.1f}  things {values[1]:.1f}  stuff {values[2]:.1f}  "
        f"(oracle {100 * report.oracle['All']['pq']:.1f})"
    )


class _Checking:
    """Calls a function before every call of a predictor."""

    def __init__(
        self, predictor: video_runner.VideoPredictor, check: Callable[[], None]
    ) -> None:
        self._predictor, self._check = predictor, check

    def start(self, index: np.ndarray) -> Any:
        return self._predictor.start(index)

    def __call__(
        self, state: Any, images: np.ndarray
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        self._check()
        return self._predictor(state, images)
