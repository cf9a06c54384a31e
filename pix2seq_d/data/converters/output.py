"""The output of every converter: one split of a COCO panoptic folder, and a report."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType

import numpy as np
from PIL import Image

from pix2seq_d.data.converters.replaced import ReplacedSplit
from pix2seq_d.image_files import (
    File,
    open_image,
    orientation,
    to_rgb,
    turned_by_exif,
)
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap
from pix2seq_d.panoptic_files import PanopticWriter
from pix2seq_d.panoptic_index import ImageId
from pix2seq_d.progress import Progress


@dataclasses.dataclass(frozen=True)
class Report:
    """What a converter did; its text is for people.

    Attributes:
      json_path: the panoptic JSON.
      images: number of images written.
      segments: number of segments in them.
      dropped: what was left out, reason -> number.
    """

    json_path: Path
    images: int
    segments: int
    dropped: Mapping[str, int]

    def __str__(self) -> str:
        counted = _count(self.images, "image"), _count(self.segments, "segment")
        text = f"{self.json_path}: {', '.join(counted)}"
        if self.dropped:
            text += f"\nleft out: {_listed(self.dropped)}"
        return text


class SplitWriter:
    """Writes `images/<split>/`, `panoptic_<split>/` and, last, the JSON.

    A context manager; it shows progress on standard error. After an error there is
    no JSON, so that nothing half-written looks complete. Of a split that is replaced,
    the files that its JSON names are removed at the end.

    Args:
      output: root of the COCO panoptic folder; other splits in it stay.
      split: names the folders.
      label_space: categories of the JSON.
      total: number of images that will be written or skipped.
      inputs: folders and files that are read; they must not be written.
      overwrite: whether a complete split may be replaced.
    Raises:
      ValueError: the output and an input overlap, or a bad name of the split.
      FileExistsError: the split is there already.
    """

    def __init__(
        self,
        output: Path | str,
        split: str,
        label_space: LabelSpace,
        *,
        total: int,
        inputs: Sequence[Path | str] = (),
        overwrite: bool = False,
    ) -> None:
        if not split or PurePosixPath(split).name != split or split == "..":
            raise ValueError(f"split {split!r}: must be a plain name such as 'train'")
        root, name = Path(output), f"panoptic_{split}"
        self._images = root / "images" / split
        json_path = root / f"{name}.json"
        for path in inputs:
            _check_apart(Path(path), root, [self._images, root / name, json_path])
        if json_path.exists() and not overwrite:
            raise FileExistsError(
                f"{json_path}: exists already; give another output or split, or "
                "overwrite it"
            )
        self._replaced = ReplacedSplit(json_path, self._images, root / name)
        self._writer = PanopticWriter(root, label_space, name=name)
        self._progress = Progress("convert", total, unit="image")
        self._taken: set[str] = set()
        self._pngs: set[str] = set()
        self._done = self._segments = 0
        self._dropped: Counter[str] = Counter()

    def write(
        self,
        panoptic: PanopticMap,
        *,
        image: File | np.ndarray,
        image_id: ImageId,
        file_name: str,
    ) -> None:
        """Writes an image and its map.

        Args:
          panoptic: every segment has a pixel.
          image: the file, copied as it is, or uint8 [H, W, 3], saved as PNG.
          image_id: unique.
          file_name: may have folders; `a-2.png` where `a.png` is taken.
        Raises:
          ValueError: a name outside of the folder, or as `PanopticWriter.write`.
        """
        name = PurePosixPath(file_name.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or not name.stem:
            raise ValueError(
                f"{file_name}: names an image outside of its folder; make it relative"
            )
        if not isinstance(image, File):
            name = name.with_suffix(".png")
        name = self._free_name(name)
        try:
            png = self._writer.write(panoptic, image_id=image_id, file_name=str(name))
        except ValueError as error:
            raise ValueError(f"{file_name}: {error}") from error
        self._pngs.add(png.name.lower())
        path = self._images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(image, File):
            path.write_bytes(image.data)
        else:
            Image.fromarray(image).save(path)
        self._segments += len(panoptic.segments)
        self._advance()

    def skip(self, reason: str) -> None:
        """Counts an image that is not written."""
        self.drop(reason)
        self._advance()

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts something left out, such as 'objects hidden by others'."""
        if count:
            self._dropped[reason] += count

    @property
    def report(self) -> Report:
        """What was done so far."""
        return Report(
            self._writer.json_path,
            len(self._taken),
            self._segments,
            dict(self._dropped),
        )

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        if not self._taken:
            why = _listed(self._dropped) or "the input is empty"
            raise ValueError(
                f"{self._writer.json_path}: no image to write ({why}); give labelled "
                "images"
            )
        self._writer.close()
        self._replaced.remove(self._taken, self._pngs)

    def _advance(self) -> None:
        self._done += 1
        self._progress.update(self._done)

    def _free_name(self, name: PurePosixPath) -> PurePosixPath:
        free, number = name, 2
        while str(free).lower() in self._taken:
            free = name.with_stem(f"{name.stem}-{number}")
            number += 1
        self._taken.add(str(free).lower())
        return free


def upright(file: File) -> File | np.ndarray:
    """An image as people see it, for tools that label it so.

    Returns:
      The file itself, or, if its EXIF orientation turns it, the turned pixels,
      uint8 [H, W, 3].
    Raises:
      ValueError: the file is damaged or no image.
    """
    image = open_image(file)
    if orientation(image) == 1:
        return file
    return to_rgb(turned_by_exif(image), file.where)


def _check_apart(source: Path, root: Path, written: Sequence[Path]) -> None:
    source, root = source.resolve(), root.resolve()
    written = [path.resolve() for path in written]
    inside = any(p == source or p in source.parents for p in written)
    around = any(source in (p, *p.parents) for p in (root, *written))
    if inside or around:
        raise ValueError(
            f"{root}: the output would be written into the input {source}; give "
            "another output"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in counts.items())
