"""A folder of numbered images as a video."""

from collections.abc import Iterator
from pathlib import Path

from pix2seq_d.frame_order import by_number, stems
from pix2seq_d.image_files import File, image_size, read_rgb
from pix2seq_d.video import Video, VideoFacts, VideoFrame

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class FrameFolder(Video):
    """The frames of a folder of numbered images.

    They come in the order of the numbers in their names, 2 before 10, and upright
    as `read_rgb` turns them. `facts.num_frames` is exact, and `note` stays "".

    Args:
      path: the folder.
      rate: frames a second, > 0.
      skip: frames to leave out at the start; they are not read.
    Raises:
      FileNotFoundError: no such folder, or no image in it.
      ValueError: two images differ in their suffix only, or one cannot be read.
    """

    def __init__(self, path: Path | str, *, rate: float = 24.0, skip: int = 0) -> None:
        if not rate > 0:
            raise ValueError(f"rate {rate}: must be more than 0 frames a second")
        self._files = image_files(Path(path))
        self._rate, self._skip = rate, skip
        height, width = read_rgb(self._files[0], upright=True).shape[:2]
        self.facts = VideoFacts(
            (height, width),
            image_size(File.read(self._files[0])),
            rate,
            len(self._files),
        )

    def __iter__(self) -> Iterator[VideoFrame]:
        """See `Video`; ValueError where an image cannot be read."""
        for index, file in enumerate(self._files):
            if index >= self._skip:
                image = read_rgb(file, upright=True)
                self.num_read = index + 1
                yield VideoFrame(index, file.stem, index / self._rate, image)
        self.num_read = len(self._files)


def image_files(folder: Path) -> list[Path]:
    """The frames of a folder, in the order of the numbers in their names.

    Raises:
      FileNotFoundError: no such folder, or no image in it.
      ValueError: two images differ in their suffix only.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; check the path")
    files = sorted(
        (
            p
            for p in folder.iterdir()
            if p.suffix.lower() in IMAGES and not p.name.startswith(".")
        ),
        key=lambda path: (by_number(path.stem), path.name),
    )
    if not files:
        raise FileNotFoundError(
            f"{folder}: no image in this folder ({', '.join(IMAGES)}); give one of "
            "numbered frames"
        )
    stems((file.name for file in files), str(folder))
    return files
