"""`predict` for a video: maps with tracks, and a video to look at."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pix2seq_d.frame_folders import image_files
from pix2seq_d.inference.stream import Stream, StreamState
from pix2seq_d.json_lines import read_header
from pix2seq_d.progress import Progress
from pix2seq_d.training.checkpoint import Trained
from pix2seq_d.video import Video
from pix2seq_d.video_files import open_video
from pix2seq_d.video_results import VideoResults
from pix2seq_d.video_results_json import log_path
from pix2seq_d.video_writer import VideoWriter
from pix2seq_d.visualize.timeline import Timeline, advance
from pix2seq_d.visualize.track_video import draw_frame

_SAVE_EVERY = 25  # frames that --resume computes again at most
_TIMELINE = 120  # frames


@dataclasses.dataclass(frozen=True)
class VideoJob:
    """One video to segment.

    Attributes:
      trained: a model of clips.
      path: a video file, or a folder of frames.
      output: folder of the results, which may hold those of other videos.
      seed: of the sampler's noise.
      rate: frames a second of a folder.
      suffix: of the video to look at, .mp4 or .webm.
    """

    trained: Trained
    path: Path
    output: Path
    seed: int
    rate: float
    suffix: str

    @property
    def name(self) -> str:
        """Of the video among the results."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.stem

    @property
    def made(self) -> Path:
        """The video to look at."""
        return self.output / f"{self.name}{self.suffix}"

    @property
    def run(self) -> dict[str, Any]:
        """What has to be the same for a run to go on."""
        config = self.trained.config
        return {
            "input": _identity(self.path, self.rate),
            "checkpoint": str(self.trained.workdir),
            "step": self.trained.step,
            "seed": self.seed,
            "sampler": dataclasses.asdict(config.diffusion),
            "min_area": config.evaluation.min_area,
        }

    def open(self) -> Video:
        """The frames, from the first on."""
        return open_video(self.path, folder_rate=self.rate)

    def results(self, *, resume: bool) -> VideoResults:
        """Where the maps go."""
        return VideoResults(
            self.output, self.name, self.trained.labels, resume=resume, run=self.run
        )


def predict_video(job: VideoJob, *, resume: bool) -> None:
    """Segments a video and writes the results, in constant memory.

    They are panoptic.json and panoptic/<video>/*.png (VIPSeg's layout),
    davis/<video>/*.png and <video>.mp4.

    Args:
      job: what to do.
      resume: go on where an earlier run of the same job was stopped.
    Raises:
      ValueError: the results would replace the input, or those of another one.
    """
    if job.made.exists() and job.path.exists() and job.made.samefile(job.path):
        raise ValueError(
            f"--output={job.output}: the video of overlays would replace the input "
            f"{job.path}; give another folder"
        )
    _check_input(job)
    with job.open() as video:
        stream = _segment(job, video, resume=resume)
    _draw(job)
    results = job.results(resume=True)
    results.close()
    for note in filter(None, (video.note, results.note, _reuse(stream))):
        print(note, file=sys.stderr)
    print(f"masks:  {job.output / 'panoptic.json'} ({results.next_frame} frames)")
    print(f"        {job.output / 'davis' / job.name}")
    print(f"video:  {job.made}")


def _segment(job: VideoJob, video: Video, *, resume: bool) -> Stream:
    """Writes the maps of all frames that are not there yet."""
    stream = Stream(job.trained, seed=job.seed)
    results = job.results(resume=resume)
    state_file = job.output / "frames" / f"{job.name}.state.npz"
    if not results.next_frame:
        state_file.unlink(missing_ok=True)  # of an earlier run
    elif state_file.exists():
        stream.state = StreamState.load(state_file)
        if stream.frame > results.next_frame:
            raise ValueError(
                f"{state_file}: is of frame {stream.frame}, but {results.next_frame} "
                "frames are written; run again without --resume"
            )
        print(f"going on from frame {results.next_frame}", file=sys.stderr)
    first = stream.frame
    progress = Progress("predict", video.facts.num_frames, unit="frame")
    with _kept(results):
        for frame in video:
            if frame.index < first:
                continue
            found = stream.push(frame.image)
            # Frames since the state was saved are computed again, to the same maps.
            if frame.index >= results.next_frame:
                results.write(found.panoptic, time_s=frame.time_s, name=frame.name)
            if stream.frame % _SAVE_EVERY == 0:
                stream.state.save(state_file)
            if stream.frame == first + 1:
                progress.restart(stream.frame)  # what came before was compiling
            progress.update(stream.frame)
        stream.state.save(state_file)
    progress.end(stream.frame)
    return stream


@contextlib.contextmanager
def _kept(results: VideoResults) -> Iterator[None]:
    """Adds to what stops a run how much is done, and how to go on."""
    try:
        yield
    except (ValueError, OSError, KeyboardInterrupt) as error:
        if not results.next_frame:
            raise
        done = (
            f"{results.next_frame} frames are finished and kept; the same command with "
            "--resume goes on from there"
        )
        if isinstance(error, KeyboardInterrupt):
            print(f"\n{done}", file=sys.stderr)
            raise
        raise ValueError(f"{error}; {done}") from error


def _draw(job: VideoJob) -> None:
    """Makes the video of overlays, from the frames and the maps on disk."""
    results, labels = job.results(resume=True), job.trained.labels
    count = results.next_frame
    timeline = Timeline.start(window=min(_TIMELINE, max(count, 2)))
    progress = Progress("draw", count, unit="frame")
    with (
        job.open() as video,
        VideoWriter(job.made, rate=video.facts.rate or job.rate) as writer,
    ):
        for frame, panoptic in zip(video, results.finished(), strict=False):
            timeline = advance(panoptic, labels, timeline)
            picture = draw_frame(
                frame.image, panoptic, labels, timeline, time_s=frame.time_s
            )
            writer.write(picture, frame.time_s)
            progress.update(frame.index + 1)


def _check_input(job: VideoJob) -> None:
    """Refuses to replace the results of another video of the same name."""
    log = log_path(job.output, job.name)
    if not log.exists():
        return
    before = read_header(log).get("run", {}).get("input")
    if before != job.run["input"]:
        raise ValueError(
            f"--output={job.output}: holds results of another {job.name} "
            f"({before['path'] if before else 'unknown'}, or another version of it); "
            "give another folder"
        )


def _identity(path: Path, rate: float) -> dict[str, Any]:
    """Tells an input from others, and from itself after it was changed."""
    found: dict[str, Any] = {"path": str(path.resolve())}
    if path.is_dir():
        files = image_files(path)
        return found | {"images": len(files), "first": files[0].name, "rate": rate}
    status = path.stat()
    return found | {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def _reuse(stream: Stream) -> str:
    if not stream.reused:
        return ""
    return (
        f"{stream.reused} time(s) the model took an id that was gone for another "
        "object; each has a number of its own"
    )
