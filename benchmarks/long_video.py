"""Does `launch.predict` take a long video in constant memory?

  python benchmarks/long_video.py --checkpoint=work/shapes_video --output=work/long \
      [--frames=10000] [--size=64] [--steps=1]

Makes a video of drawn scenes with moving objects, one after another, runs
`launch.predict` on it as a process of its own and follows its progress line. Prints, as
Markdown, the process's resident memory when it has done 100, 1,000, 5,000 and 10,000
frames, first of predicting and then of drawing.
"""

import dataclasses
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from pix2seq_d.cli import app
from pix2seq_d.data.shapes_video import NUM_FRAMES, ShapesVideo
from pix2seq_d.evaluation import text_table
from pix2seq_d.progress import Progress
from pix2seq_d.video_writer import VideoWriter

_MARKS = (100, 1_000, 5_000, 10_000)
_RATE = 24
_LINE = re.compile(rb"(predict|draw) frame (\d+)/")


@dataclasses.dataclass(frozen=True)
class Sample:
    """The process at one moment.

    Attributes:
      phase: what it was doing, predict or draw.
      frame: frames of it done.
      seconds: since the process was started.
      resident_mb: its resident memory, MB.
    """

    phase: str
    frame: int
    seconds: float
    resident_mb: float


def main(argv: list[str]) -> None:
    """Prints the table."""
    values = app.new_flags()
    flags.DEFINE_string("checkpoint", None, "Of a video model.", flag_values=values)
    flags.DEFINE_string(
        "output", None, "Folder for all files, a new one.", flag_values=values
    )
    flags.DEFINE_integer("frames", 10_000, "Of the video.", flag_values=values)
    flags.DEFINE_integer("size", 64, "Side of a frame, pixels.", flag_values=values)
    flags.DEFINE_integer("steps", 1, "Sampler steps a frame.", flag_values=values)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "checkpoint", "output")
    folder = Path(values.output)
    if folder.exists():
        raise ValueError(f"--output={folder}: exists; give a folder that does not")
    video = folder / "long.mp4"
    make_video(video, num_frames=values.frames, size=values.size)
    command = [
        *(sys.executable, "-m", "launch.predict"),
        f"--checkpoint={values.checkpoint}",
        f"--input={video}",
        f"--output={folder / 'masks'}",
        f"--num_steps={values.steps}",
        f"--num_steps_next={values.steps}",
    ]
    print(" ".join(command), file=sys.stderr)
    print(table(list(follow(command))))


def make_video(path: Path, *, num_frames: int, size: int) -> None:
    """Writes a video of drawn scenes of 24 frames, with a cut after each."""
    source = ShapesVideo(
        "val", size=(size, size), num_videos=-(-num_frames // NUM_FRAMES)
    )
    progress = Progress("make", num_frames, unit="frame")
    with VideoWriter(path, rate=_RATE) as writer:
        for k in range(num_frames):
            writer.write(source[k].image, k / _RATE)
            progress.update(k + 1)


def follow(command: list[str]) -> Iterator[Sample]:
    """Runs a command; yields a sample each time it rewrites its line of progress.

    Raises:
      RuntimeError: the command failed.
    """
    # The line tells every frame on a terminal only.
    terminal, its_end = pty.openpty()
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=its_end)
    os.close(its_end)
    text = b""
    while True:
        try:
            text = text[-200:] + os.read(terminal, 65536)
        except OSError:  # the process has closed its end
            break
        found = _LINE.findall(text)
        resident_mb = _resident_mb(process.pid)
        if found and resident_mb:
            phase, frame = found[-1]
            seconds = time.monotonic() - start
            yield Sample(phase.decode(), int(frame), seconds, resident_mb)
    os.close(terminal)
    if process.wait():
        message = text.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"{command[2]} failed: {''.join(message)}")


def table(samples: list[Sample]) -> str:
    """Markdown: memory and speed at the marks, in each phase."""
    rows = []
    for phase in ("predict", "draw"):
        own = [s for s in samples if s.phase == phase]
        before = own[0]
        for mark in (m for m in _MARKS if m <= own[-1].frame):
            so_far = [s for s in own if s.frame <= mark]
            now = so_far[-1]
            speed = (now.frame - before.frame) / (now.seconds - before.seconds)
            rows.append(
                [
                    phase,
                    f"{now.frame:,}",
                    f"{now.resident_mb:.1f}",
                    f"{max(s.resident_mb for s in so_far):.1f}",
                    f"{now.seconds:.0f}",
                    f"{speed:.1f}",
                ]
            )
            before = now
    head = ("", "frames done", "resident MB", "largest", "seconds", "frames/s since")
    return text_table.markdown(head, rows)


def _resident_mb(pid: int) -> float | None:
    """VmRSS; None where the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


if __name__ == "__main__":
    sys.exit(app.run(main, "long_video"))
