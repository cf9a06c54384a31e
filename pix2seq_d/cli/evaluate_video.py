"""One checkpoint of a video model evaluated, and the files that come of it."""

import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from PIL import Image

from pix2seq_d.cli.evaluate_checkpoint import write_scores
from pix2seq_d.cli.evaluate_records import (
    finish,
    left,
    made_of,
    open_shards,
    under_way,
)
from pix2seq_d.cli.evaluate_shard import WHOLE, Share
from pix2seq_d.config import Config
from pix2seq_d.data import sources
from pix2seq_d.data.source import Example, VideoSource
from pix2seq_d.evaluation import video_table
from pix2seq_d.evaluation.shards import Record
from pix2seq_d.evaluation.video_runner import ScoredFrame, VideoEvaluation
from pix2seq_d.evaluation.video_scores import VideoReport
from pix2seq_d.flat_results import JSON_NAME as FLAT_JSON
from pix2seq_d.flat_results import write_flat
from pix2seq_d.inference.video_predictor import VideoPredictor
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment, areas
from pix2seq_d.progress import Progress
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.training.evaluate import leading_videos, video_evaluation
from pix2seq_d.training.journal import say
from pix2seq_d.video_results import VideoResults, finished_frames
from pix2seq_d.video_results_json import write_json
from pix2seq_d.visualize.sheet import SheetRow, contact_sheet

_SHOWN = 3  # frames of a video in the pictures


def prepare(config: Config) -> tuple[VideoPredictor, VideoSource]:
    """What all checkpoints of a training are evaluated with, on all devices."""
    source = sources.make_source(
        config.data.source, train=False, size=config.model.image_size
    )
    sources.check_videos(
        source, config.model.num_cond_frames, name=config.data.source.name
    )
    mesh = meshes.make_mesh()
    predictor = VideoPredictor(config, mesh, seed=config.evaluation.seed)
    return predictor, cast(VideoSource, source)


def evaluate(
    trained: Trained,
    predictor: VideoPredictor,
    source: VideoSource,
    output: Path,
    *,
    share: Share = WHOLE,
) -> VideoReport | None:
    """Evaluates and writes the files; all processes have to call it.

    They are metrics.json, table.md, panoptic.json with panoptic/<video>/*.png (VIPSeg's
    layout), davis/<video>/*.png, examples.png and, of Cityscapes-VPS, pred.json with
    pan_pred/*.png. PNGs have the names of the dataset's frames, if these have any. An
    evaluation that was not finished in the same output goes on, with whole videos.

    Args:
      trained: the checkpoint.
      predictor: of its config.
      source: labelled videos.
      output: made if absent; one folder for all processes.
      share: what this command evaluates; its limit takes the leading videos that hold
        so many frames.
    Returns:
      The results; None where this process does not write them.
    """
    config = trained.config
    sources.check_labels(trained.labels, source.label_space)
    total = leading_videos(source, share.limit)
    size = {"total": total, "unit": "video"}
    shards = open_shards(output, trained, kind="videos", total=total)
    evaluation = video_evaluation(
        predictor.of(trained.variables),
        predictor.mesh,
        source,
        config,
        positions=left(shards, share, **size),
    )
    diffusion = config.diffusion
    if evaluation.num_videos:
        say(
            f"evaluating step {trained.step} on {evaluation.num_videos} videos, "
            f"{diffusion.num_steps} sampler steps for the first frame and "
            f"{diffusion.num_steps_next} for each later one ..."
        )
    mine = {source.videos[k].name: k for k in evaluation.mine}
    most = config.evaluation.max_frames or len(source)
    frames = sum(
        min(v.stop - v.start, most)
        for v in map(source.videos.__getitem__, mine.values())
    )
    progress = Progress("evaluate", frames, unit="frame")
    run = _run(trained)
    writers: dict[str, VideoResults] = {}
    with under_way(shards):
        for done, scored in enumerate(evaluation, start=1):
            name = scored.video
            if name not in writers:
                writers[name] = VideoResults(
                    shards.own, name, source.label_space, run=run
                )
            writers[name].write(
                scored_map(scored, source.label_space, rule=config.data.ids),
                time_s=0.0,
                name=_frame_name(scored),
            )
            if scored.score is not None:
                shards.add(mine[name], scored.score, files=writers.pop(name).files)
            if jax.process_index() == 0:
                if done == 1:
                    progress.restart(done)  # what came before was compiling
                progress.update(done)
    write = functools.partial(
        _write_results,
        evaluation=evaluation,
        trained=trained,
        source=source,
        output=output,
    )
    return finish(shards, share, write, **size)


def _run(trained: Trained) -> dict[str, Any]:
    """What the logs of the videos say that they come of."""
    return {"checkpoint": str(trained.workdir)} | made_of(trained)


def summary(report: VideoReport, _: LabelSpace, output: Path) -> str:
    """What a person is told at the end."""
    predictions = f"{output / 'panoptic.json'} (VIPSeg), {output / 'davis'}"
    if (output / FLAT_JSON).exists():
        predictions += f", {output / FLAT_JSON} (Cityscapes-VPS)"
    return "\n".join(
        (
            video_table.markdown(report),
            f"metrics:     {output / 'metrics.json'}",
            f"predictions: {predictions}",
            f"pictures:    {output / 'examples.png'}",
        )
    )


def scored_map(
    scored: ScoredFrame, label_space: LabelSpace, *, rule: IdRule
) -> PanopticMap:
    """A scored frame as a map: every (class, instance) pair is a segment.

    Segment ids are the same in all frames of a video: semantic + num_classes x
    instance. `Segment.instance` of a thing is its number as the metric has it: without
    classes that of J&F, as the model drew it.

    Args:
      scored: of `VideoEvaluation`.
      label_space: the categories.
      rule: of instance ids.
    """
    semantic, instance = scored.semantic, scored.instance
    if not rule.classes:
        semantic, instance = (scored.drawn > 0).astype(np.int32), scored.drawn
    is_thing = label_space.is_thing
    classes = label_space.num_classes
    ids = semantic + classes * np.where(is_thing[semantic], instance, 0)
    present = [i for i in areas(ids)[0].tolist() if i]
    segments = tuple(
        Segment(
            id=i,
            category_id=int(label_space.category_ids[i % classes]),
            instance=i // classes,
        )
        for i in present
    )
    return PanopticMap(ids.astype(np.int32), segments)


def _frame_name(scored: ScoredFrame) -> str | None:
    """The frame's name in its dataset, where image ids are VIDEO/FRAME."""
    image_id = scored.example.image_id
    return image_id.rpartition("/")[2] if isinstance(image_id, str) else None


def _write_results(
    records: Mapping[int, Record],
    *,
    evaluation: VideoEvaluation,
    trained: Trained,
    source: VideoSource,
    output: Path,
) -> VideoReport:
    labels, run = source.label_space, _run(trained)
    names = []
    for position, record in records.items():
        names.append(source.videos[position].name)
        VideoResults(output, names[-1], labels, run=run).take(record.folder)
    # Not those that an earlier evaluation of more videos has left there.
    write_json(output, labels, videos=names)
    if trained.config.data.source.name == "cityscapes_vps":
        write_flat(output, videos=names)
    report = evaluation.total(record.score for record in records.values())
    metrics = video_table.to_json(report)
    metrics["left_out"] = len(source.videos) - len(records)
    write_scores(output, trained, video_table.markdown(report), metrics)
    _write_examples(report, source, output)
    return report


def frames_of(
    source: VideoSource, output: Path, name: str, numbers: Collection[int]
) -> Iterator[tuple[int, Example, PanopticMap]]:
    """Number, truth and prediction of some frames of an evaluated video.

    Args:
      source: that was evaluated.
      output: folder of the results.
      name: of the video.
      numbers: of the frames, from 0.
    """
    video = next(v for v in source.videos if v.name == name)
    for number, prediction in enumerate(finished_frames(output, name)):
        if number in numbers:
            yield number, source[video.start + number], prediction


def _write_examples(report: VideoReport, source: VideoSource, output: Path) -> None:
    """Frames of the worst, the median and the best video by their own STQ."""
    scores = report.stq[report.void_class]["per_sequence"]
    order = sorted(scores, key=lambda name: (scores[name]["STQ"] or 0.0, name))
    chosen = {  # of one video only the last is left
        order[0]: "worst",
        order[len(order) // 2]: "median",
        order[-1]: "best",
    }
    rows = []
    for name, kind in chosen.items():
        count = scores[name]["frames"]
        shown = {(count - 1) * k // max(_SHOWN - 1, 1) for k in range(_SHOWN)}
        for frame, example, prediction in frames_of(source, output, name, shown):
            rows.append(
                SheetRow(
                    example.image,
                    example.panoptic,
                    prediction,
                    title=f"{kind} video, frame {frame}",
                )
            )
    sheet = contact_sheet(rows, source.label_space)
    Image.fromarray(sheet).save(output / "examples.png")
