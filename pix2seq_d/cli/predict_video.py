"""`predict` for a video: maps with tracks, and a video to look at."""

import sys
from pathlib import Path

from pix2seq_d.inference.result import Result
from pix2seq_d.inference.stream import Stream, StreamState
from pix2seq_d.progress import Progress
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.video import Video
from pix2seq_d.video_files import open_video
from pix2seq_d.video_results import VideoResults
from pix2seq_d.video_writer import VideoWriter
from pix2seq_d.visualize.timeline import Timeline, advance
from pix2seq_d.visualize.track_video import draw_frame

_SAVE_EVERY = 25  # frames that --resume computes again at most
_TIMELINE = 120  # frames


def predict_video(
    trained: Trained,
    path: Path,
    output: Path,
    *,
    seed: int,
    resume: bool,
    folder_rate: float,
    suffix: str,
) -> None:
    """Segments a video and writes the results, in constant memory.

    Args:
      trained: a model of clips.
      path: a video file, or a folder of frames.
      output: made if absent: panoptic.json and panoptic/<video>/*.png (VIPSeg's
        layout), davis/<video>/*.png, <video>.mp4.
      seed: of the sampler's noise.
      resume: go on where an earlier run with the same settings was stopped.
      folder_rate: frames a second of a folder.
      suffix: .mp4 or .webm.
    """
    stream = Stream(trained, seed=seed)
    with open_video(path, folder_rate=folder_rate) as video:
        _segment(stream, video, path, output, trained, seed=seed, resume=resume)
    made = output / f"{path.stem}{suffix}"
    _draw(trained, path, output, made, folder_rate=folder_rate, run=_run(trained, seed))
    results = VideoResults(
        output, path.stem, trained.labels, resume=True, run=_run(trained, seed)
    )
    results.close()
    for note in filter(None, (video.note, results.note, _reuse(stream))):
        print(note, file=sys.stderr)
    print(f"masks:  {output / 'panoptic.json'} ({results.next_frame} frames)")
    print(f"        {output / 'davis' / path.stem}")
    print(f"video:  {made}")


def _segment(
    stream: Stream,
    video: Video,
    path: Path,
    output: Path,
    trained: Trained,
    *,
    seed: int,
    resume: bool,
) -> None:
    """Writes the maps of all frames that are not there yet."""
    results = VideoResults(
        output, path.stem, trained.labels, resume=resume, run=_run(trained, seed)
    )
    state_file = output / "frames" / f"{path.stem}.state.npz"
    if results.next_frame and state_file.exists():
        stream.state = StreamState.load(state_file)
        if stream.frame > results.next_frame:
            raise ValueError(
                f"{state_file}: is of frame {stream.frame}, but {results.next_frame} "
                "frames are written; run again without --resume"
            )
        print(f"going on from frame {results.next_frame}", file=sys.stderr)
    first = stream.frame
    progress = Progress("predict", video.facts.num_frames, unit="frame")
    for frame in video:
        if frame.index < first:
            continue
        result: Result = stream.push(frame.image)
        # Frames since the state was saved are computed again, to the same maps.
        if frame.index >= results.next_frame:
            results.write(result.panoptic, time_s=frame.time_s, name=frame.name)
        if stream.frame % _SAVE_EVERY == 0:
            stream.state.save(state_file)
        if stream.frame == first + 1:
            progress.restart(stream.frame)  # what came before was compiling
        progress.update(stream.frame)
    stream.state.save(state_file)
    progress.end(stream.frame)


def _draw(
    trained: Trained,
    path: Path,
    output: Path,
    made: Path,
    *,
    folder_rate: float,
    run: dict[str, str | int],
) -> None:
    """Makes the video of overlays, from the frames and the maps on disk."""
    results = VideoResults(output, path.stem, trained.labels, resume=True, run=run)
    count = results.next_frame
    timeline = Timeline.start(window=min(_TIMELINE, max(count, 2)))
    progress = Progress("draw", count, unit="frame")
    with (
        open_video(path, folder_rate=folder_rate) as video,
        VideoWriter(made, rate=video.facts.rate or folder_rate) as writer,
    ):
        for frame, panoptic in zip(video, results.finished(), strict=False):
            timeline = advance(panoptic, trained.labels, timeline)
            picture = draw_frame(
                frame.image, panoptic, trained.labels, timeline, time_s=frame.time_s
            )
            writer.write(picture, frame.time_s)
            progress.update(frame.index + 1)


def _run(trained: Trained, seed: int) -> dict[str, str | int]:
    """What has to be the same for a run to go on."""
    diffusion = trained.config.diffusion
    return {
        "checkpoint": str(trained.workdir),
        "step": trained.step,
        "seed": seed,
        "num_steps": diffusion.num_steps,
        "num_steps_next": diffusion.num_steps_next,
        "min_area": trained.config.evaluation.min_area,
    }


def _reuse(stream: Stream) -> str:
    if not stream.reused:
        return ""
    return (
        f"{stream.reused} time(s) the model took an id that was gone for another "
        "object; each has a number of its own"
    )
