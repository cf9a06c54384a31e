"""Draws the validation scenes of `shapes`, for a model to predict: pictures or videos.

  python -m launch.draw --output=scenes
  python -m launch.predict --checkpoint=shapes --input=scenes --output=masks

  python -m launch.draw --video --output=clips --count=1
  python -m launch.predict --checkpoint=shapes_video --input=clips/shapes_val_0000.mp4 \
      --output=masks

The scenes are computed, the same everywhere, and none of them is trained on.
"""

from pathlib import Path

from absl import flags
from PIL import Image

from pix2seq_d.cli import app
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.data.shapes_video import ShapesVideo
from pix2seq_d.data.source import Source
from pix2seq_d.video_writer import VideoWriter

_FRAMES_PER_S = 8.0  # slow enough to watch: a video is 3 seconds
_SIZE, _VIDEO_SIZE = 128, 64  # what the shipped models take


def main(argv: list[str]) -> None:
    """The command `draw`."""
    values = app.new_flags()

    def number(name: str, default: int | None, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(name, default, doc, flag_values=values, lower_bound=lowest)

    flags.DEFINE_string("output", None, "Folder for the files.", flag_values=values)
    flags.DEFINE_boolean("video", False, "Draw MP4 videos.", flag_values=values)
    number("count", 4, "Number of pictures or videos.", 1)
    number("first", 0, "Number of the first one.", 0)
    size_doc = (
        f"Height and width, pixels; by default what the shipped models take: {_SIZE}, "
        f"of videos {_VIDEO_SIZE}. Predict smaller ones with a smaller --min_area."
    )
    number("size", None, size_doc, 16)
    assert __doc__
    if not app.parse(values, argv, __doc__):
        return
    app.require(values, "output")
    output = Path(values.output)
    side = values.size or (_VIDEO_SIZE if values.video else _SIZE)
    size = (side, side)
    if output.is_file():
        raise app.UsageError(f"--output={output} is a file; give a folder")
    numbers = range(values.first, values.first + values.count)
    if values.video:
        write_videos(
            ShapesVideo("val", size=size, num_videos=numbers.stop), numbers, output
        )
    else:
        write_pictures(
            Shapes("val", size=size, num_examples=numbers.stop), numbers, output
        )
    what = "video" if values.video else "picture"
    print(f"{output}: {len(numbers)} {what}{'s' if len(numbers) > 1 else ''}")


def write_pictures(source: Source, numbers: range, folder: Path) -> None:
    """Writes these images of a source as PNG files; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        example = source[number]
        Image.fromarray(example.image).save(folder / example.file_name)


def write_videos(source: ShapesVideo, numbers: range, folder: Path) -> None:
    """Writes these videos of a source as MP4 files; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        video = source.videos[number]
        with VideoWriter(folder / f"{video.name}.mp4", rate=_FRAMES_PER_S) as writer:
            for frame in range(video.start, video.stop):
                time_s = (frame - video.start) / _FRAMES_PER_S
                writer.write(source[frame].image, time_s)
